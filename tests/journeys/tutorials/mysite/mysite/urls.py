from django.contrib import admin
from django.urls import include, path

import conform

urlpatterns = [
    path("polls/", include("polls.urls")),
    path("admin/", admin.site.urls),
    path("conform/who", conform.who),
    path("conform/stream", conform.stream),
    path("conform/upload", conform.upload),
]

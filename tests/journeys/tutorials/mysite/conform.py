"""What the tutorial has no page for: who asks, a stream, an upload."""

import hashlib

from django.http import JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from bartizan import current


def who(request):
    caller = current.anyone
    return JsonResponse({"caller": caller.user_id if caller else None, "remote": request.META.get("REMOTE_USER")})


def stream(request):
    return StreamingHttpResponse((f"{n}\n" for n in range(3)), content_type="text/plain")


@csrf_exempt
def upload(request):
    return JsonResponse({"sha256": hashlib.sha256(request.read()).hexdigest()})

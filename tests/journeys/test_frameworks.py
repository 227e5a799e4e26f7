"""One suite for applications of every kind: what they gain behind the gate, and what stays theirs.

The applications are those of their frameworks' own tutorials, in the folder ``tutorials``, each with three
views more: who asks, a stream, an upload.
"""

import hashlib
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from .apps import VENV, Guarded, Seed, copied, guarded, planted
from .records import audited, people, refused_when_anonymous

TUTORIALS = Path(__file__).parent / "tutorials"
PYTHON = str(VENV / "bin" / "python")
UPLOAD = b"0123456789abcdef" * 200_000
KEY = {"name": "conformance", "scopes": ["app:read", "app:write"]}


@dataclass(frozen=True)
class Kind:
    """How one application is named, made ready, and what its front page says."""

    app: str
    folder: str = ""
    page: str = "/"
    words: str = ""
    ready: tuple[str, ...] = ()


DJANGO = ("manage.py", "migrate", "-v0")
KINDS = {
    "django-wsgi": Kind("mysite.wsgi:application", "mysite", "/polls/", "No polls", DJANGO),
    "django-asgi": Kind("mysite.asgi:application", "mysite", "/polls/", "No polls", DJANGO),
    "flask": Kind(
        "--factory flaskr:create_app", "flaskr", "/", "Posts", ("-m", "flask", "--app=flaskr", "init-db")
    ),
    "litestar": Kind("litestar_todo:app", "", "/", "Start writing"),
    "asgi": Kind("plain:asgi", "", "/", "hello"),
    "wsgi": Kind("plain:wsgi", "", "/", "hello"),
}


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seed:
    """One demo organization, of which every application gets a copy."""
    folder = tmp_path_factory.mktemp("seed")
    return planted(folder, f"sqlite:///{folder}/bartizan.db")


@asynccontextmanager
async def serving(kind: Kind, folder: Path, seed: Seed) -> AsyncGenerator[Guarded]:
    """Copy the tutorial, make it ready as the tutorial does, and guard it."""
    home = folder / "app"
    shutil.copytree(TUTORIALS / kind.folder, home)
    if kind.ready:
        subprocess.run([PYTHON, *kind.ready], cwd=home, check=True, capture_output=True)  # noqa: ASYNC221
    async with guarded(kind.app, home, copied(seed, folder)) as app:
        yield app


async def conforms(app: Guarded, kind: Kind) -> None:
    """See what every application gains, whatever it is written with."""
    await refused_when_anonymous(app, kind.page)
    async with app.signed_in("member") as member:
        assert kind.words in (await member.get(kind.page)).text
        me = (await member.get("/_bartizan/api/v1/auth/me")).json()["user"]["id"]
        told = await member.get("/conform/who", headers={"remote-user": "root", "x-remote-user": "root"})
        assert told.json() == {"caller": me, "remote": None}
        assert (await member.get("/conform/stream")).text == "0\n1\n2\n"
        await uploaded(member)
        key = await member.post("/_bartizan/api/v1/api-keys", json=KEY)
        assert key.status_code == 201, key.text
    async with app.anonymous() as machine:
        machine.headers["x-api-key"] = key.json()["secret"]
        assert kind.words in (await machine.get(kind.page)).text
        await uploaded(machine)
    async with app.signed_in("viewer") as viewer:
        assert kind.words in (await viewer.get(kind.page)).text
        refused = await viewer.post("/conform/upload", content=b"no")
        assert refused.status_code == 403
        assert refused.json()["permission"] == "app:write"
    async with app.browsing("member", kind.page) as browser:
        assert kind.words in (await browser.get(kind.page)).text
        await uploaded(browser)
        foreign = await browser.post(
            "/conform/upload", content=b"x", headers={"origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
    await on_record(app)


async def uploaded(client: httpx.AsyncClient) -> None:
    """Send three megabytes, and see that the application has read every byte."""
    answer = await client.post("/conform/upload", content=UPLOAD)
    assert answer.status_code in {200, 201}, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(UPLOAD).hexdigest()


async def on_record(app: Guarded) -> None:
    """Find each upload in the audit log, with who it was."""
    who = await people(app)
    rows = [row for row in await audited(app) if row["path"] == "/conform/upload"]
    told = [(row["actor"]["type"], who.get(row["actor"]["id"], "a key"), row["outcome"]) for row in rows]
    member, viewer = app.passwords["member"][0], app.passwords["viewer"][0]
    assert told[-4:] == [
        ("user", member, "success"),
        ("user", viewer, "denied"),
        ("key", "a key", "success"),
        ("user", member, "success"),
    ]


@pytest.mark.feature("CORE-02", "FWK-02", "AUD-01", "AZ-01")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["litestar", "asgi", "wsgi"])
async def test_an_app_gains_people_roles_and_a_record(tmp_path: Path, seed: Seed, name: str) -> None:
    async with serving(KINDS[name], tmp_path, seed) as app:
        await conforms(app, KINDS[name])


@pytest.mark.feature("CORE-02", "FWK-02", "AUD-01", "AZ-01")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["django-wsgi", "django-asgi"])
async def test_djangos_polls_gain_people_and_keep_their_own_sign_in(
    tmp_path: Path, seed: Seed, name: str
) -> None:
    async with serving(KINDS[name], tmp_path, seed) as app:
        subprocess.run([PYTHON, "-c", POLL], cwd=tmp_path / "app", check=True)  # noqa: ASYNC221
        await conforms(app, Kind(KINDS[name].app, page="/polls/", words="What&#x27;s new?"))
        async with app.browsing("member", "/polls/1/") as browser:
            form = await browser.get("/polls/1/")
            token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)[0]
            voted = await browser.post("/polls/1/vote/", data={"choice": "1", "csrfmiddlewaretoken": token})
            assert voted.status_code == 302
            assert "Not much -- 1 vote" in (await browser.get(voted.headers["location"])).text
            assert (await browser.post("/polls/1/vote/", data={"choice": "1"})).status_code == 403  # Django's
            login = await browser.get("/admin/login/")
            token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', login.text)[0]
            words = {
                "username": "admin",
                "password": "pretty-long-7",
                "csrfmiddlewaretoken": token,
                "next": "/admin/",
            }
            signed_in = await browser.post("/admin/login/", data=words)
            assert signed_in.status_code == 302
            assert "sessionid" in browser.cookies
            assert "Site administration" in (await browser.get("/admin/")).text


POLL = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
django.setup()
from django.contrib.auth.models import User
from django.utils import timezone
from polls.models import Question
question = Question.objects.create(question_text="What's new?", pub_date=timezone.now())
question.choice_set.create(choice_text="Not much")
User.objects.create_superuser("admin", "admin@example.com", "pretty-long-7")
"""


@pytest.mark.feature("CORE-02", "FWK-02", "AUD-01", "AZ-01")
@pytest.mark.timeout(120)
async def test_flasks_blog_gains_people_and_keeps_its_own_sign_in(tmp_path: Path, seed: Seed) -> None:
    async with serving(KINDS["flask"], tmp_path, seed) as app:
        await conforms(app, KINDS["flask"])
        async with app.browsing("member") as browser:
            ada = {"username": "ada", "password": "pretty-long-7"}
            assert (await browser.post("/auth/register", data=ada)).headers["location"] == "/auth/login"
            assert (await browser.get("/create")).headers["location"] == "/auth/login"
            assert (await browser.post("/auth/login", data=ada)).headers["location"] == "/"
            posted = await browser.post("/create", data={"title": "A first post", "body": "Words"})
            assert posted.status_code == 302
            front = (await browser.get("/")).text
            assert "A first post" in front
            assert "by ada" in front

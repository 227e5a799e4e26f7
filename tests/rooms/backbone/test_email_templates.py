import re
from collections.abc import AsyncGenerator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from bartizan.backbone.email import (
    BrokenTemplate,
    UnknownTemplate,
)
from bartizan.backbone.email.routes import routes
from bartizan.backbone.email.service import contrast, palette, rgb_of
from bartizan.backbone.preferences import PreferenceChange
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database
from tests.harness.mailbox import Post

ACME, GLOBEX = ids.new("org"), ids.new("org")
ALL = frozenset({"email:read", "email:send", "preferences:write"})
ADMIN = Caller(id=ids.new("usr"), kind="user", org_id=ACME, permissions=ALL, email="admin@acme.example")
NEIGHBOUR = Caller(id=ids.new("usr"), kind="user", org_id=GLOBEX, permissions=ALL)
MEMBER = Caller(id=ids.new("usr"), kind="user", org_id=ACME)
OPERATOR = Caller(id=ids.new("usr"), kind="user", operator=True)
LINK = "https://app.example/reset?token=s3cr3t-and-long"


async def rows(database: Database, query: str) -> Sequence[Any]:
    return await database.write(lambda connection: connection.execute(text(query)).all())


@pytest.fixture
async def post(database: Database, clock: ManualClock) -> Post:
    return Post(database, clock)


@pytest.fixture
async def client(post: Post) -> AsyncGenerator[AsyncClient]:
    app = FastAPI()
    app.include_router(routes(post.email))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.feature("MAIL-03")
async def test_each_organizations_mail_has_its_own_look(post: Post) -> None:
    with current.acting_as(ADMIN):
        for key, value in (
            ("brand.name", "Acme <Rockets>"),
            ("brand.hue", 150),
            ("brand.logo_url", "https://acme.example/logo.png"),
        ):
            await post.preferences.set(key, PreferenceChange(value=value), "organization")
    data = {"url": LINK, "organization": "Acme", "inviter": "Jo"}
    await post.email.send(to="a@x.example", template="invitation", data=data, org_id=ACME)
    await post.email.send(to="b@x.example", template="invitation", data=data, org_id=GLOBEX)
    await post.work()
    acme, globex = sorted(post.box.mails, key=lambda mail: mail.to)
    assert "Acme &lt;Rockets&gt;" in acme.html
    assert "<Rockets>" not in acme.html.replace('alt="Acme <Rockets>"', "")
    assert 'src="https://acme.example/logo.png"' in acme.html
    assert "Acme <Rockets>" in acme.text
    assert palette(150).light in acme.html
    assert "Rockets" not in globex.html
    assert palette(262).light in globex.html


@pytest.mark.feature("MAIL-03")
def test_every_hue_gives_colours_that_can_be_read() -> None:
    for hue in range(0, 360, 5):
        colours = palette(hue)
        assert contrast(rgb_of(colours.light), (1, 1, 1)) >= 4.5, hue
        assert contrast(rgb_of(colours.dark), rgb_of("#17181c")) >= 4.5, hue
        assert contrast(rgb_of(colours.dark), rgb_of("#101114")) >= 4.5, hue


TEMPLATES: dict[str, dict[str, Any]] = {
    "verify_email": {"url": LINK, "expires": "10:00 UTC"},
    "reset_password": {"url": LINK, "ip": "203.0.113.9"},
    "password_changed": {"at": "10:00 UTC", "url": LINK},
    "account_exists": {"url": LINK, "reset_url": LINK},
    "new_sign_in": {"at": "10:00 UTC", "ip": "203.0.113.9", "device": "Firefox on Linux", "url": LINK},
    "invitation": {"url": LINK, "organization": "Acme", "role": "admin", "expires": "Friday"},
    "first_owner": {"url": LINK},
    "notice": {
        "title": "Export ready",
        "lines": ["It is ready.", "It stays a week."],
        "action": "Open",
        "url": LINK,
    },
}


@pytest.mark.feature("MAIL-03")
@pytest.mark.parametrize("template", TEMPLATES)
async def test_every_template_gives_a_subject_text_and_html(post: Post, template: str) -> None:
    await post.email.send(to="jo@acme.example", template=template, data=TEMPLATES[template])
    await post.work()
    [mail] = post.box.mails
    assert 5 < len(mail.subject) < 80
    assert len(mail.text.splitlines()) > 5
    assert "<" not in mail.text
    assert "{{" not in mail.html
    assert "<mj-" not in mail.html
    assert "prefers-color-scheme: dark" in mail.html
    assert not re.search(r"\b(please|sorry|oops|successfully|simply|just)\b|!", mail.text, re.IGNORECASE)
    assert ("https://" in mail.text) == ("url" in TEMPLATES[template])


@pytest.mark.feature("MAIL-03")
@pytest.mark.parametrize(
    "template", ["verify_email", "reset_password", "invitation", "first_owner", "notice"]
)
async def test_data_that_a_template_needs_is_missed_at_once(post: Post, template: str) -> None:
    with pytest.raises(BrokenTemplate):
        await post.email.send(to="jo@acme.example", template=template, data={})


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "https://x.example/\nBcc: y", "ftp://x", ""]
)
async def test_only_web_addresses_become_links(post: Post, url: str) -> None:
    with pytest.raises(BrokenTemplate):
        await post.email.send(to="jo@acme.example", template="verify_email", data={"url": url})


async def test_what_people_typed_cannot_become_markup_or_files(post: Post, tmp_path: Path) -> None:
    (tmp_path / "secret.css").write_text("p { content: 'stolen' }")
    evil = (
        f'</mj-text><mj-include path="{tmp_path}/secret.css" />'
        f'<link rel="stylesheet" href="{tmp_path}/secret.css">'
        "<script>alert(1)</script>{{ 7 * 7 }}{% include '/etc/passwd' %}"
    )
    data = {"url": LINK, "organization": evil, "inviter": evil}
    await post.email.send(to="jo@acme.example", template="invitation", data=data)
    await post.work()
    [mail] = post.box.mails
    tags: set[str] = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.add(tag)  # type: ignore[method-assign]
    parser.feed(mail.html)
    assert {"html", "body", "a"} <= tags
    assert tags.isdisjoint({"script", "link", "mj-include"})
    for bad in ("stolen", ">49<", "root:"):
        assert bad not in mail.html


@pytest.mark.parametrize(
    "name", ["../secrets", "/etc/passwd", "verify_email.jinja", "_html", "no_such", "Verify", ""]
)
async def test_no_other_file_is_taken_for_a_template(post: Post, name: str) -> None:
    with pytest.raises(UnknownTemplate):
        await post.email.send(to="jo@acme.example", template=name)


@pytest.mark.feature("MAIL-03")
async def test_the_hosts_own_template_replaces_ours(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "verify_email.jinja").write_text(
        "{% extends layout %}{% block subject %}Hallo {{ name }}{% endblock %}"
        "{% block body %}{{ ui.p('Willkommen, ' ~ name) }}{{ ui.button('Los', url) }}{% endblock %}"
    )
    post = Post(database, clock, templates=tmp_path)
    await post.email.send(to="jo@x.example", template="verify_email", data={"url": LINK, "name": "Jo"})
    await post.work()
    [mail] = post.box.mails
    assert (mail.subject, "Willkommen, Jo" in mail.text, "Willkommen, Jo" in mail.html) == (
        "Hallo Jo",
        True,
        True,
    )


@pytest.mark.parametrize(
    "source",
    [
        (
            "{% extends layout %}{% block subject %}x{% endblock %}"
            "{% block body %}{{ ''.__class__.__mro__ }}{% endblock %}"
        ),
        "{% extends layout %}{% block body %}no subject{% endblock %}",
        "{% extends layout %}{% block subject %}x{% endblock %}{% block body %}<mj-nonsense",
        "{% block subject %}{{ 1/0 }}{% endblock %}",
        "{% extends layout %}{% block subject %}x{% endblock %}{% block body %}</mj-column>{% endblock %}",
    ],
)
async def test_a_template_that_does_wrong_is_refused_at_once(
    database: Database, clock: ManualClock, tmp_path: Path, source: str
) -> None:
    (tmp_path / "own.jinja").write_text(source)
    post = Post(database, clock, templates=tmp_path)
    with pytest.raises(BrokenTemplate):
        await post.email.send(to="jo@x.example", template="own")


async def test_a_template_that_breaks_later_fails_for_good(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{% extends layout %}{% block subject %}x{% endblock %}")
    message_id = await Post(database, clock, templates=tmp_path).email.send(
        to="jo@x.example", template="own", org_id=ACME
    )
    own.unlink()
    later = Post(database, clock, templates=tmp_path)
    await later.work()
    with current.acting_as(ADMIN):
        told = await later.email.get_status(message_id)
    assert (told.status, later.box.mails) == ("failed", [])

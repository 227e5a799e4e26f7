import logging
import re
from collections.abc import AsyncGenerator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import ValidationError
from sqlalchemy import text

from bartizan.backbone.email import (
    Attachment,
    BrokenTemplate,
    DeliveryDelayed,
    DeliveryRefused,
    Email,
    EmailSettings,
    InvalidAddress,
    InvalidAttachment,
    UnknownEmail,
    UnknownTemplate,
)
from bartizan.backbone.email.routes import routes
from bartizan.backbone.email.service import contrast, palette, rgb_of
from bartizan.backbone.events import Envelope, Events
from bartizan.backbone.jobs import Jobs, JobsSettings, Worker
from bartizan.backbone.preferences import PreferenceChange, Preferences
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Invalid
from tests.harness.keys import keyring, newer
from tests.harness.mailbox import Mailbox

ACME, GLOBEX = ids.new("org"), ids.new("org")
ALL = frozenset({"email:read", "email:send", "preferences:write"})
ADMIN = Caller(id=ids.new("usr"), kind="user", org_id=ACME, permissions=ALL, email="admin@acme.example")
NEIGHBOUR = Caller(id=ids.new("usr"), kind="user", org_id=GLOBEX, permissions=ALL)
MEMBER = Caller(id=ids.new("usr"), kind="user", org_id=ACME)
OPERATOR = Caller(id=ids.new("usr"), kind="user", operator=True)
LINK = "https://app.example/reset?token=s3cr3t-and-long"


class Post:
    """The rooms that a mail passes through."""

    def __init__(self, database: Database, clock: ManualClock, **settings: Any) -> None:
        self.database, self.clock = database, clock
        self.events = Events(database, clock=clock)
        self.jobs = Jobs(database, self.events, JobsSettings(), clock=clock)
        self.preferences = Preferences(database, self.events, clock=clock)
        self.keyring = settings.pop("keyring", None) or keyring()
        self.box = Mailbox()
        self.email = Email(
            database,
            self.events,
            self.jobs,
            self.keyring,
            self.preferences,
            settings=EmailSettings(sender="Acme <no-reply@acme.example>", product="Acme", **settings),
            provider=self.box,
            clock=clock,
        )

    async def work(self) -> int:
        return await Worker(self.jobs).run_pending()


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


@pytest.mark.feature("MAIL-03", "MAIL-04")
async def test_a_mail_is_queued_and_then_sent_with_text_and_html(post: Post) -> None:
    message_id = await post.email.send(
        to="jo@acme.example", template="reset_password", data={"url": LINK}, org_id=ACME
    )
    with current.acting_as(ADMIN):
        assert (await post.email.get_status(message_id)).status == "queued"
    assert post.box.mails == []
    await post.work()
    [mail] = post.box.mails
    assert (mail.to, mail.subject) == ("jo@acme.example", "Set a new password for Acme")
    assert LINK in mail.text
    assert f'href="{LINK}"' in mail.html
    with current.acting_as(ADMIN):
        told = await post.email.get_status(message_id)
    assert (told.status, told.attempts, told.provider, told.provider_id) == ("sent", 1, "mailbox", "box-1")
    assert told.sent_at == post.clock.now()


@pytest.mark.feature("MAIL-04")
async def test_a_mail_exists_exactly_if_the_change_it_is_about_does(post: Post) -> None:
    async def undone() -> None:
        async with post.database.transaction():
            await post.email.send(to="jo@acme.example", template="verify_email", data={"url": LINK})
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError, match="undo"):
        await undone()
    await post.work()
    assert post.box.mails == []
    async with post.database.transaction():
        await post.email.send(to="jo@acme.example", template="verify_email", data={"url": LINK})
    await post.work()
    assert len(post.box.mails) == 1


@pytest.mark.feature("MAIL-04")
async def test_a_delay_is_tried_again_until_it_works(post: Post) -> None:
    post.box.refusals = [DeliveryDelayed("451 come back"), DeliveryDelayed("no answer")]
    message_id = await post.email.send(
        to="jo@acme.example", template="verify_email", data={"url": LINK}, org_id=ACME
    )
    await post.work()
    with current.acting_as(ADMIN):
        told = await post.email.get_status(message_id)
        assert (told.status, told.attempts, told.last_error) == ("queued", 1, "451 come back")
        for _ in range(2):
            post.clock.advance(7200)
            await post.work()
        told = await post.email.get_status(message_id)
    assert (told.status, told.attempts, told.last_error, len(post.box.mails)) == ("sent", 3, None, 1)


@pytest.mark.feature("MAIL-04")
async def test_a_refusal_for_good_is_not_tried_again_and_says_why(post: Post) -> None:
    heard: list[Envelope] = []
    post.events.listen("email.failed", heard.append)
    post.box.refusals = [DeliveryRefused("550 no such person")]
    message_id = await post.email.send(
        to="jo@acme.example", template="verify_email", data={"url": LINK}, org_id=ACME
    )
    await post.work()
    post.clock.advance(90_000)
    await post.work()
    with current.acting_as(ADMIN):
        told = await post.email.get_status(message_id)
    assert (told.status, told.last_error, post.box.mails) == ("bounced", "550 no such person", [])
    assert [(e.tenant_id, e.data["message_id"], e.data["status"]) for e in heard] == [
        (ACME, message_id, "bounced")
    ]


@pytest.mark.feature("MAIL-04")
async def test_what_was_given_up_can_be_sent_by_retrying_its_job(
    database: Database, clock: ManualClock
) -> None:
    post = Post(database, clock, attempts=2)
    post.box.refusals = [DeliveryDelayed("down"), DeliveryDelayed("down")]
    message_id = await post.email.send(
        to="jo@acme.example", template="verify_email", data={"url": LINK}, org_id=ACME
    )
    for _ in range(3):
        await post.work()
        clock.advance(7200)
    with current.acting_as(ADMIN):
        assert (await post.email.get_status(message_id)).status == "failed"
    with current.as_system():
        await post.jobs.retry_all(kind="email.deliver", everywhere=True)
    await post.work()
    with current.acting_as(ADMIN):
        assert (await post.email.get_status(message_id)).status == "sent"


@pytest.mark.feature("MAIL-04")
async def test_links_are_read_neither_in_the_database_nor_in_lists_nor_in_logs(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    post.box.refusals = [DeliveryDelayed("down")]
    heard: list[Envelope] = []
    post.events.listen("*", heard.append)
    await post.email.send(to="jo@acme.example", template="reset_password", data={"url": LINK}, org_id=ACME)
    await post.work()
    with current.acting_as(ADMIN):
        listed = await post.email.list()
    stored = ""
    with post.database.across_organizations():
        for table in ("bz_email_messages", "bz_jobs", "bz_events"):
            stored += repr(await rows(post.database, f"select * from {table}"))
    shown = stored + repr(listed) + repr(heard) + caplog.text
    assert "jo@acme.example" in stored
    assert "s3cr3t" not in shown
    post.clock.advance(7200)
    await post.work()
    assert await rows(post.database, "select sealed from bz_email_messages") == [(None,)]


async def test_another_organization_sees_no_mail(post: Post) -> None:
    message_id = await post.email.send(
        to="jo@acme.example", template="verify_email", data={"url": LINK}, org_id=ACME
    )
    with current.acting_as(NEIGHBOUR):
        assert (await post.email.list()).items == []
        with pytest.raises(UnknownEmail):
            await post.email.get_status(message_id)
        with pytest.raises(OperatorsOnly):
            await post.email.list(everywhere=True)
    with current.acting_as(MEMBER), pytest.raises(PermissionMissing):
        await post.email.list()


async def test_an_operator_sees_everybodys_and_the_platforms(post: Post) -> None:
    mine = await post.email.send(to="jo@acme.example", template="verify_email", data={"url": LINK})
    theirs = await post.email.send(
        to="al@globex.example", template="verify_email", data={"url": LINK}, org_id=GLOBEX
    )
    with current.acting_as(OPERATOR):
        page = await post.email.list(limit=1, everywhere=True)
        assert [item.id for item in page.items] == [theirs]
        page = await post.email.list(limit=1, cursor=page.next, everywhere=True)
        assert ([item.id for item in page.items], page.next) == ([mine], None)
        assert (await post.email.list(status="sent", everywhere=True)).items == []
        assert (await post.email.get_status(mine, everywhere=True)).org_id is None


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


async def test_a_mail_sealed_with_a_lost_key_fails_with_a_reason(
    database: Database, clock: ManualClock
) -> None:
    message_id = await Post(database, clock).email.send(
        to="jo@x.example", template="verify_email", data={"url": LINK}, org_id=ACME
    )
    later = Post(database, clock, keyring=newer()[1])
    await later.work()
    with current.acting_as(ADMIN):
        told = await later.email.get_status(message_id)
    assert told.status == "failed"
    assert "keys" in (told.last_error or "")


@pytest.mark.feature("MAIL-01")
@pytest.mark.parametrize(
    "address",
    [
        "",
        "jo",
        "@acme.example",
        "jo@",
        "jo@acme..example",
        "jo@-acme.example",
        "jo@acme.example\r\nBcc: all@acme.example",
        "jo@acme.example\n",
        "jo\r\n@acme.example",
        "Jo <jo@acme.example>",
        "jo@acme.example, al@acme.example",
        '"a b"@acme.example',
        ".jo@acme.example",
        "jo.@acme.example",
        "j..o@acme.example",
        "jo@acme.example\x00",
        "jo\u2028x@acme.example",
        "j\u00f6rg@acme.example",
        "a" * 65 + "@acme.example",
        "jo@" + "a" * 250 + ".example",
        "jo@\u0130\ud800.example",
        "jo@[127.0.0.1]",
    ],
)
async def test_what_is_not_one_bare_address_is_refused(post: Post, address: str) -> None:
    with pytest.raises(InvalidAddress):
        await post.email.send(to=address, template="verify_email", data={"url": LINK})


async def test_a_domain_in_any_script_is_written_in_ascii(post: Post) -> None:
    await post.email.send(to="jo@b\u00fccher.example", template="verify_email", data={"url": LINK})
    await post.work()
    assert post.box.mails[0].to == "jo@xn--bcher-kva.example"


@pytest.mark.feature("MAIL-01")
async def test_attachments_travel_sealed_and_arrive_whole(post: Post) -> None:
    report = Attachment(
        filename="Bericht März.pdf", content=bytes(range(256)), content_type="application/pdf"
    )
    await post.email.send(
        to="jo@acme.example",
        template="notice",
        data={"title": "Report", "lines": ["Here."]},
        attachments=[report],
    )
    await post.work()
    assert post.box.mails[0].attachments == [report]


@pytest.mark.parametrize(
    "attachment",
    [
        Attachment(filename="../../etc/passwd", content=b""),
        Attachment(filename="a\r\nX-Evil: 1", content=b""),
        Attachment(filename='a"b', content=b""),
        Attachment(filename="", content=b""),
        Attachment(filename=".bashrc", content=b""),
        Attachment(filename="a.txt", content=b"", content_type="text/plain\r\nX-Evil: 1"),
        Attachment(filename="a.txt", content=b"", content_type="text"),
        Attachment(filename="a.txt", content=b"x" * 101),
    ],
)
async def test_a_strange_or_large_attachment_is_refused(
    database: Database, clock: ManualClock, attachment: Attachment
) -> None:
    post = Post(database, clock, attachments_limit=100)
    data = {"title": "Report", "lines": ["Here."]}
    with pytest.raises(InvalidAttachment):
        await post.email.send(to="jo@acme.example", template="notice", data=data, attachments=[attachment])


async def test_a_line_break_in_data_does_not_reach_the_subject(post: Post) -> None:
    data = {"title": "Hello\r\nBcc: all@acme.example", "lines": ["x"]}
    await post.email.send(to="jo@acme.example", template="notice", data=data)
    await post.work()
    assert post.box.mails[0].subject == "Hello Bcc: all@acme.example"


async def test_old_records_are_purged_and_waiting_mail_is_not(post: Post) -> None:
    done = await post.email.send(
        to="a@acme.example", template="verify_email", data={"url": LINK}, org_id=ACME
    )
    await post.work()
    post.box.refusals = [DeliveryDelayed("down")] * 50
    waiting = await post.email.send(
        to="b@acme.example", template="verify_email", data={"url": LINK}, org_id=ACME
    )
    post.clock.advance(31 * 86_400)
    await post.jobs.enqueue("email.purge")
    await post.work()
    with current.acting_as(ADMIN):
        assert (await post.email.get_status(waiting)).status == "queued"
        with pytest.raises(UnknownEmail):
            await post.email.get_status(done)


async def test_a_job_for_a_mail_that_is_gone_or_sent_does_nothing(post: Post) -> None:
    await post.jobs.enqueue("email.deliver", {"message_id": ids.new("eml")})
    message_id = await post.email.send(to="a@acme.example", template="verify_email", data={"url": LINK})
    await post.work()
    await post.jobs.enqueue("email.deliver", {"message_id": message_id})
    await post.work()
    assert len(post.box.mails) == 1


async def test_one_can_send_oneself_a_test(post: Post, client: AsyncClient) -> None:
    with current.acting_as(ADMIN):
        made = await client.post("/email/test")
        assert (made.status_code, made.json()["recipient"]) == (201, ADMIN.email)
        await post.work()
        shown = await client.get(f"/email/messages/{made.json()['id']}")
        assert (shown.json()["status"], "sealed" in shown.json()) == ("sent", False)
        assert len((await client.get("/email/messages")).json()["items"]) == 1
    with current.acting_as(MEMBER), pytest.raises(PermissionMissing):
        await post.email.send_test()
    with current.acting_as(NEIGHBOUR), pytest.raises(Invalid):
        await post.email.send_test()


def test_a_password_is_not_sent_in_the_clear() -> None:
    with pytest.raises(ValidationError, match="in the clear"):
        EmailSettings(backend="smtp", host="mail.example", tls="none", username="u", password="p")  # type: ignore[arg-type]
    EmailSettings(backend="smtp", host="localhost", tls="none", username="u", password="p")  # type: ignore[arg-type]


@pytest.mark.parametrize("sender", ["nobody", "Acme <a@b.example>\r\nBcc: x@y.example"])
def test_a_sender_is_an_address(sender: str) -> None:
    with pytest.raises(ValidationError):
        EmailSettings(sender=sender)


def test_production_does_not_print_links_into_its_log() -> None:
    assert [problem.name for problem in EmailSettings().unsafe()] == ["backend"]
    assert EmailSettings(backend="file").unsafe() == ()

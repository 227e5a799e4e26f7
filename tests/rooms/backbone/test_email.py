import logging
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import ValidationError
from sqlalchemy import text

from bartizan.backbone.email import (
    Attachment,
    DeliveryDelayed,
    DeliveryRefused,
    EmailSettings,
    InvalidAddress,
    InvalidAttachment,
    UnknownEmail,
)
from bartizan.backbone.email.routes import routes
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, OperatorsOnly, PermissionMissing, current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Invalid
from tests.harness.keys import newer
from tests.harness.mailbox import Post

if TYPE_CHECKING:
    from bartizan.backbone.events import Envelope

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

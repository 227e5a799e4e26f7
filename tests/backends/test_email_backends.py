"""Providers of delivery against real servers, and what each of them promises alike."""

import asyncio
import email
import email.policy
import io
import socket
import ssl
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from bartizan.backbone.email import (
    Attachment,
    DeliveryDelayed,
    DeliveryRefused,
    Email,
    EmailSettings,
    Outgoing,
    Provider,
    Receipt,
    provider,
)
from bartizan.backbone.email.backends.console import ConsoleProvider
from bartizan.backbone.events import Events
from bartizan.backbone.jobs import Jobs, Worker
from bartizan.backbone.preferences import Preferences
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller, current
from bartizan.foundation.database import Database
from tests.harness.keys import keyring

pytestmark = pytest.mark.filterwarnings(
    "ignore:Requiring AUTH while not requiring TLS", "ignore::ResourceWarning"
)


class Inbox:
    """What the test's mail server took, and how it answers."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        self.users: list[str | None] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.answers.get(address, "250 OK")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if refusal := self.answers.get("DATA"):
            return refusal
        content = envelope.content
        assert isinstance(content, bytes)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        user = session.auth_data
        self.users.append(user.login.decode() if isinstance(user, LoginPassword) else None)
        return "250 taken"


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"acme", b"hunter2")
    return AuthResult(success=good, handled=False, auth_data=data)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + cert.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


Start = Callable[..., int]


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def start(inbox: Inbox, certificate: Path, unused_port: int) -> Generator[Start]:
    running: list[Controller] = []

    def begin(*, tls: str = "starttls", auth: bool = True) -> int:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        more: dict[str, Any] = {"authenticator": _authenticate, "auth_required": True} if auth else {}
        if tls == "starttls":
            more |= {"tls_context": context, "require_starttls": True}
        elif auth:
            more |= {"auth_require_tls": False}
        server = Controller(
            inbox,
            hostname="127.0.0.1",
            port=unused_port,
            ssl_context=context if tls == "tls" else None,
            **more,
        )
        server.start()
        running.append(server)
        return unused_port

    yield begin
    for server in running:
        server.stop()


def settings(port: int, certificate: Path, **more: Any) -> EmailSettings:
    values: dict[str, Any] = {
        "backend": "smtp",
        "sender": "Acme Ärzte <no-reply@acme.example>",
        "host": "localhost",
        "port": port,
        "ca_file": certificate,
        "username": "acme",
        "password": SecretStr("hunter2"),
        "timeout": 5,
    }
    return EmailSettings(**(values | more))


def mail(to: str = "jo@globex.example", **more: Any) -> Outgoing:
    values: dict[str, Any] = {
        "id": ids.new("eml"),
        "sender": "Acme Ärzte <no-reply@acme.example>",
        "to": to,
        "subject": "Grüße: set a new password",
        "text": "Open https://acme.example/reset\n",
        "html": "<p>Open <a href='https://acme.example/reset'>this</a></p>",
        "reply_to": "help@acme.example",
    }
    return Outgoing(**(values | more))


@pytest.mark.feature("MAIL-01", "MAIL-02")
@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_smtp_sends_over_tls_and_signs_in(
    inbox: Inbox, start: Start, certificate: Path, tls: str
) -> None:
    port = start(tls=tls)
    report = Attachment(
        filename="Bericht März.pdf", content=bytes(range(256)), content_type="application/pdf"
    )
    outgoing = mail(attachments=[report])
    receipt = await provider(settings(port, certificate, tls=tls)).send(outgoing)
    [got] = inbox.mails
    assert inbox.users == ["acme"]
    assert (got["To"], got["Subject"]) == ("jo@globex.example", "Grüße: set a new password")
    assert got["From"] == "Acme Ärzte <no-reply@acme.example>"
    assert got["Reply-To"] == "help@acme.example"
    assert got["Message-ID"] == receipt.provider_id == f"<{outgoing.id}@acme.example>"
    assert got["Auto-Submitted"] == "auto-generated"
    text, html = got.get_body(("plain",)), got.get_body(("html",))
    assert text is not None
    assert html is not None
    assert (text.get_content().replace("\r\n", "\n"), html.get_content().strip()) == (
        outgoing.text,
        outgoing.html,
    )
    [attached] = got.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == (report.filename, report.content)


@pytest.mark.feature("MAIL-02")
@pytest.mark.parametrize(
    ("where", "answer", "kind"),
    [
        ("jo@globex.example", "550 5.1.1 no such person", DeliveryRefused),
        ("jo@globex.example", "451 4.7.1 greylisted", DeliveryDelayed),
        ("DATA", "554 5.7.1 spam", DeliveryRefused),
        ("DATA", "452 4.2.2 full", DeliveryDelayed),
    ],
)
async def test_a_refusal_for_good_differs_from_one_for_now(
    inbox: Inbox, start: Start, certificate: Path, *, where: str, answer: str, kind: type[Exception]
) -> None:
    inbox.answers[where] = answer
    with pytest.raises(kind, match=answer.replace(".", r"\.")):
        await provider(settings(start(), certificate)).send(mail())


@pytest.mark.feature("MAIL-02")
async def test_a_wrong_password_delays_and_does_not_lose(start: Start, certificate: Path) -> None:
    wrong = settings(start(), certificate, password=SecretStr("wrong"))
    with pytest.raises(DeliveryDelayed, match="535") as refused:
        await provider(wrong).send(mail())
    assert "wrong" not in str(refused.value)


async def test_a_server_that_nobody_vouches_for_gets_nothing(
    inbox: Inbox, start: Start, certificate: Path
) -> None:
    port = start()
    for distrusting in (
        settings(port, certificate, ca_file=None),
        settings(port, certificate, host="127.0.0.1"),
    ):
        with pytest.raises(DeliveryDelayed):
            await provider(distrusting).send(mail())
    assert inbox.mails == []


async def test_a_server_without_starttls_gets_nothing(inbox: Inbox, start: Start, certificate: Path) -> None:
    port = start(tls="none", auth=False)
    with pytest.raises(DeliveryDelayed):
        await provider(settings(port, certificate)).send(mail())
    assert inbox.mails == []
    plain = settings(port, certificate, tls="none", username=None, password=None, ca_file=None)
    assert isinstance(await provider(plain).send(mail()), Receipt)


async def test_a_server_that_is_away_delays(certificate: Path) -> None:
    with pytest.raises(DeliveryDelayed, match="localhost"):
        await provider(settings(1, certificate)).send(mail())


async def test_a_server_that_says_nothing_is_waited_for_only_so_long(certificate: Path) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DeliveryDelayed):
            await provider(settings(port, certificate, timeout=0.2)).send(mail())


@pytest.mark.feature("MAIL-01", "MAIL-02")
async def test_a_batch_answers_for_each_mail(inbox: Inbox, start: Start, certificate: Path) -> None:
    inbox.answers = {"gone@globex.example": "550 gone", "busy@globex.example": "451 busy"}
    to = ["a@globex.example", "gone@globex.example", "busy@globex.example", "b@globex.example"]
    answers = await provider(settings(start(), certificate)).send_batch([mail(address) for address in to])
    assert [type(answer) for answer in answers] == [Receipt, DeliveryRefused, DeliveryDelayed, Receipt]
    assert [got["To"] for got in inbox.mails] == ["a@globex.example", "b@globex.example"]


@pytest.mark.parametrize("field", ["subject", "to", "reply_to", "headers"])
async def test_a_line_break_never_becomes_a_header(
    inbox: Inbox, start: Start, certificate: Path, field: str
) -> None:
    evil = "x@y.example\r\nBcc: all@acme.example"
    value: Any = {"X-Note": evil} if field == "headers" else evil
    with pytest.raises((DeliveryRefused, DeliveryDelayed)):
        await provider(settings(start(), certificate)).send(mail(**{field: value}))
    assert all("Bcc" not in got for got in inbox.mails)


def _file(folder: Path) -> Provider:
    return provider(EmailSettings(backend="file", folder=folder / "mail"))


@pytest.mark.feature("MAIL-01", "MAIL-02")
async def test_the_folder_gets_one_file_for_each_mail_that_only_its_owner_reads(tmp_path: Path) -> None:
    box = _file(tmp_path)
    outgoing = mail()
    receipts = await box.send_batch([outgoing, mail()])
    assert [isinstance(receipt, Receipt) for receipt in receipts] == [True, True]
    path = tmp_path / "mail" / f"{outgoing.id}.eml"
    assert path.stat().st_mode & 0o777 == 0o600
    got = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert got["Subject"] == outgoing.subject
    assert await box.get_status(outgoing.id) == "sent"
    assert await box.get_status(ids.new("eml")) is None
    assert await box.get_status(f"../mail/{outgoing.id}") == "sent"
    assert await box.get_status("../../etc/passwd") is None
    assert not box.delivers


async def test_a_folder_that_cannot_be_written_delays(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file in the way")
    [answer] = await _file(tmp_path).send_batch([mail()])
    assert isinstance(answer, DeliveryDelayed)


@pytest.mark.feature("MAIL-01", "MAIL-02")
async def test_the_console_prints_what_the_reader_needs() -> None:
    stream = io.StringIO()
    box = ConsoleProvider(stream)
    report = Attachment(filename="report.pdf", content=b"x" * 2048)
    await box.send_batch([mail(attachments=[report])])
    printed = stream.getvalue()
    for part in (
        "jo@globex.example",
        "set a new password",
        "https://acme.example/reset",
        "[report.pdf, 2,048 bytes]",
    ):
        assert part in printed
    assert await box.get_status("x") is None
    assert isinstance(provider(EmailSettings()), ConsoleProvider)


@pytest.mark.feature("MAIL-04")
async def test_mail_waits_out_a_server_that_is_down(
    *,
    database: Database,
    clock: ManualClock,
    inbox: Inbox,
    start: Start,
    certificate: Path,
    unused_port: int,
) -> None:
    smtp = settings(unused_port, certificate)
    events = Events(database, clock=clock)
    jobs = Jobs(database, events, clock=clock)
    room = Email(
        database,
        events,
        jobs,
        keyring(),
        Preferences(database, events, clock=clock),
        settings=smtp,
        provider=provider(smtp),
        clock=clock,
    )
    org_id = ids.new("org")
    admin = Caller(id=ids.new("usr"), kind="user", org_id=org_id, permissions=frozenset({"email:read"}))
    data = {"url": "https://acme.example/verify?token=abc"}
    message_id = await room.send(to="jo@globex.example", template="verify_email", data=data, org_id=org_id)
    await Worker(jobs).run_pending()
    with current.acting_as(admin):
        told = await room.get_status(message_id)
        assert (told.status, told.attempts) == ("queued", 1)
        assert inbox.mails == []
        start()
        clock.advance(7200)
        await Worker(jobs).run_pending()
        told = await room.get_status(message_id)
    assert (told.status, told.attempts, len(inbox.mails)) == ("sent", 2, 1)
    body = inbox.mails[0].get_body(("plain",))
    assert body is not None
    assert data["url"] in body.get_content()

"""Rules of e-mail."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from bartizan.backbone.email.errors import (
    BrokenTemplate,
    DeliveryRefused,
    UnknownEmail,
    UnknownTemplate,
    UnreadableMail,
)
from bartizan.backbone.email.events import EmailFailed, EmailSent
from bartizan.backbone.email.settings import EmailSettings
from bartizan.backbone.email.store import EmailStore
from bartizan.backbone.email.tables import EmailMessageRow
from bartizan.backbone.email.types import Attachment, Everywhere, Outgoing, Provider, Status, StatusFilter
from bartizan.backbone.email.types import Email as EmailRecord
from bartizan.backbone.events import Events
from bartizan.backbone.jobs import GiveUp, JobContext, Jobs
from bartizan.backbone.preferences import Level, Preference, Preferences, Where
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.crypto import CannotOpen, Keyring
from bartizan.foundation.database import Database
from bartizan.foundation.errors import BartizanError, Invalid
from bartizan.foundation.pages import Cursor, Limit, Page, cut, decode

from .address import checked_address, checked_attachments
from .colour import Palette, contrast, palette, rgb_of
from .rendering import Brand, Rendered, Templates

__all__ = ["READ", "SEND", "Brand", "Email", "Palette", "contrast", "palette", "rgb_of"]

READ = Permission("email:read", "See which e-mails were sent, and whether they arrived")
SEND = Permission("email:send", "Send a test e-mail")

_DELIVER = "email.deliver"
_PURGE = "email.purge"
_HTTPS = Annotated[str, Field(max_length=500, pattern=r"^(https://[^\s<>\"]+)?$")]
_LEVELS: frozenset[Level] = frozenset({"global", "organization"})


class Email:
    """E-mail by template: ``bz.email``.

    :meth:`send` writes a row and a job in the caller's transaction, so a mail exists exactly if the change
    that it is about does, and a mail server that is down delays it and never loses it.
    """

    def __init__(
        self,
        database: Database,
        events: Events,
        jobs: Jobs,
        keyring: Keyring,
        preferences: Preferences,
        *,
        settings: EmailSettings,
        provider: Provider,
        clock: Clock | None = None,
    ) -> None:
        self._database = database
        self._events = events
        self._jobs = jobs
        self._keyring = keyring
        self._preferences = preferences
        self._settings = settings
        self._provider = provider
        self._clock = clock or Clock()
        self._templates = Templates(settings.templates)
        jobs.handler(
            _DELIVER,
            self.deliver,
            queue="email",
            timeout=max(60.0, settings.timeout * 6),
            max_attempts=settings.attempts,
        )
        jobs.handler(_PURGE, self.purge)
        jobs.schedule("email-purge", every=86_400, kind=_PURGE)
        for preference in _brand_preferences():
            preferences.declare(preference)

    @property
    def delivers(self) -> bool:
        """Whether mail really reaches people: the console and the folder only show it."""
        return self._provider.delivers

    async def send(
        self,
        *,
        to: str,
        template: str,
        data: Mapping[str, Any] | None = None,
        org_id: str | None = None,
        attachments: Sequence[Attachment] = (),
    ) -> str:
        """Queue one mail to one address, in the caller's transaction; return its id.

        The template is rendered at once for a check, so that wrong data fails here and not at night, and
        again at delivery, in the look of the organization, or of the platform where none is named. Data and
        attachments are sealed, and deleted when a server took the mail. For code: no permission is asked.
        """
        address = checked_address(to)
        files = checked_attachments(attachments, self._settings.attachments_limit)
        words = dict(data or {})
        message_id = ids.new("eml")
        async with self._database.transaction() as session:
            self._templates.render(template, words, await self.brand(org_id))
            EmailStore(session).add(
                EmailMessageRow(
                    id=message_id,
                    org_id=org_id,
                    template=template,
                    recipient=address,
                    sealed=self._seal(message_id, words, files),
                    status="queued",
                    attempts=0,
                    last_error=None,
                    provider=None,
                    provider_id=None,
                    created_at=self._clock.now(),
                    sent_at=None,
                )
            )
            await session.flush()
            await self._jobs.enqueue(_DELIVER, {"message_id": message_id}, org_id=org_id)
        return message_id

    async def send_test(self) -> EmailRecord:
        """Send the caller a mail, to see that mail works and how the organization's looks."""
        current.require(SEND)
        caller = current.caller
        if caller.email is None:
            message = "Only a person with an e-mail address can send a test."
            raise Invalid(message, field="to")
        lines = ["You asked for a test. Mail works.", "This is how mails of your organization look."]
        data = {"title": "Mail works", "lines": lines}
        message_id = await self.send(to=caller.email, template="notice", data=data, org_id=caller.org_id)
        async with self._database.reading() as session:
            row = await EmailStore(session, everywhere=True).find(message_id)
        return EmailRecord.model_validate(row)

    async def list(
        self,
        limit: Limit = 50,
        cursor: Cursor = None,
        status: StatusFilter = None,
        *,
        everywhere: Everywhere = False,
    ) -> Page[EmailRecord]:
        """List the organization's e-mails, newest first; operators may ask for everybody's."""
        before = decode(cursor)[0] if cursor else None
        async with self._database.reading() as session:
            rows = await _asked(session, everywhere=everywhere).page(before, limit, status)
        page, further = cut(rows, limit, lambda row: [row.id])
        return Page(items=[EmailRecord.model_validate(row) for row in page], next=further)

    async def get_status(self, message_id: str, *, everywhere: Everywhere = False) -> EmailRecord:
        """Tell what became of one e-mail."""
        async with self._database.reading() as session:
            row = await _asked(session, everywhere=everywhere).find(message_id)
        if row is None:
            raise UnknownEmail(message_id=message_id)
        return EmailRecord.model_validate(row)

    async def brand(self, org_id: str | None) -> Brand:
        """Give the look of an organization, or of the platform."""
        where = Where(org_id=org_id)
        with current.as_system(org_id, "email"):  # mail is also sent for people who are not signed in
            return Brand(
                name=await self._preferences.get_effective("brand.name", where) or self._settings.product,
                logo_url=await self._preferences.get_effective("brand.logo_url", where) or None,
                hue=await self._preferences.get_effective("brand.hue", where),
            )

    async def deliver(self, payload: dict[str, Any], job: JobContext) -> None:
        """Hand one queued mail to the provider: the job ``email.deliver``.

        No transaction is open while the network is waited for. A crash between the server's answer and our
        note of it sends the mail twice, with the same ``Message-ID``; it is never lost.
        """
        message_id = str(payload["message_id"])
        async with self._database.transaction() as session:
            row = await EmailStore(session, everywhere=True).find(message_id, lock=True)
            if row is None or row.sealed is None:
                return
            row.status, row.attempts = "queued", row.attempts + 1
            template, to, org_id, sealed = row.template, row.recipient, row.org_id, row.sealed
        try:
            data, files = self._open(message_id, sealed)
            words = self._templates.render(template, data, await self.brand(org_id))
            receipt = await self._provider.send(self._outgoing(message_id, to, words, files))
        except (DeliveryRefused, BrokenTemplate, UnknownTemplate, UnreadableMail) as error:
            status: Status = "bounced" if isinstance(error, DeliveryRefused) else "failed"
            await self._failed(message_id, error, status)
            raise GiveUp(str(error)) from error
        except BartizanError as error:
            await self._failed(message_id, error, "failed" if job.last else "queued")
            raise
        async with self._database.transaction() as session:
            row = await EmailStore(session, everywhere=True).find(message_id, lock=True)
            if row is not None:
                row.status, row.sealed, row.last_error = "sent", None, None
                row.provider, row.provider_id = self._provider.name, receipt.provider_id
                row.sent_at = self._clock.now()
                await self._events.announce(
                    EmailSent(message_id=message_id, template=template), org_id=org_id
                )

    async def purge(self, payload: dict[str, Any], job: JobContext) -> None:  # noqa: ARG002 - a job's shape
        """Delete the records of mails finished long ago: the job ``email.purge``."""
        before = self._clock.now() - timedelta(days=self._settings.keep_days)
        async with self._database.transaction() as session:
            await EmailStore(session, everywhere=True).purge(before)

    async def _failed(self, message_id: str, error: BartizanError, status: Status) -> None:
        async with self._database.transaction() as session:
            row = await EmailStore(session, everywhere=True).find(message_id, lock=True)
            if row is None:
                return
            row.status, row.last_error, row.provider = status, str(error)[:500], self._provider.name
            if status != "queued":
                event = EmailFailed(message_id=message_id, template=row.template, status=status)
                await self._events.announce(event, org_id=row.org_id)

    def _outgoing(self, message_id: str, to: str, words: Rendered, files: Sequence[Attachment]) -> Outgoing:
        return Outgoing(
            id=message_id,
            sender=self._settings.sender,
            reply_to=self._settings.reply_to,
            to=to,
            subject=words.subject,
            text=words.text,
            html=words.html,
            attachments=files,
        )

    def _seal(self, message_id: str, data: Mapping[str, Any], files: Sequence[Attachment]) -> bytes:
        packed = [[f.filename, f.content_type, base64.b64encode(f.content).decode()] for f in files]
        plain = json.dumps({"data": data, "files": packed}, separators=(",", ":")).encode()
        return self._keyring.seal(plain, _label(message_id))

    def _open(self, message_id: str, sealed: bytes) -> tuple[dict[str, Any], Sequence[Attachment]]:
        try:
            plain = json.loads(self._keyring.open(sealed, _label(message_id)))
        except CannotOpen as error:
            raise UnreadableMail from error
        files = [
            Attachment(filename=name, content_type=kind, content=base64.b64decode(content))
            for name, kind, content in plain["files"]
        ]
        return plain["data"], files


def _asked(session: Any, *, everywhere: bool) -> EmailStore:
    """Check the permission; give the e-mails that the caller may see."""
    if everywhere:
        current.require_operator()
        return EmailStore(session, everywhere=True)
    current.require(READ)
    return EmailStore(session, current.org_id)


def _label(message_id: str) -> bytes:
    return f"email/{message_id}".encode()


def _brand_preferences() -> Sequence[Preference]:
    hue = Annotated[float, Field(ge=0, lt=360)]
    name = Annotated[str, Field(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]
    return [
        Preference(
            key="brand.name",
            type=name,
            default="",
            description="What mails and pages call you.",
            levels=_LEVELS,
        ),
        Preference(
            key="brand.logo_url",
            type=_HTTPS,
            default="",
            description="Address of a logo, about 160 by 32 pixels.",
            levels=_LEVELS,
        ),
        Preference(
            key="brand.hue",
            type=hue,
            default=262.0,
            description="Hue of buttons and links in degrees (OKLCH); how light they are follows.",
            levels=_LEVELS,
        ),
    ]

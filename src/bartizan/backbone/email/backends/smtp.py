"""Sends mail by SMTP (RFC 5321), encrypted unless told otherwise."""

import ssl
from collections.abc import Sequence
from email.utils import parseaddr

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from bartizan.backbone.email.errors import DeliveryDelayed, DeliveryRefused
from bartizan.backbone.email.settings import EmailSettings
from bartizan.backbone.email.types import Outgoing, Receipt, Status
from bartizan.foundation.clock import Clock

from .mime import build

_PERMANENT = range(500, 600)


class SmtpProvider:
    """One connection for each mail or batch."""

    name = "smtp"
    delivers = True

    def __init__(self, settings: EmailSettings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or Clock()
        self._sender = parseaddr(settings.sender)[1]

    async def send(self, mail: Outgoing) -> Receipt:
        """Hand one mail to the server."""
        [answer] = await self.send_batch([mail])
        if isinstance(answer, Receipt):
            return answer
        raise answer

    async def send_batch(
        self, mails: Sequence[Outgoing]
    ) -> Sequence[Receipt | DeliveryDelayed | DeliveryRefused]:
        """Hand several over by one connection; if that breaks, the rest is delayed."""
        answers: list[Receipt | DeliveryDelayed | DeliveryRefused] = []
        try:
            client = self._client()
            async with client:
                for mail in mails:
                    answers.append(await self._deliver(client, mail))  # noqa: PERF401 - keeps what was sent
        except (SMTPException, OSError, ValueError) as error:
            delay = DeliveryDelayed(f"No answer from {self._settings.host}: {_reason(error)}")
            answers.extend(delay for _ in mails[len(answers) :])
        return answers

    async def get_status(self, provider_id: str) -> Status | None:  # noqa: ARG002 - the protocol's shape
        """Say nothing: SMTP tells no more than the answer it gave."""
        return None

    def _client(self) -> SMTP:
        settings = self._settings
        context = None
        if settings.tls != "none":
            context = ssl.create_default_context(cafile=settings.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
        return SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            timeout=settings.timeout,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=context,
        )

    async def _deliver(self, client: SMTP, mail: Outgoing) -> Receipt | DeliveryDelayed | DeliveryRefused:
        try:
            message = build(mail, self._clock)
        except ValueError as error:
            return DeliveryRefused(f"The mail cannot be written: {error}.")
        try:
            _, answer = await client.send_message(message, sender=self._sender, recipients=[mail.to])
        except SMTPRecipientsRefused as error:
            return _verdict(error.recipients[0])
        except SMTPAuthenticationError:
            raise
        except SMTPResponseException as error:
            return _verdict(error)
        return Receipt(provider_id=str(message["Message-ID"]), detail=answer[:200])


def _verdict(error: SMTPResponseException) -> DeliveryDelayed | DeliveryRefused:
    """Tell for good (5xx) from for now (4xx, and whatever is neither): RFC 5321, section 4.2.1."""
    kind = DeliveryRefused if error.code in _PERMANENT else DeliveryDelayed
    return kind(f"{error.code} {_clean(error.message)}", code=error.code)


def _reason(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {_clean(error.message)}"
    return _clean(str(error)) or type(error).__name__


def _clean(text: str) -> str:
    """Keep a server's words to one printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]

"""A mail as RFC 5322 and MIME: text, HTML and attachments."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from bartizan.backbone.email.types import Outgoing
from bartizan.foundation.clock import Clock


def build(mail: Outgoing, clock: Clock) -> EmailMessage:
    """Build the message; its ``Message-ID`` is the same at each attempt, so that a double can be told.

    The policy refuses line breaks in headers (``ValueError``).
    """
    _, sender_address = parseaddr(mail.sender)
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(mail.sender)
    message["To"] = Address(addr_spec=mail.to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{mail.id}@{sender_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if mail.reply_to:
        message["Reply-To"] = _address(mail.reply_to)
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    for attachment in mail.attachments:
        main, _, sub = attachment.content_type.partition("/")
        message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.filename)
    return message


def _address(text: str) -> Address:
    if not text.isprintable():
        message = "an address holds a line break"
        raise ValueError(message)
    name, address = parseaddr(text)
    return Address(display_name=name, addr_spec=address)

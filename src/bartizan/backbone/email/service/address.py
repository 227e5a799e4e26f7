"""What counts as an address, a file name and a line of a header."""

import re
from collections.abc import Sequence

from bartizan.backbone.email.errors import InvalidAddress, InvalidAttachment
from bartizan.backbone.email.types import Attachment

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_TYPE = re.compile(r"[a-zA-Z0-9!#$&^_.+-]{1,60}/[a-zA-Z0-9!#$&^_.+-]{1,60}")
_FILENAME = re.compile(r"[^\x00-\x1f\x7f/\\\"<>|:*?]{1,150}")
_LONGEST = 254


def checked_address(text: str) -> str:
    """Give the address with its domain in ASCII (RFC 5891); refuse all that is not one bare address.

    Line breaks, names, comments, quoted local parts and lists are refused, so that nothing of a
    caller's choosing gets into a header. So is a local part beyond ASCII (RFC 6531), which few servers take.
    """
    local, at, domain = text.rpartition("@")
    if not at or len(text) > _LONGEST or not _LOCAL.fullmatch(local):
        raise InvalidAddress(field="to")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise InvalidAddress(field="to")
    try:
        domain = domain.encode("idna").decode() if not domain.isascii() else domain
    except UnicodeError as error:
        raise InvalidAddress(field="to") from error
    if not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise InvalidAddress(field="to")
    return f"{local}@{domain}"


def checked_attachments(attachments: Sequence[Attachment], limit: int) -> Sequence[Attachment]:
    """Refuse file names that are paths, types that are none, and more than ``limit`` bytes."""
    for attachment in attachments:
        if not _FILENAME.fullmatch(attachment.filename) or attachment.filename.startswith("."):
            message = "A file name holds no path, quotes or control characters."
            raise InvalidAttachment(message, field="attachments")
        if not _TYPE.fullmatch(attachment.content_type):
            message = f"{attachment.content_type[:60]!r} is not a media type."
            raise InvalidAttachment(message, field="attachments")
    if sum(len(a.content) for a in attachments) > limit:
        message = f"The attachments are larger than {limit:,} bytes together."
        raise InvalidAttachment(message, field="attachments")
    return tuple(attachments)


def one_line(text: str, longest: int = 200) -> str:
    """Make a header's text one line of printable characters."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:longest]

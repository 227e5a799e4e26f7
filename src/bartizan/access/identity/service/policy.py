"""What a password must be like."""

import logging
import re
from collections.abc import Iterable
from importlib import resources

from bartizan.access.identity.errors import WeakPassword
from bartizan.access.identity.events import BreachCheckSkipped
from bartizan.access.identity.settings import IdentitySettings
from bartizan.access.identity.types import LONGEST_PASSWORD
from bartizan.backbone.events import Events
from bartizan.foundation.http import Outbound

from .breaches import BreachFile, BreachService, ServiceSilent

_log = logging.getLogger("bartizan.identity")
_CLASSES = (r"[a-z]", r"[A-Z]", r"\d", r"[^A-Za-z0-9]")
_PLAIN = str.maketrans("@4301!$57", "aaeoiisst")
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
)
_TRIMMINGS = 6
_LEFT_OVER = 6
_SHORTEST_NAME = 3
_VARIETY = 5


class Policy:
    """Judges new passwords: long enough, not well known, not about the person, not stolen before."""

    def __init__(self, settings: IdentitySettings, events: Events, outbound: Outbound | None) -> None:
        self._settings = settings
        self._events = events
        words = (
            resources.files("bartizan.access.identity.service")
            .joinpath("common.txt")
            .read_text("utf-8")
            .split()
        )
        self._common = frozenset(words)
        self._file = BreachFile(settings.breach_file) if settings.breach_file else None
        online = settings.breach_online and outbound is not None
        self._service = BreachService(outbound, settings.breach_url) if online and outbound else None

    async def check(self, password: str, *, field: str, about: Iterable[str | None]) -> None:
        """Refuse a weak password, saying why; ``about`` is what is known of the person."""
        reason = self._reason(password, [text.casefold() for text in about if text])
        if reason is None and self._file is not None and password in self._file:
            reason = "breached"
        if reason is None and self._service is not None and await self._stolen(self._service, password):
            reason = "breached"
        if reason is not None:
            raise WeakPassword(
                _MEANINGS[reason].format(
                    least=self._settings.password_min_length, classes=self._settings.password_classes
                ),
                field=field,
                reason=reason,
            )

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _reason(self, password: str, about: Iterable[str]) -> str | None:
        if not self._settings.password_min_length <= len(password) <= LONGEST_PASSWORD:
            return "long" if len(password) > LONGEST_PASSWORD else "short"
        if sum(bool(re.search(kind, password)) for kind in _CLASSES) < self._settings.password_classes:
            return "classes"
        lower = password.casefold()
        if self._is_common(lower):
            return "common"
        if len(set(lower)) < _VARIETY or _is_a_row(lower):
            return "repetitive"
        if _is_about(lower, about):
            return "personal"
        return None

    def _is_common(self, lower: str) -> bool:
        """Tell whether it is well known as it stands, or under the usual disguises: ``P@ssw0rd2024!``."""
        core = lower.strip("0123456789 .,;:!?@#$%^&*()-_=+~'\"/\\|<>")
        if len(lower) - len(core) > _TRIMMINGS:
            core = lower
        plain = {lower, core, lower.translate(_PLAIN), core.translate(_PLAIN)}
        if plain & self._common:
            return True
        half = len(core) // 2
        return len(core) % 2 == 0 and core[:half] == core[half:] and core[:half] in self._common

    async def _stolen(self, service: BreachService, password: str) -> bool:
        try:
            return await service.knows(password)
        except ServiceSilent as error:
            # Nobody is locked out because somebody else's server is down; the record says so.
            _log.warning("The service for breached passwords did not answer: %s", error)
            await self._events.announce(BreachCheckSkipped(reason=str(error)), org_id=None)
            return False


_MEANINGS = {
    "short": "The password needs at least {least} characters.",
    "long": f"The password can have at most {LONGEST_PASSWORD} characters.",
    "classes": "The password needs {classes} of: lower case, upper case, digits, others.",
    "common": "The password is one of those that everybody tries first.",
    "repetitive": "The password is a simple row or repeats itself.",
    "personal": "The password is made of your own name or address.",
    "breached": "The password is known from a theft of data somewhere; choose another.",
}


def _is_a_row(lower: str) -> bool:
    """Tell whether it runs along the alphabet or the keyboard, either way."""
    rows = [row * 2 for row in _ROWS]
    rows += [row[::-1] for row in rows]
    letters = lower.strip("!.?")
    return any(letters in row for row in rows)


def _is_about(lower: str, about: Iterable[str]) -> bool:
    rest = lower
    parts = {part for text in about for part in (text, *re.split(r"[^\w]+|_", text))}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_NAME:
            rest = rest.replace(part, "")
    return len(rest) < _LEFT_OVER and rest != lower

"""What the app behind the gate is told of who is asking, in headers and tokens of its own kind."""

import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, cast

from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Caller
from bartizan.foundation.crypto import Mint
from bartizan.foundation.errors import Forbidden
from bartizan.foundation.settings import BridgeSettings

from .request import Header

_MOST = 10_000
_FRESH = 0.8
"""The part of a token's life after which another is minted."""
_ALONE = re.compile(r"\{(\w+)\}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LISTS = frozenset({"roles", "permissions", "traits"})


class NotTellable(Forbidden):
    """What is known of the caller holds a character that no header can carry, so the app is not asked."""


class Bridge:
    """Writes for each caller the headers by which the app knows people.

    Synchronous, and remembered for 10,000 callers; beyond that the oldest goes. A caller that nobody knows
    gets nothing: neither a name nor the app's own key.
    """

    def __init__(self, settings: BridgeSettings | None = None, *, clock: Clock | None = None) -> None:
        """Read the templates and the key; raises ``UnusableKey``."""
        settings = settings or BridgeSettings()
        self._settings = settings
        self._clock = clock or Clock()
        self.names: frozenset[bytes] = frozenset(_plain(name) for name in settings.every_header())
        """What no caller may send, in small letters with hyphens: strip ``name.replace(b"_", b"-")``."""
        self._templates = [(name.lower().encode(), text) for name, text in settings.headers.items()]
        self._fixed: list[Header] = [
            (name.lower().encode(), secret.get_secret_value().encode())
            for name, secret in settings.secret_headers.items()
        ]
        self._mint = _mint(settings) if settings.token_header else None
        self._known: OrderedDict[Caller, tuple[float, list[Header]]] = OrderedDict()

    def headers(self, caller: Caller | None) -> list[Header]:
        """Give the headers for a caller; the list is shared, so add it and leave it as it is.

        Raises :class:`NotTellable` rather than send a name that would end its line.
        """
        if caller is None or not self.names:
            return []
        now = self._clock.monotonic()
        known = self._known.get(caller)
        if known is not None and now < known[0]:
            return known[1]
        headers = self._write(caller)
        self._known[caller] = (now + self._settings.token_lifetime * _FRESH, headers)
        self._known.move_to_end(caller)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return headers

    def dress(self, headers: Sequence[Header], caller: Caller | None) -> list[Header]:
        """Take out what the caller claims to be, and say who it is."""
        names = self.names
        if not names:
            return list(headers)
        kept = [header for header in headers if header[0].lower().replace(b"_", b"-") not in names]
        return kept + self.headers(caller)

    def environ(self, caller: Caller | None) -> Mapping[str, str]:
        """Give what a WSGI application reads beside the headers: ``REMOTE_USER``, where a setting says so."""
        if caller is None or not self._settings.remote_user:
            return {}
        name = self._text(self._settings.remote_user, _facts(caller))
        return {} if name is None else {"REMOTE_USER": name}

    def _write(self, caller: Caller) -> list[Header]:
        facts = _facts(caller)
        written = list(self._fixed)
        for name, template in self._templates:
            text = self._text(template, facts)
            if text is not None:
                written.append((name, text.encode()))
        if self._mint is not None:
            settings = self._settings
            token = self._mint.token(self._claims(facts))
            written.append((settings.token_header.lower().encode(), (settings.token_prefix + token).encode()))
        return written

    def _claims(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        settings, now = self._settings, int(self._clock.now().timestamp())
        claims = cast("dict[str, Any]", self._value(settings.token_claims, facts) or {})
        if settings.token_issuer:
            claims["iss"] = settings.token_issuer
        if settings.token_audience:
            claims["aud"] = settings.token_audience
        life = {
            "iat": now,
            "nbf": now,
            "exp": now + settings.token_lifetime,
            "jti": secrets.token_urlsafe(12),
        }
        return {**claims, **life}

    def _value(self, template: Any, facts: Mapping[str, Any]) -> Any:
        """Fill in a claim of any shape; none where it names what the caller does not have."""
        if isinstance(template, str):
            alone = _ALONE.fullmatch(template)
            return facts[alone[1]] if alone else self._text(template, facts)
        if isinstance(template, Mapping):
            entries = cast("Mapping[str, Any]", template).items()
            filled = {name: self._value(inner, facts) for name, inner in entries}
            return {name: value for name, value in filled.items() if value is not None}
        if isinstance(template, list | tuple):
            values = [self._value(inner, facts) for inner in cast("Sequence[Any]", template)]
            return [value for value in values if value is not None]
        return template

    @staticmethod
    def _text(template: str, facts: Mapping[str, Any]) -> str | None:
        parts: list[str] = []
        for literal, name, _, _ in Formatter().parse(template):
            parts.append(literal)
            if name is not None:
                if (fact := facts[name]) is None:
                    return None
                parts.append(_said(fact))
        text = "".join(parts)
        if _CONTROL.search(text):
            raise NotTellable
        return text


def _said(fact: Any) -> str:
    if isinstance(fact, bool):
        return str(fact).lower()
    return ",".join(cast("list[str]", fact)) if isinstance(fact, list) else str(fact)


def _facts(caller: Caller) -> dict[str, Any]:
    facts = {
        name: getattr(caller, name)
        for name in ("id", "kind", "user_id", "email", "org_id", "team_id", "actor_id", "operator")
    }
    return {**facts, **{name: sorted(getattr(caller, name)) for name in _LISTS}}


def _plain(name: str) -> bytes:
    return name.lower().replace("_", "-").encode()


def _mint(settings: BridgeSettings) -> Mint:
    key = settings.token_key.get_secret_value().strip() if settings.token_key else ""
    return Mint(settings.token_algorithm, key.encode(), kid=settings.token_key_id)

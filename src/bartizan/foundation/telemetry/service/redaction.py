"""Keeps secrets out of logs: by the name of a fact first, by the look of a text as a second net."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import SecretBytes, SecretStr

_MASK = "***"
_DEEPEST = 6
_MOST_ITEMS = 100
_LONGEST = 8000

# The last word decides: ``token`` and ``refresh_token`` are hidden, ``token_id`` and ``secret_name`` are not.
_SENSITIVE = re.compile(
    r"(?:^|[^a-z])(?:password|passwd|passphrase|pwd|secret|secrets|token|tokens|authorization|cookie|cookies"
    r"|api[-_]?key|private[-_]?key|secret[-_]?key|signing[-_]?key|credential|credentials|signature|otp|totp"
    r"|recovery[-_]?codes?|session)$",
    re.IGNORECASE,
)
# How many tokens a model read is not a secret.
_COUNTED = re.compile(r"(?i)tokens$")
# Every pattern has one way to match, so that a long hostile text costs no more than its length.
_SHAPES = (
    re.compile(r"(?i)\b(bearer|basic|digest|negotiate)[ \t]+[A-Za-z0-9+/=._~-]{6,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    re.compile(r"\bbtz_[a-z]{3,8}_[A-Za-z0-9]{8,}"),
    re.compile(r"\bwhsec_[A-Za-z0-9+/=]{8,}"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"),
)
_USERINFO = re.compile(r"://[^/\s:@?#]{0,200}:[^/\s?#]{1,400}@")
_PARAMETER = re.compile(
    r"(?i)\b(password|passwd|secret|token|api_key|access_token|client_secret|code)=[^&\s\"']+"
)


def redact(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Copy facts with every secret masked; what is too deep, too long or too many is cut."""
    return {key: _value(key, value, 0) for key, value in facts.items()}


def hush(text: str) -> str:
    """Mask what looks like a secret inside a text, and cut it at 8,000 characters."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    for shape in _SHAPES:
        text = shape.sub(_MASK, text)
    return _PARAMETER.sub(rf"\1={_MASK}", _USERINFO.sub(f"://{_MASK}@", text))


def sensitive(name: str) -> bool:
    """Tell whether a fact of this name must not be shown."""
    # ``accessToken`` and ``X-Api-Key`` are read as ``access_Token`` and ``X-Api-Key``.
    return _SENSITIVE.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[-80:])) is not None


def _value(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and _COUNTED.search(name):
        return value
    if sensitive(name) or isinstance(value, SecretStr | SecretBytes):
        return _MASK
    return value if isinstance(value, int | float) else _composed(name, value, depth)


def _composed(name: str, value: Any, depth: int) -> Any:
    if isinstance(value, bytes | bytearray):
        return f"<{len(value)} bytes>"
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        items = list(cast("Mapping[object, Any]", value).items())[:_MOST_ITEMS]
        return {str(key): _value(str(key), inner, depth + 1) for key, inner in items}
    if isinstance(value, list | tuple | set | frozenset):
        return _many(name, list(cast("Iterable[Any]", value))[:_MOST_ITEMS], depth)
    return hush(str(value))


def _many(name: str, values: list[Any], depth: int) -> list[Any]:
    """Redact a list; of a pair that names a header, the name decides over the value."""
    pair = len(values) == len(("name", "value")) and isinstance(values[0], str | bytes)
    if pair:
        head: str = values[0] if isinstance(values[0], str) else values[0].decode("latin-1")
        return [hush(head), _value(head, values[1], depth + 1)]
    return [_value(name, one, depth + 1) for one in values]

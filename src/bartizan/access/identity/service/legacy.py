"""Password hashes that other systems made: verified once, then replaced by ours."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from importlib import import_module

from bartizan.access.identity.errors import HashLibraryMissing

_MEMORY = 1 << 28
_MOST_ROUNDS = 20_000_000
_BCRYPT = re.compile(r"(?:bcrypt(?P<digest>_sha256)?\$)?(?P<hash>\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53})")
_DJANGO_PBKDF2 = re.compile(
    r"pbkdf2_(?P<name>sha1|sha256)\$(?P<rounds>\d{1,8})\$(?P<salt>[^$]+)\$(?P<hash>[^$]+)"
)
_PASSLIB_PBKDF2 = re.compile(
    r"\$pbkdf2(?P<name>-sha256|-sha512)?\$(?P<rounds>\d{1,8})\$(?P<salt>[^$]*)\$(?P<hash>[^$]+)"
)
_WERKZEUG_PBKDF2 = re.compile(
    r"pbkdf2:(?P<name>sha1|sha256|sha512):(?P<rounds>\d{1,8})\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]+)"
)
_DJANGO_SCRYPT = re.compile(
    r"scrypt\$(?P<n>\d{1,8})\$(?P<salt>[^$]+)\$(?P<r>\d{1,3})\$(?P<p>\d{1,3})\$(?P<hash>[^$]+)"
)
_PASSLIB_SCRYPT = re.compile(
    r"\$scrypt\$ln=(?P<ln>\d{1,2}),r=(?P<r>\d{1,3}),p=(?P<p>\d{1,3})\$(?P<salt>[^$]*)\$(?P<hash>[^$]+)"
)
_WERKZEUG_SCRYPT = re.compile(
    r"scrypt:(?P<n>\d{1,8}):(?P<r>\d{1,3}):(?P<p>\d{1,3})\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]+)"
)


def _packed(text: str) -> bytes:
    """Read base64 as passlib writes it: without padding, and with a dot where a plus would be."""
    text = text.replace(".", "+")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _pbkdf2(name: str, password: bytes, salt: bytes, rounds: str, wanted: bytes) -> bool:
    if not 1 <= int(rounds) <= _MOST_ROUNDS:
        return False
    made = hashlib.pbkdf2_hmac(name, password, salt, int(rounds), len(wanted))
    return hmac.compare_digest(made, wanted)


def _scrypt(password: bytes, salt: bytes, cost: tuple[int, str, str], wanted: bytes) -> bool:
    n, r, p = cost[0], int(cost[1]), int(cost[2])
    if n < 2 or n & n - 1 or not (r and p) or 128 * n * r > _MEMORY or r * p > 1 << 10:  # noqa: PLR2004
        return False
    made = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=2 * _MEMORY, dklen=len(wanted))
    return hmac.compare_digest(made, wanted)


def _bcrypt(password: bytes, found: re.Match[str]) -> bool:
    try:
        library = import_module("bcrypt")
    except ImportError as error:
        raise HashLibraryMissing from error
    if found["digest"]:
        password = hashlib.sha256(password).hexdigest().encode()
    # Every implementation stops at 72 bytes; newer versions of the library refuse to do so silently.
    return bool(library.checkpw(password[:72], found["hash"].encode()))


def _werkzeug_pbkdf2(password: bytes, found: re.Match[str]) -> bool:
    return _pbkdf2(
        found["name"], password, found["salt"].encode(), found["rounds"], bytes.fromhex(found["hash"])
    )


def _django_pbkdf2(password: bytes, found: re.Match[str]) -> bool:
    wanted = base64.b64decode(found["hash"], validate=True)
    return _pbkdf2(found["name"], password, found["salt"].encode(), found["rounds"], wanted)


def _passlib_pbkdf2(password: bytes, found: re.Match[str]) -> bool:
    name = (found["name"] or "-sha1")[1:]
    return _pbkdf2(name, password, _packed(found["salt"]), found["rounds"], _packed(found["hash"]))


def _django_scrypt(password: bytes, found: re.Match[str]) -> bool:
    wanted = base64.b64decode(found["hash"], validate=True)
    return _scrypt(password, found["salt"].encode(), (int(found["n"]), found["r"], found["p"]), wanted)


def _passlib_scrypt(password: bytes, found: re.Match[str]) -> bool:
    cost = (1 << min(int(found["ln"]), 30), found["r"], found["p"])
    return _scrypt(password, _packed(found["salt"]), cost, _packed(found["hash"]))


def _werkzeug_scrypt(password: bytes, found: re.Match[str]) -> bool:
    cost = (int(found["n"]), found["r"], found["p"])
    return _scrypt(password, found["salt"].encode(), cost, bytes.fromhex(found["hash"]))


_FORMS: tuple[tuple[re.Pattern[str], Callable[[bytes, re.Match[str]], bool]], ...] = (
    (_BCRYPT, _bcrypt),
    (_DJANGO_PBKDF2, _django_pbkdf2),
    (_PASSLIB_PBKDF2, _passlib_pbkdf2),
    (_WERKZEUG_PBKDF2, _werkzeug_pbkdf2),
    (_DJANGO_SCRYPT, _django_scrypt),
    (_PASSLIB_SCRYPT, _passlib_scrypt),
    (_WERKZEUG_SCRYPT, _werkzeug_scrypt),
)


def knows(hashed: str) -> bool:
    """Tell whether a hash has one of the forms that can be verified here."""
    return any(form.fullmatch(hashed) for form, _ in _FORMS)


def verify(password: str, hashed: str) -> bool:
    """Compare a password with a hash of another system: bcrypt, PBKDF2 or scrypt."""
    for form, check in _FORMS:
        if found := form.fullmatch(hashed):
            try:
                return check(password.encode(), found)
            except (binascii.Error, ValueError):
                return False
    return False

"""Passwords: how they are hashed, which hashes of others are understood, and which are too weak."""

import asyncio
import hashlib
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import select

from bartizan.access.identity import (
    BreachFileUnreadable,
    HashLibraryMissing,
    Identity,
    IdentitySettings,
    ImportedUser,
    NewUser,
    SignInBusy,
    WeakPassword,
    WrongCredentials,
)
from bartizan.access.identity.service import BreachFile, Passwords
from bartizan.access.identity.service.legacy import knows
from bartizan.access.identity.tables import UserRow
from bartizan.backbone.events import Events
from bartizan.foundation.clock import Clock, ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from bartizan.foundation.http import HttpSettings, Outbound
from tests.rooms.access.people import GOOD, OTHER, Letters, Told, new_identity, person

# Every one is a hash of "correct horse battery", written by the system in its name.
# fmt: off
LEGACY = {
    "bcrypt": "$2b$04$tG4Nv9pfxid6LwRjj.sB0uKIcGvR1KDFy9gJQ6ks92Hf0mWYA2HpO",
    "django bcrypt": "bcrypt_sha256$$2b$04$LSEL4JPumxUYDhhT2pQm.ugni3yOvhgEXxqZgDaluZk04xzfXAzhC",
    "django pbkdf2": "pbkdf2_sha256$1000$saltsalt$2vLrmxK8YFROnGTL6oinO4bfT02gvTppeFbz7HWz5X0=",
    "passlib pbkdf2": "$pbkdf2-sha256$1000$J0So1XpPyRkjxNj7P0coBQ$OXXljyT3zTfdeyIHoTvPGqvy2kLxzsTFAogDJcJH370",  # noqa: E501
    "passlib pbkdf2 sha512": "$pbkdf2-sha512$1000$LQXg3Nu7V4qR0rqXUsr5Xw$UfSTG6b6pksZPfbsHFa2zigHjYRMGaq.bwh5d8neAoZ5aIgip.BrWQRjAmi8iNC5k2UoEXbm/RQ5WljqMQ5tJQ",  # noqa: E501
    "werkzeug pbkdf2": "pbkdf2:sha256:1000$saltsalt$daf2eb9b12bc60544e9c64cbea88a73b86df4f4da0bd3a697856f3ec75b3e57d",  # noqa: E501
    "django scrypt": "scrypt$1024$saltsalt$8$1$zHGqXwqViXhuKrJZOyomTlMC9f/am+KLLaXauFM8XujSePrVZbJIyjCrVAU2YRwXjQVsmyNSZqZLsf9FnakBlQ==",  # noqa: E501
    "passlib scrypt": "$scrypt$ln=10,r=8,p=1$K8V4L+U8B+D8H8N4733vvQ$A4HZouY11Up4MS+XXu3gkxygK+xM+BSEyI27zDQ4RYo",  # noqa: E501
    "werkzeug scrypt": "scrypt:1024:8:1$saltsalt$cc71aa5f0a9589786e2ab2593b2a264e5302f5ffda9be28b2da5dab8533c5ee8d278fad565b248ca30ab540536611c178d056c9b235266a64bb1ff459da90195",  # noqa: E501
    "django argon2": "argon2$argon2id$v=19$m=64,t=1,p=1$/SiOgjryphSZdC6rVzXF7Q$bNI1k4krPUgsyizq4oAo0n8YFnJAC2CqFKfXHTMA6Pw",  # noqa: E501
    "weak argon2": "$argon2id$v=19$m=64,t=1,p=1$/SiOgjryphSZdC6rVzXF7Q$bNI1k4krPUgsyizq4oAo0n8YFnJAC2CqFKfXHTMA6Pw",  # noqa: E501
}
# fmt: on
OLD = "correct horse battery"


@pytest.fixture
async def passwords() -> AsyncGenerator[Passwords]:
    passwords = Passwords(IdentitySettings())
    yield passwords
    passwords.close()


# Hashing


@pytest.mark.feature("ID-08")
async def test_a_hash_is_argon2id_at_the_floor_and_never_the_password(passwords: Passwords) -> None:
    hashed = await passwords.hash(GOOD)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hashed != await passwords.hash(GOOD)
    assert (await passwords.verify(GOOD, hashed)).good
    for wrong in (OTHER, "", GOOD + "x", GOOD[:-1]):
        assert not (await passwords.verify(wrong, hashed)).good
    assert not (await passwords.verify(GOOD, None)).good
    assert not (await passwords.verify(GOOD, "not a hash")).good


@pytest.mark.feature("ID-08")
@pytest.mark.parametrize("weaker", [{"argon2_memory": 19_455}, {"argon2_time": 1}, {"argon2_lanes": 0}])
def test_nobody_can_set_the_cost_below_the_floor(weaker: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        IdentitySettings.model_validate(weaker)


async def test_letters_that_look_alike_are_one_letter(passwords: Passwords) -> None:
    composed, decomposed = "caf\u00e9 au lait, twice", "cafe\u0301 au lait, twice"
    assert (await passwords.verify(decomposed, await passwords.hash(composed))).good


@pytest.mark.feature("ID-08")
@pytest.mark.parametrize("kind", LEGACY)
async def test_hashes_of_other_systems_are_verified(passwords: Passwords, kind: str) -> None:
    hashed = LEGACY[kind]
    assert passwords.knows(hashed)
    verdict = await passwords.verify(OLD, hashed)
    assert (verdict.good, verdict.stale) == (True, True)
    assert not (await passwords.verify(GOOD, hashed)).good


@pytest.mark.feature("ID-08")
@pytest.mark.parametrize("kind", ["bcrypt", "django pbkdf2", "weak argon2"])
async def test_an_old_hash_becomes_ours_at_the_next_sign_in(
    database: Database, events: Events, letters: Letters, clock: ManualClock, kind: str
) -> None:
    identity = new_identity(database, events, letters, clock)
    with current.as_system():
        user = await identity.import_user(ImportedUser(email="old@example.com", password_hash=LEGACY[kind]))
    with pytest.raises(WrongCredentials):
        await identity.check_password("old@example.com", GOOD)
    await identity.check_password("old@example.com", OLD)
    async with database.reading() as session:
        hashed = await session.scalar(select(UserRow.password_hash).where(UserRow.id == user.id))
    assert hashed is not None
    assert hashed.startswith("$argon2id$v=19$m=19456,")
    await identity.check_password("old@example.com", OLD)
    identity.close()


@pytest.mark.parametrize(
    "broken",
    [
        "pbkdf2_sha256$99999999$salt$" + "A" * 44,
        "pbkdf2_sha256$0$salt$" + "A" * 44,
        "pbkdf2_sha256$1000$salt$%%%",
        "scrypt$1023$salt$8$1$" + "A" * 88,
        "scrypt$8388608$salt$99$1$" + "A" * 88,
        "scrypt:1024:8:1$salt$abc",
        "$scrypt$ln=99,r=8,p=1$AAAA$AAAA",
        "$2b$99$" + "A" * 53,
    ],
)
async def test_a_hash_that_cannot_be_or_would_never_end_is_simply_wrong(
    passwords: Passwords, broken: str
) -> None:
    assert knows(broken)
    assert not (await passwords.verify(OLD, broken)).good


async def test_too_many_at_once_are_refused_rather_than_piled_up() -> None:
    passwords = Passwords(IdentitySettings(hash_threads=1, hash_queue=1))
    results = await asyncio.gather(*(passwords.hash(GOOD) for _ in range(5)), return_exceptions=True)
    refused = [result for result in results if isinstance(result, SignInBusy)]
    assert len(refused) == 3
    assert refused[0].facts == {"retry_after": 1}
    assert await passwords.hash(GOOD)
    passwords.close()


# Policy


async def judge(identity: Identity, password: str) -> str | None:
    new = NewUser(
        email="ada.lovelace@engine.example",
        full_name="Ada Lovelace",
        username="countess",
        password=SecretStr(password),
    )
    try:
        await identity.prepare(new)
    except WeakPassword as refused:
        return str(refused.facts["reason"]) if refused.facts["field"] == "password" else "wrong field"
    return None


@pytest.mark.feature("ID-09")
@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short one", "short"),
        ("password123!", "common"),
        ("P@ssw0rd2024", "common"),
        ("qwertyuiop", "common"),
        ("Welcome2026!!", "common"),
        ("iloveyouiloveyou", "common"),
        ("aaaaaaaaaaaaaa", "repetitive"),
        ("abcabcabcabc", "repetitive"),
        ("stuvwxyzabcde", "repetitive"),
        ("poiuytrewqpoi", "repetitive"),
        ("Lovelace1815", "personal"),
        ("countess-42", "personal"),
        ("ada.lovelace@engine.example", "personal"),
        (GOOD, None),
        ("a countess owns 3 engines", None),
        ("tr7-Kolibri-banana", None),
    ],
)
async def test_a_weak_password_is_refused_with_its_reason(
    *,
    database: Database,
    events: Events,
    letters: Letters,
    clock: ManualClock,
    password: str,
    reason: str | None,
) -> None:
    identity = new_identity(database, events, letters, clock)
    assert await judge(identity, password) == reason
    identity.close()


@pytest.mark.feature("ID-09")
async def test_length_and_classes_can_be_asked_for(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> None:
    identity = new_identity(database, events, letters, clock, password_min_length=14, password_classes=4)
    assert await judge(identity, "Kolibri-9-mo") == "short"
    assert await judge(identity, "kolibri-9-morning") == "classes"
    assert await judge(identity, "Kolibri-9-morning") is None
    identity.close()


def test_a_password_cannot_be_longer_than_128_characters() -> None:
    with pytest.raises(ValidationError):
        NewUser(email="ada@example.com", password=SecretStr("x" * 129))


# Stolen passwords


def breach_file(path: Path, *passwords: str, fill: int = 2000) -> Path:
    """Write a file of stolen passwords."""
    texts = [*passwords, *(f"filler {number}" for number in range(fill))]
    digests = sorted(hashlib.sha1(text.encode()).digest()[:5] for text in texts)
    path.write_bytes(b"".join(digests))
    return path


@pytest.mark.feature("ID-09")
async def test_stolen_passwords_are_found_in_a_file_without_a_network(
    database: Database, events: Events, letters: Letters, clock: ManualClock, tmp_path: Path
) -> None:
    file = breach_file(tmp_path / "stolen", GOOD)
    identity = new_identity(database, events, letters, clock, breach_file=file)
    assert await judge(identity, GOOD) == "breached"
    assert await judge(identity, OTHER) is None
    identity.close()


def test_every_entry_of_the_file_is_found_and_nothing_else(tmp_path: Path) -> None:
    stolen = BreachFile(breach_file(tmp_path / "stolen", fill=5000))
    assert all(f"filler {number}" in stolen for number in range(5000))
    assert not any(f"other {number}" in stolen for number in range(5000))
    stolen.close()
    single = BreachFile(breach_file(tmp_path / "one", "only", fill=0))
    assert "only" in single
    assert "other" not in single
    single.close()


@pytest.mark.parametrize("content", [None, b"", b"abcdefg", b"zzzzzaaaaa"])
def test_a_file_that_is_no_sorted_list_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "stolen"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BreachFileUnreadable, match="stolen"):
        BreachFile(file)


class Ranges(BaseHTTPRequestHandler):
    """A range service on loopback."""

    stolen: ClassVar[str] = GOOD
    asked: ClassVar[list[tuple[str, str | None]]] = []
    broken: ClassVar[bool] = False

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("add-padding")))
        digits = hashlib.sha1(self.stolen.encode()).hexdigest().upper()
        padding = hashlib.sha1(OTHER.encode()).hexdigest().upper()
        body = f"{'0' * 35}:3\r\n{digits[5:]}:42\r\n{padding[5:]}:0\r\n".encode()
        self.send_response(503 if self.broken else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def range_service(*, broken: bool = False) -> Generator[str]:
    """Serve ranges; give the address."""
    Ranges.asked.clear()
    Ranges.broken = broken
    server = HTTPServer(("127.0.0.1", 0), Ranges)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/range/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
async def outbound() -> AsyncGenerator[Outbound]:
    outbound = Outbound(HttpSettings(allow=("127.0.0.0/8",)), clock=Clock())
    yield outbound
    await outbound.close()


@pytest.mark.feature("ID-09")
async def test_a_range_service_learns_five_digits_and_says_what_is_stolen(
    database: Database, events: Events, letters: Letters, clock: ManualClock, outbound: Outbound
) -> None:
    with range_service() as url:
        identity = new_identity(
            database, events, letters, clock, outbound=outbound, breach_online=True, breach_url=url
        )
        assert await judge(identity, GOOD) == "breached"
        assert await judge(identity, OTHER) is None, "a count of nought is padding"
        digits = hashlib.sha1(GOOD.encode()).hexdigest().upper()[:5]
        assert Ranges.asked[0] == (f"/range/{digits}", "true")
        identity.close()


@pytest.mark.feature("ID-09")
@pytest.mark.parametrize("broken", [True, False])
async def test_a_silent_range_service_lets_people_in_and_is_put_on_record(
    *,
    database: Database,
    events: Events,
    letters: Letters,
    clock: ManualClock,
    outbound: Outbound,
    broken: bool,
) -> None:
    told = Told(events)
    with range_service(broken=broken) as url:
        address = url if broken else "http://127.0.0.1:9/range/"
        identity = new_identity(
            database, events, letters, clock, outbound=outbound, breach_online=True, breach_url=address
        )
        await person(identity)
        assert "breach_check.skipped" in told.names()
        identity.close()


@pytest.mark.feature("ID-08")
async def test_bcrypt_without_its_library_says_how_to_get_it(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    with pytest.raises(HashLibraryMissing, match=r'pip install "bartizan\[import\]"'):
        await passwords.verify(OLD, LEGACY["bcrypt"])


@pytest.mark.feature("ID-09")
async def test_a_doubled_or_mostly_decorated_password_is_judged_by_what_it_is(
    database: Database, events: Events, letters: Letters, clock: ManualClock
) -> None:
    identity = new_identity(database, events, letters, clock)
    assert await judge(identity, "4711-8080-zoo-9999") is None
    assert await judge(identity, "dragon-monkey-12") is None
    identity.close()

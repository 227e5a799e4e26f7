"""Keys: what one seals only it opens, and every key can be replaced."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.foundation.clock import ManualClock
from bartizan.foundation.crypto import (
    BadToken,
    CannotOpen,
    CryptoSettings,
    Keyring,
    SigningKeys,
    TimedTokens,
    TokenExpired,
    TooFewKeys,
    UnknownSigningKey,
    tokens,
)
from bartizan.foundation.database import Database
from bartizan.foundation.settings import BaseSettings, UnsafeInProduction, check_production

OLD, NEW = "old-" + "k" * 40, "new-" + "k" * 40


@pytest.fixture
def keyring() -> Keyring:
    return Keyring([OLD])


@pytest.fixture
def signing(database: Database, keyring: Keyring, clock: ManualClock) -> SigningKeys:
    return SigningKeys(database, keyring, clock=clock)


def replica(of: SigningKeys) -> SigningKeys:
    return SigningKeys(of._database, of._keyring, of._settings, clock=of._clock)


# the key ring


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens_again(plaintext: bytes, context: bytes) -> None:
    keyring = Keyring([OLD])
    sealed = keyring.seal(plaintext, context)
    assert keyring.open(sealed, context) == plaintext
    assert len(sealed) == len(plaintext) + 77
    assert sealed != keyring.seal(plaintext, context)


def test_another_context_does_not_open(keyring: Keyring) -> None:
    with pytest.raises(CannotOpen):
        keyring.open(keyring.seal(b"x", b"secret sec_1"), b"secret sec_2")


def test_no_changed_byte_goes_unnoticed(keyring: Keyring) -> None:
    sealed = keyring.seal(b"plaintext", b"c")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(CannotOpen):
            keyring.open(bytes(changed), b"c")
    for length in range(len(sealed)):
        with pytest.raises(CannotOpen):
            keyring.open(sealed[:length], b"c")


def test_the_newest_key_seals_and_every_key_opens(keyring: Keyring) -> None:
    before = keyring.seal(b"x", b"c")
    both = Keyring([NEW, OLD])
    assert both.open(before, b"c") == b"x"
    assert keyring.current(before)
    assert not both.current(before)
    after = both.seal(b"y", b"c")
    assert both.current(after)
    with pytest.raises(CannotOpen):
        keyring.open(after, b"c")


def test_rotation_wraps_the_data_key_anew_and_leaves_the_data_alone(keyring: Keyring) -> None:
    before = keyring.seal(b"x" * 100, b"c")
    after = Keyring([NEW, OLD]).rewrap(before)
    assert after[49:] == before[49:]
    assert Keyring([NEW]).open(after, b"c") == b"x" * 100
    with pytest.raises(CannotOpen):
        Keyring([NEW]).rewrap(before)


def test_a_mac_depends_on_purpose_and_data_and_key(keyring: Keyring) -> None:
    mac = keyring.mac("api key", b"data")
    assert len(mac) == 32
    others = [
        keyring.mac("session", b"data"),
        keyring.mac("api key", b"datb"),
        Keyring([NEW]).mac("api key", b"data"),
    ]
    assert mac not in others
    both = Keyring([NEW, OLD])
    assert both.macs("api key", b"data") == [both.mac("api key", b"data"), mac]
    assert both.verify_mac("api key", b"data", mac)
    assert not Keyring([NEW]).verify_mac("api key", b"data", mac)


async def test_secret_keys_can_come_from_elsewhere() -> None:
    class Vault:
        async def secret_keys(self) -> Sequence[str]:
            return [NEW, OLD]

    keyring = await Keyring.from_source(Vault())
    assert keyring.open(Keyring([OLD]).seal(b"x", b""), b"") == b"x"


@pytest.mark.parametrize("keys", [[], [""], [OLD, ""]])
def test_a_ring_without_keys_is_refused(keys: list[str]) -> None:
    with pytest.raises(TooFewKeys):
        Keyring(keys)


def test_random_tokens_are_kept_as_digests() -> None:
    token = tokens.make()
    assert len(token) == 43
    assert token != tokens.make()
    assert len(tokens.digest(token)) == 32
    assert tokens.same(tokens.digest(token), tokens.digest(token))
    assert tokens.same("a", b"a")
    assert not tokens.same("a", "b")


# timed tokens


def test_a_timed_token_gives_its_text_back_until_its_time_is_over(
    keyring: Keyring, clock: ManualClock
) -> None:
    timed = TimedTokens(keyring, clock=clock)
    token = timed.issue("state", "säge/next", timedelta(seconds=60))
    assert timed.check("state", token) == "säge/next"
    assert TimedTokens(Keyring([NEW, OLD]), clock=clock).check("state", token) == "säge/next"
    clock.advance(60)
    with pytest.raises(TokenExpired):
        timed.check("state", token)


@given(st.one_of(st.text(), st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode())))
def test_no_made_up_timed_token_is_taken(text: str) -> None:
    with pytest.raises(BadToken):
        TimedTokens(Keyring([OLD]), clock=ManualClock()).check("state", text)


def test_a_timed_token_is_for_its_purpose_only(keyring: Keyring, clock: ManualClock) -> None:
    timed = TimedTokens(keyring, clock=clock)
    token = timed.issue("state", "x", timedelta(seconds=60))
    with pytest.raises(BadToken):
        timed.check("unsubscribe", token)
    with pytest.raises(BadToken):
        timed.check("state", timed.issue("state", "x" * 5000, timedelta(seconds=60)))


# signing keys


@pytest.mark.feature("ID-15")
async def test_a_signed_token_verifies_and_carries_its_claims(
    signing: SigningKeys, clock: ManualClock
) -> None:
    token = await signing.sign({"sub": "usr_1", "sid": "ses_1"}, typ="at+jwt")
    claims = await signing.verify(token, typ="at+jwt")
    now = int(clock.now().timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": "bartizan",
        "aud": "bartizan",
        "sub": "usr_1",
        "sid": "ses_1",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
    }


@pytest.mark.feature("ID-15")
@pytest.mark.parametrize("lifetime", [900, 1800])
async def test_a_token_is_good_for_as_long_as_it_was_made_for(
    signing: SigningKeys, clock: ManualClock, lifetime: int
) -> None:
    token = await signing.sign({}, typ="at+jwt", lifetime=lifetime, audience="mcp")
    clock.advance(lifetime - 1)
    await signing.verify(token, typ="at+jwt", audience="mcp")
    with pytest.raises(BadToken):
        await signing.verify(token, typ="at+jwt")
    clock.advance(1)
    with pytest.raises(TokenExpired):
        await signing.verify(token, typ="at+jwt", audience="mcp")


@pytest.mark.feature("ID-15")
async def test_a_new_key_is_published_before_it_signs_and_the_old_verifies_during_the_overlap(
    signing: SigningKeys, clock: ManualClock
) -> None:
    before = await signing.sign({}, typ="t", lifetime=500_000)
    [old] = (await signing.jwks())["keys"]
    new = await signing.rotate()
    both = (await signing.jwks())["keys"]
    assert [key["kid"] for key in both] == [new.kid, old["kid"]]
    assert set(both[0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    meanwhile = await signing.sign({}, typ="t")
    clock.advance(300)
    after = await signing.sign({}, typ="t", lifetime=500_000)
    kids = [signing_kid(token) for token in (before, meanwhile, after)]
    assert kids == [old["kid"], old["kid"], new.kid]
    for token in (before, meanwhile, after):
        await signing.verify(token, typ="t")
    clock.advance(86_400)
    await signing.verify(after, typ="t")
    with pytest.raises(BadToken):
        await signing.verify(before, typ="t")
    assert [key["kid"] for key in (await signing.jwks())["keys"]] == [new.kid]


@pytest.mark.feature("ID-15")
async def test_a_leaked_key_is_replaced_at_once_on_every_replica(
    signing: SigningKeys, clock: ManualClock
) -> None:
    other = replica(signing)
    token = await other.sign({}, typ="t")
    await signing.verify(token, typ="t")
    await signing.rotate()
    new = await signing.rotate(at_once=True)
    with pytest.raises(BadToken):
        await signing.verify(token, typ="t")
    clock.advance(5)
    with pytest.raises(BadToken):
        await other.verify(token, typ="t")
    assert signing_kid(await other.sign({}, typ="t")) == new.kid
    assert [key["kid"] for key in (await other.jwks())["keys"]] == [new.kid]


@pytest.mark.feature("ID-15")
async def test_replicas_that_start_together_use_one_key(signing: SigningKeys) -> None:
    replicas = [signing, replica(signing), replica(signing)]
    made = await asyncio.gather(*(one.sign({}, typ="t") for one in replicas))
    assert len({signing_kid(token) for token in made}) == 1
    for one in replicas:
        for token in made:
            await one.verify(token, typ="t")


async def test_a_token_of_a_replica_that_rotated_is_known_after_a_second(
    signing: SigningKeys, clock: ManualClock
) -> None:
    other = replica(signing)
    await other.sign({}, typ="t")
    await signing.rotate(at_once=True)
    token = await signing.sign({}, typ="t")
    clock.advance(1)
    await other.verify(token, typ="t")


async def test_a_key_of_a_transaction_that_failed_is_not_remembered(signing: SigningKeys) -> None:
    class Stop(Exception):
        pass

    made: list[str] = []

    async def fail() -> None:
        async with signing._database.transaction():
            made.append(await signing.sign({}, typ="t"))
            await signing.verify(made[0], typ="t")
            raise Stop

    with pytest.raises(Stop):
        await fail()
    with pytest.raises(BadToken):
        await signing.verify(made[0], typ="t")
    token = await signing.sign({}, typ="t")
    await replica(signing).verify(token, typ="t")


@pytest.mark.feature("ID-15")
async def test_a_key_is_replaced_when_it_has_served_its_time(
    signing: SigningKeys, clock: ManualClock
) -> None:
    first = await signing.rotate_if_due()
    assert first
    assert await signing.rotate_if_due() is None
    clock.advance(90 * 86_400)
    second = await signing.rotate_if_due()
    assert second
    assert second.generation == first.generation + 1
    assert second.kid != first.kid


async def test_a_withdrawn_key_verifies_nothing_and_another_takes_its_place(signing: SigningKeys) -> None:
    token = await signing.sign({}, typ="t")
    await signing.withdraw(signing_kid(token))
    with pytest.raises(BadToken):
        await signing.verify(token, typ="t")
    assert signing_kid(await signing.sign({}, typ="t")) != signing_kid(token)
    with pytest.raises(UnknownSigningKey):
        await signing.withdraw(signing_kid(token))


@pytest.mark.feature("ID-15")
async def test_signing_keys_follow_the_secret_key(signing: SigningKeys, clock: ManualClock) -> None:
    token = await signing.sign({}, typ="t")
    both = SigningKeys(signing._database, Keyring([NEW, OLD]), clock=clock)
    assert await both.rewrap() == 1
    assert await both.rewrap() == 0
    only_new = SigningKeys(signing._database, Keyring([NEW]), clock=clock)
    await only_new.verify(token, typ="t")
    assert signing_kid(await only_new.sign({}, typ="t")) == signing_kid(token)
    lost = SigningKeys(signing._database, Keyring(["another key"]), clock=clock)
    with pytest.raises(CannotOpen):
        await lost.sign({}, typ="t")


@pytest.mark.feature("ID-15")
async def test_a_private_key_is_never_stored_in_clear(signing: SigningKeys) -> None:
    key = await signing.rotate()
    assert b"PRIVATE" not in key.sealed
    assert "d" not in key.public
    assert b"PRIVATE" in signing._keyring.open(key.sealed, b"signing key " + key.kid.encode())


def test_settings_that_would_cut_tokens_short_are_refused_in_production() -> None:
    class Settings(BaseSettings):
        crypto: CryptoSettings = CryptoSettings(overlap=10, publish_ahead=0)

    with pytest.raises(UnsafeInProduction) as caught:
        check_production(Settings(environment="production"))
    assert "BARTIZAN_CRYPTO__OVERLAP" in str(caught.value)
    assert "BARTIZAN_CRYPTO__PUBLISH_AHEAD" in str(caught.value)
    assert CryptoSettings().unsafe() == []


def test_importing_the_room_loads_neither_a_web_framework_nor_a_jose_library() -> None:
    program = (
        "import sys, bartizan.foundation.crypto;"
        "print([m for m in ('fastapi', 'starlette', 'joserfc', 'aiohttp') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


def signing_kid(token: str) -> str:
    header = token.split(".", maxsplit=1)[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "==="))["kid"])

"""Attacks on signing in: stolen tokens, fixed sessions, probing for accounts, floods, garbage."""

import asyncio
import base64
import json
import statistics
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from bartizan.access.identity import (
    EmailNotVerified,
    EmailOnly,
    SignInBusy,
    SignInLocked,
    WrongCredentials,
)
from bartizan.access.sessions import (
    Credentials,
    Impersonation,
    Refresh,
    RefreshNotGood,
    RefreshUsedBefore,
    Registration,
    SessionOver,
    Switch,
    Tokens,
)
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import current
from bartizan.foundation.database import Database
from bartizan.foundation.errors import Unauthenticated
from tests.rooms.access.people import GOOD, OTHER, Access, access, origin


@pytest.fixture
async def floor(database: Database, clock: ManualClock, tmp_path: Path) -> AsyncGenerator[Access]:
    floor = access(database, clock, tmp_path / "letters")
    yield floor
    floor.identity.close()


# 17: refresh tokens


async def refresh(floor: Access, token: str | None) -> Tokens:
    return await floor.sessions.refresh(Refresh.model_construct(refresh_token=token or ""))


@pytest.mark.feature("ID-05")
async def test_a_thief_and_the_victim_cannot_both_go_on(floor: Access) -> None:
    victim = await floor.register()
    stolen = victim.refresh_token
    victim = await refresh(floor, stolen)
    floor.clock.advance(60)
    with pytest.raises(RefreshUsedBefore):
        await refresh(floor, stolen)
    for token in (victim.refresh_token, stolen):
        with pytest.raises(RefreshNotGood):
            await refresh(floor, token)
    with pytest.raises(SessionOver):
        await floor.sessions.authenticate(victim.access_token or "")


@pytest.mark.feature("ID-05")
async def test_any_ancestor_of_the_family_ends_it(floor: Access) -> None:
    tokens = await floor.register()
    family = [tokens.refresh_token]
    for _ in range(4):
        floor.clock.advance(20)
        family.append((await refresh(floor, family[-1])).refresh_token)
    with pytest.raises(RefreshUsedBefore):
        await refresh(floor, family[1])
    with pytest.raises(RefreshNotGood):
        await refresh(floor, family[-1])


@pytest.mark.feature("ID-05", "ID-06")
async def test_refreshing_and_signing_out_at_once_leaves_nobody_signed_in(floor: Access) -> None:
    for _ in range(5):
        tokens = await floor.sign_in() if _ else await floor.register()
        caller = await floor.caller(tokens)

        async def out() -> None:
            with current.acting_as(caller):  # noqa: B023 - gathered before the next turn
                await floor.sessions.sign_out()

        request = Refresh(refresh_token=tokens.refresh_token or "")
        answers = await asyncio.gather(
            *(floor.sessions.refresh(request) for _ in range(5)), out(), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, Tokens):
                with pytest.raises(SessionOver):
                    await floor.sessions.authenticate(answer.access_token or "")
                with pytest.raises(RefreshNotGood):
                    await refresh(floor, answer.refresh_token)
            else:
                assert answer is None or isinstance(answer, RefreshNotGood)


@pytest.mark.feature("X-05", "ID-05")
async def test_no_refresh_after_deactivation(floor: Access) -> None:
    owner = await floor.register("owner")
    bob = await floor.member("bob", owner.org_id or "")
    with current.as_system():
        await floor.identity.deactivate(bob.user_id)
        await floor.identity.reactivate(bob.user_id)
    with pytest.raises(RefreshNotGood):
        await refresh(floor, bob.refresh_token)


async def test_one_kind_of_token_is_never_taken_for_another(floor: Access) -> None:
    tokens = await floor.register()
    for token in (tokens.refresh_token, tokens.csrf_token, tokens.session_id):
        with pytest.raises(SessionOver):
            await floor.sessions.authenticate(token or "")
    for token in (tokens.session_token, tokens.csrf_token):
        with pytest.raises(RefreshNotGood):
            await refresh(floor, token)
    foreign = await floor.signing_keys.sign(
        {"sub": tokens.user_id, "sid": tokens.session_id}, typ="other+jwt"
    )
    with pytest.raises(Unauthenticated):
        await floor.sessions.authenticate(foreign)


# 18: fixation


@pytest.mark.feature("ID-16")
async def test_every_step_gives_a_new_token_and_kills_the_old_one(floor: Access) -> None:
    acme, ada = await floor.register("acme"), await floor.register("ada")
    bob = await floor.member("bob", ada.org_id or "")
    await floor.orgs.members.join(ada.user_id, "admin", org_id=acme.org_id or "", source="added")
    seen = {ada.session_token}
    again = await floor.sign_in("ada")
    seen.add(again.session_token)
    with current.acting_as(await floor.caller(ada)):
        switched = await floor.sessions.switch(Switch(org_id=acme.org_id or ""))
        seen.add(switched.session_token)
    with pytest.raises(SessionOver):
        await floor.caller(ada)
    with current.acting_as(await floor.caller(again)):
        acting = await floor.sessions.impersonate(Impersonation(user_id=bob.user_id, reason="Case 4711"))
        seen.add(acting.session_token)
    with current.acting_as(await floor.caller(acting)):
        back = await floor.sessions.stop_impersonating()
        seen.add(back.session_token)
    for old in (again, acting):
        with pytest.raises(SessionOver):
            await floor.caller(old)
    assert len(seen) == 5
    assert len({ada.csrf_token, again.csrf_token, acting.csrf_token}) == 3


async def test_a_token_that_somebody_else_chose_is_never_taken_up(floor: Access) -> None:
    planted = "x" * 43
    with current.receiving(replace(origin(), request_id=planted)):
        tokens = await floor.register()
    assert planted not in (tokens.session_token, tokens.refresh_token, tokens.session_id)
    with pytest.raises(SessionOver):
        await floor.sessions.authenticate(planted)


# 19: probing for accounts


def overlap(one: list[float], other: list[float]) -> float:
    """Give the chance that a sample of one is larger than of the other: 0.5 if nothing tells them apart."""
    larger = sum((a > b) + 0.5 * (a == b) for a in one for b in other)
    return larger / (len(one) * len(other))


@pytest.mark.feature("ID-03")
async def test_known_and_unknown_logins_take_equally_long(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    many = {"max_failures": 100, "max_failures_per_address": 10_000}
    floor = access(database, clock, tmp_path / "letters", identity=many)
    await floor.register("ada")
    owner = await floor.register("owner")
    disabled = await floor.member("disabled", owner.org_id or "")
    with current.as_system():
        await floor.identity.deactivate(disabled.user_id)
    times: dict[str, list[float]] = {"ada": [], "nobody": [], "disabled": []}
    for turn in range(65):
        for login, taken in times.items():
            started = time.perf_counter()
            with pytest.raises(WrongCredentials):
                await floor.identity.check_password(login, OTHER)
            if turn >= 5:
                taken.append(time.perf_counter() - started)
    medians = {login: statistics.median(taken) for login, taken in times.items()}
    for login in ("nobody", "disabled"):
        assert medians[login] == pytest.approx(medians["ada"], rel=0.25), medians
        assert 0.25 < overlap(times[login], times["ada"]) < 0.75, medians
    floor.identity.close()


@pytest.mark.feature("ID-03", "ID-12")
async def test_answers_about_accounts_take_a_round_time(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={"even_out": 0.2, "hide_accounts": True})
    await floor.sessions.register(Registration(email="ada@example.com", password=SecretStr(GOOD)))
    for email in ("ada@example.com", "nobody@example.com"):
        for ask in (floor.identity.request_password_reset, floor.identity.request_verification):
            started = time.perf_counter()
            await ask(EmailOnly(email=email))
            assert 0.195 < time.perf_counter() - started < 0.4
    floor.identity.close()


@pytest.mark.feature("ID-01", "ID-11")
async def test_registering_tells_nothing_even_to_who_tries_to_sign_in_afterwards(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={"hide_accounts": True})
    new, known = "new@example.com", "known@example.com"
    await floor.sessions.register(Registration(email=known, password=SecretStr(GOOD)))
    answers = {}
    for email in (new, known):
        registered = await floor.sessions.register(Registration(email=email, password=SecretStr(OTHER)))
        refusals = []
        for _ in range(6):
            with pytest.raises((WrongCredentials, SignInLocked, EmailNotVerified)) as refused:
                await floor.identity.check_password(email, OTHER)
            refusals.append((type(refused.value), str(refused.value)))
        answers[email] = (registered, refusals)
    assert answers[new] == answers[known]
    floor.identity.close()


@pytest.mark.feature("ID-10")
async def test_a_lock_is_no_oracle(floor: Access) -> None:
    await floor.register()
    told = []
    for login in ("ada", "nobody"):
        seen = []
        for _ in range(7):
            with pytest.raises((WrongCredentials, SignInLocked)) as refused:
                await floor.identity.check_password(login, OTHER)
            seen.append((type(refused.value), refused.value.facts))
        told.append(seen)
    assert told[0] == told[1]


# 20: floods


@pytest.mark.feature("ID-10")
async def test_stuffing_from_one_address_is_cut_off(floor: Access) -> None:
    await floor.register("victim")
    with current.receiving(origin("203.0.113.5")):
        results = [await _try(floor, f"user{number}@example.com") for number in range(30)]
        assert results.count(WrongCredentials) == 5
        assert results.count(SignInLocked) == 25
        assert await _try(floor, "victim", GOOD) is SignInLocked
    with current.receiving(origin("203.0.113.6")):
        assert await _try(floor, "victim", GOOD) is None


@pytest.mark.feature("ID-10")
async def test_a_stranger_cannot_lock_out_somebody_at_home(floor: Access) -> None:
    with current.receiving(origin("192.0.2.1")):
        await floor.register("victim")
        await floor.sign_in("victim")
    for attempt in range(30):
        with current.receiving(origin(f"203.0.113.{attempt}")):
            await _try(floor, "victim")
    with current.receiving(origin("192.0.2.7")):  # where sign_in came from
        assert await _try(floor, "victim", GOOD) is None


@pytest.mark.feature("ID-08")
async def test_a_megabyte_of_password_is_refused_before_it_is_hashed(floor: Access) -> None:
    await floor.register()
    with pytest.raises(ValidationError):
        Credentials(login="ada", password=SecretStr("x" * 1_000_000))
    started = time.perf_counter()
    with pytest.raises(WrongCredentials):
        await floor.identity.check_password("ada", "x" * 1_000_000)
    assert time.perf_counter() - started < 2


@pytest.mark.feature("ID-08", "ID-10")
async def test_a_hundred_at_once_leave_the_loop_free(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    floor = access(database, clock, tmp_path / "letters", identity={"hash_queue": 40})
    lags: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - before - 0.005)

    watcher = asyncio.create_task(watch())
    results = await asyncio.gather(*(_try(floor, f"user{number}@example.com") for number in range(100)))
    watcher.cancel()
    assert set(results) <= {WrongCredentials, SignInBusy}
    assert SignInBusy in results
    assert results.count(WrongCredentials) >= 40
    assert statistics.median(lags) < 0.05
    floor.identity.close()


async def _try(floor: Access, login: str, password: str = OTHER) -> type[Exception] | None:
    try:
        await floor.identity.check_password(login, password)
    except (WrongCredentials, SignInLocked, SignInBusy) as refused:
        return type(refused)
    return None


# Garbage


def _token(header: object, claims: object, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@pytest.mark.feature("ID-04")
async def test_forged_access_tokens_are_refused(floor: Access) -> None:
    tokens = await floor.register()
    real = tokens.access_token or ""
    head, body, signature = real.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    typed = {"typ": "at+jwt", "kid": kid}
    forged = [
        _token({"alg": "none", **typed}, claims),
        _token({"alg": "nOnE", **typed}, claims),
        _token({"alg": "HS256", **typed}, claims, b"x" * 32),
        _token({"alg": "ES256", "typ": "at+jwt", "kid": "other"}, claims, b"x" * 64),
        _token({"alg": "ES256", "typ": "at+jwt", "kid": "../../etc/passwd"}, claims, b"x" * 64),
        _token({"alg": "ES256", **typed, "jwk": {"kty": "EC"}}, claims, b"x" * 64),
        _token({"alg": "ES256", **typed}, {**claims, "sub": "usr_other"}, b"x" * 64),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}",
        f"{head}.{_token({}, {**claims, 'exp': 9e12}).split('.')[1]}.{signature}",
        "..",
        "a.b.c",
        "x" * 5000,
        ("y" * 1400 + ".") * 3,
        "",
        "é.é.é",
        "\x00" * 43,
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            await floor.sessions.authenticate(token)
    await floor.sessions.authenticate(real)


@pytest.mark.feature("ID-04")
async def test_no_text_is_a_token(floor: Access) -> None:
    await floor.register()
    for text in (
        "null",
        "true",
        "{}",
        "'; drop table bz_sessions; --",
        "%00",
        "\udc80" * 43,
        "ses_" + "0" * 26,
    ):
        with pytest.raises(Unauthenticated):
            await floor.sessions.authenticate(text)
        with pytest.raises(RefreshNotGood):
            await refresh(floor, text * 20)

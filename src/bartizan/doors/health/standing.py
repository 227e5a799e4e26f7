"""Checks of an installation whose house can be built: keys, people, and what the rooms bring themselves."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bartizan.doors.http.addresses import read_address
from bartizan.foundation.capability import Check, Verdict
from bartizan.foundation.crypto import CannotOpen
from bartizan.foundation.errors import BartizanError
from bartizan.house import CAPABILITIES, Bartizan

from .case import Case
from .database import DATABASE
from .host import HOST
from .mail import DELIVERY
from .web import REACHED, is_local

_PREVIOUS = "Put the key that was in use before behind the new one: BARTIZAN_SECRET_KEY=new,old"
_PEOPLE = 3
"""Fewer may well sit at one machine."""
_GRACE = 1.2
"""A daily schedule replaces the key; a day late is nothing to speak of."""


def standing(case: Case) -> Sequence[tuple[Check, Any]]:
    """Give every check with its subject: the case, or the service of the room that brings it."""
    house = case.rooms
    found: list[tuple[Check, Any]] = [(check, case) for check in (*DATABASE, *HELD)]
    for capability in CAPABILITIES:
        found += [(check, getattr(house, capability.name)) for check in capability.checks]
    found += [(check, house) for check in house.checks]
    found += [(check, case) for check in (*PEOPLE, *DELIVERY, *REACHED, *HOST)]
    return found


def catalogue(house: Bartizan | None = None) -> Sequence[Check]:
    """List every check there is besides those that need no house, in the order of the round."""
    rooms = [check for capability in CAPABILITIES for check in capability.checks]
    own = house.checks if house is not None else []
    return (*DATABASE, *HELD, *rooms, *own, *PEOPLE, *DELIVERY, *REACHED, *HOST)


async def _signing(case: Case) -> Verdict:
    house = case.rooms
    newest = await house.signing_keys.newest()
    if newest is None:
        return Verdict.ok("There is no signing key yet; the first token makes one.")
    try:
        house.signing_keys.open(newest)
    except CannotOpen:
        return Verdict.problem("The secret key does not open the signing key: it was replaced.", _PREVIOUS)
    age = house.clock.now() - newest.starts_at
    limit = timedelta(seconds=house.settings.crypto.rotate_after)
    if age <= limit * _GRACE:
        return Verdict.ok(f"The signing key is {max(0, age.days)} days old, of {limit.days}.")

    async def rotate() -> str:
        key = await house.signing_keys.rotate()
        return f"Replaced the signing key by {key.kid}; tokens of the old one stay good during the overlap."

    return Verdict.warning(
        f"The signing key is {age.days} days old and should have been replaced after {limit.days}.",
        "Let a worker run: it replaces the key every night when it is due. Or now: bartizan doctor --fix",
        rotate,
    )


async def _sealed(case: Case) -> Verdict:
    house = case.rooms
    if len(house.settings.secret_key) <= 1:
        return Verdict.ok("There is one secret key, so nothing is sealed under another.")

    async def reseal() -> str:
        keys, secrets = await house.signing_keys.rewrap(), await house.secrets.reseal()
        return f"Put {keys} signing keys and {secrets} secrets under the newest secret key."

    old = await house.signing_keys.outdated()
    if not old:
        return Verdict.ok("The signing keys are sealed under the newest secret key.")
    return Verdict.warning(
        f"{old} signing keys are sealed under an older secret key.",
        "bartizan doctor --fix, before you take the old key away",
        reseal,
    )


async def _owner(case: Case) -> Verdict:
    try:
        page = await case.rooms.identity.list(operator=True, active=True, limit=1)
    except BartizanError as error:
        return Verdict.unknown(f"People cannot be listed: {error}")
    if page.items:
        return Verdict.ok("There is an operator.")
    return Verdict.warning("Nobody is an operator yet.", "bartizan owner link")


async def _forwarded(case: Case) -> Verdict:
    """See by the newest sessions whether everybody seems to come from one machine, as behind a proxy."""
    page = await case.rooms.sessions.list_all(limit=50)
    seen = [one.ip for one in page.items if one.ip]
    people = {one.user_id for one in page.items if one.ip}
    if len(people) < _PEOPLE:
        return Verdict.unknown("Too few people have signed in to tell whether a proxy hides them.")
    address = read_address(seen[0])
    if len(set(seen)) > 1 or address is None or not address.is_private or is_local(case.given.base_url):
        return Verdict.ok("People are seen to come from where they are.")
    return Verdict.warning(
        f"Everybody seems to come from {seen[0]}: a proxy whose X-Forwarded-For is not believed.",
        f"Set BARTIZAN_GUARD__TRUSTED_PROXIES={seen[0]}, if that is your proxy.",
    )


def _auth(case: Case) -> Verdict:
    settings = case.rooms.settings
    if settings.enable_auth:
        return Verdict.ok("Everybody signs in.")
    say = Verdict.problem if settings.production else Verdict.warning
    return say("Authentication is off: everybody is the development user.", "Set BARTIZAN_ENABLE_AUTH=true")


HELD = (
    Check(
        code="keys.signing",
        group="Keys",
        asks="The signing key opens and is not overdue for replacement.",
        why="A key that leaked unnoticed is good until it is replaced; one that does not open signs nothing.",
        look=_signing,
        mends="replaces a signing key that is overdue",
    ),
    Check(
        code="keys.sealed",
        group="Keys",
        asks="What is stored is sealed under the newest secret key.",
        why="Take the old key away before, and it can never be opened again.",
        look=_sealed,
        mends="puts signing keys and secrets under the newest secret key",
    ),
)
PEOPLE = (
    Check(
        code="web.forwarded",
        group="Web",
        asks="People are seen to come from where they are, and not all from one proxy.",
        why="Otherwise address rules, rate limits and the audit log see the proxy, and all share one limit.",
        look=_forwarded,
    ),
    Check(
        code="identity.operator",
        group="Identity",
        asks="At least one active person is an operator.",
        why="Only operators see the platform as a whole, its jobs and its people.",
        look=_owner,
    ),
    Check(
        code="identity.auth",
        group="Identity",
        asks="Authentication is on.",
        why="Off, every request is a development user's with every permission.",
        look=_auth,
        needs="house",
    ),
)

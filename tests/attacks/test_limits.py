"""What must fail: getting more than a limit allows, and making others or the memory pay for the attempt."""

import tracemalloc
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.backbone.events import Events
from bartizan.backbone.limits import Bucket, Limits, LimitsSettings
from bartizan.foundation import ids
from bartizan.foundation.clock import ManualClock
from bartizan.foundation.context import Caller
from bartizan.foundation.database import Database
from bartizan.foundation.settings import MICROSECOND

ACME = ids.new("org")
MIB = 1024 * 1024
MILLION = 1_000_000


@pytest.fixture
def build(tmp_path: Any, clock: ManualClock) -> Any:
    """Give what builds the room on a database that is never asked: these attacks have no credential."""
    database = Database(f"sqlite:///{tmp_path}/none.db")

    def build(**settings: Any) -> Limits:
        chosen = LimitsSettings.model_validate(settings)
        return Limits(database, Events(database, clock=clock), chosen, clock=clock)

    return build


def member() -> tuple[Bucket, ...]:
    settings = LimitsSettings()
    return (
        Bucket("organization", ACME, settings.organization, org_id=ACME),
        Bucket("user", "usr_ada", settings.user, org_id=ACME),
    )


def allowed(limits: Limits, buckets: tuple[Bucket, ...], times: int) -> int:
    return sum(limits.take(buckets).allowed for _ in range(times))


@pytest.mark.feature("RATE-08", "X-18")
def test_a_million_addresses_leave_memory_flat_and_callers_alone(build: Any, clock: ManualClock) -> None:
    limits, ours = build(), member()
    assert allowed(limits, ours, 30) == 20
    (stranger,) = limits.address_bucket("203.0.113.9")
    numbers = count()

    def flood(times: int) -> None:
        for number in range(times):
            # What address_bucket() gives, without the cost of writing a million addresses.
            stranger.key = f"bz:limits:{{{next(numbers)}}}:address"
            limits.take((stranger,))
            if not number % 1000:
                clock.advance(0.000_1)

    tracemalloc.start()
    flood(60_000)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    held = len(limits._memory)
    flood(MILLION - 60_000)
    assert held <= len(limits._memory) <= 50_000 + 1_024 + 2
    assert taken < 16 * MIB
    assert allowed(limits, ours, 30) == 0
    clock.advance(3)
    assert allowed(limits, ours, 30) == 1
    clock.advance(30)
    limits._memory.tidy()
    assert len(limits._memory) <= 2


@pytest.mark.feature("RATE-08", "X-18")
def test_an_address_cannot_free_itself_by_a_flood_of_others(build: Any) -> None:
    limits = build(address="5/hour", most_addresses=1_000)
    mine = limits.address_bucket("203.0.113.9")
    assert allowed(limits, mine, 10) == 5
    for number in range(20_000):
        limits.take(limits.address_bucket(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"))
    assert allowed(limits, mine, 10) == 0


@pytest.mark.feature("X-18")
def test_a_network_of_one_owner_is_one_stranger(build: Any) -> None:
    limits = build(address="5/hour")
    taken = [limits.take(limits.address_bucket(f"2001:db8::{number:x}")).allowed for number in range(50)]
    assert sum(taken) == 5
    mapped = [limits.take(limits.address_bucket("::ffff:203.0.113.9")).allowed for _ in range(10)]
    plain = [limits.take(limits.address_bucket("203.0.113.9")).allowed for _ in range(10)]
    assert (sum(mapped), sum(plain)) == (5, 0)


@pytest.mark.feature("X-18", "RATE-01")
@given(st.text("/.", max_size=6), st.text("/.", max_size=6))
def test_no_way_of_writing_a_path_dodges_its_limit(before: str, after: str) -> None:
    database = Database("sqlite:///never-opened.db")
    clock = ManualClock()
    limits = Limits(
        database,
        Events(database, clock=clock),
        LimitsSettings.model_validate({"routes": {"POST /*": "5/hour", "POST /login": "1/hour"}}),
        clock=clock,
    )
    exact = limits.route_buckets("POST", "/login", None, "203.0.113.9")
    assert allowed(limits, exact, 3) == 1
    written = f"/{before}/login{'/' + after if after else ''}"
    segments = [part for part in written.split("/") if part not in {"", "."}]
    buckets = limits.route_buckets("POST", written, None, "203.0.113.9")
    if segments.count("login") == 1 and ".." not in segments and all(set(s) != {"."} for s in segments):
        assert not limits.take(buckets).allowed
    else:
        assert buckets


@pytest.mark.feature("X-18")
def test_names_of_callers_cannot_run_into_each_other(build: Any) -> None:
    limits = build(routes={"POST /x": "1/hour", "POST /x:0:usr_a": "1/hour"})

    def caller(name: str, org_id: str | None) -> Caller:
        return Caller(id=name, kind="user", user_id=name, org_id=org_id)

    keys = [
        limits.route_buckets("POST", path, caller(name, org_id))[0].key
        for path in ("/x", "/x:0:usr_a")
        for name in ("usr_a", "usr_b")
        for org_id in ("org_a", "org_b", None)
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.feature("X-18", "RATE-02")
def test_being_refused_is_no_way_to_use_up_what_others_share(build: Any) -> None:
    limits = build()
    loud, quiet = member(), (member()[0], Bucket("user", "usr_bob", LimitsSettings().user, org_id=ACME))
    assert allowed(limits, loud, 10_000) == 20
    assert allowed(limits, quiet, 20) == 20


@pytest.mark.feature("X-18")
def test_retry_after_never_tells_more_than_the_window(build: Any) -> None:
    limits, ours = build(), member()
    longest = max(bucket.full for bucket in ours) / MICROSECOND
    waits = [limits.take(ours).retry_after for _ in range(1_000)]
    assert max(waits) <= longest

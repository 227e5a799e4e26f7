"""Which limits hold for whom."""

from typing import Any

import pytest

from bartizan.backbone.limits import Bucket, Limits, LimitsSettings, NewLimit
from bartizan.foundation.context import current
from bartizan.foundation.settings import InvalidSettings, Rate, load
from bartizan.house import Settings

from .callers import ACME, ADMIN, GLOBEX, MEMBER, NEIGHBOUR, elsewhere, key, person
from .conftest import Build


def told(buckets: tuple[Bucket, ...]) -> list[tuple[str, str, str]]:
    return [(bucket.name, bucket.target, str(bucket.rate)) for bucket in buckets]


@pytest.mark.feature("RATE-01")
async def test_a_program_is_limited_with_its_organization_and_its_person(limits: Limits) -> None:
    assert told(await limits.buckets_of(MEMBER, "bearer")) == [
        ("organization", ACME, "100/minute burst 200"),
        ("user", MEMBER.id, "20/minute"),
    ]
    assert told(await limits.buckets_of(key(MEMBER), "key")) == [
        ("organization", ACME, "100/minute burst 200"),
        ("user", MEMBER.id, "20/minute"),
    ]
    assert told(await limits.buckets_of(elsewhere(MEMBER, None), "bearer")) == [
        ("user", MEMBER.id, "20/minute")
    ]


@pytest.mark.feature("RATE-01")
async def test_a_browser_has_a_limit_of_its_own(limits: Limits) -> None:
    assert told(await limits.buckets_of(MEMBER, "cookie")) == [
        ("browser", MEMBER.id, "1200/minute burst 300")
    ]


@pytest.mark.feature("RATE-01", "X-18")
async def test_all_programs_of_an_organization_are_counted_together(limits: Limits) -> None:
    one, other = await limits.buckets_of(MEMBER, "bearer"), await limits.buckets_of(ADMIN, "bearer")
    theirs = await limits.buckets_of(NEIGHBOUR, "bearer")
    assert one[0].key == other[0].key != theirs[0].key
    assert len({one[1].key, other[1].key, theirs[1].key}) == 3
    there = await limits.buckets_of(elsewhere(MEMBER, GLOBEX), "bearer")
    assert ACME in one[1].key
    assert GLOBEX in there[1].key


@pytest.mark.feature("X-18")
async def test_more_keys_of_one_person_give_no_more(build: Build) -> None:
    limits = build({"user": "5/minute"})
    keys = [await limits.buckets_of(key(MEMBER), "key") for _ in range(10)]
    assert sum(limits.take(buckets).allowed for buckets in keys) == 5


@pytest.mark.feature("KEY-05")
async def test_a_key_of_the_organization_has_its_own_rate_and_no_persons(limits: Limits) -> None:
    robot = key()
    buckets = await limits.buckets_of(robot, "key", own_rate=3)
    assert told(buckets) == [
        ("organization", ACME, "100/minute burst 200"),
        ("key", robot.id, "3/minute"),
    ]
    assert [limits.take(buckets).allowed for _ in range(4)] == [True, True, True, False]


@pytest.mark.feature("KEY-05", "RATE-01")
async def test_of_two_rates_of_a_key_the_lower_holds(build: Build) -> None:
    limits, robot = build({"key": "30/minute"}), key()
    assert told(await limits.buckets_of(robot, "key"))[1] == ("key", robot.id, "30/minute")
    assert told(await limits.buckets_of(robot, "key", own_rate=10))[1] == ("key", robot.id, "10/minute")
    with current.acting_as(ADMIN):
        await limits.set(NewLimit(scope="key", target=robot.id, rate=Rate(5, 60)))
    assert told(await limits.buckets_of(robot, "key", own_rate=10))[1] == ("key", robot.id, "5/minute")
    assert told(await limits.buckets_of(robot, "key", own_rate=2))[1] == ("key", robot.id, "2/minute")


async def test_the_system_is_not_limited_and_limits_can_be_off(build: Build, limits: Limits) -> None:
    with current.as_system(ACME):
        assert await limits.buckets_of(current.caller, "bearer") == ()
        assert build({"routes": {"GET /*": "1/day"}}).route_buckets("GET", "/x", current.caller) == ()
    off = build({"enabled": False, "routes": {"GET /*": "1/day"}})
    assert await off.buckets_of(MEMBER, "bearer") == ()
    assert off.address_bucket("203.0.113.9") == ()
    assert off.route_buckets("GET", "/x", MEMBER) == ()
    assert off.take(()).allowed
    assert off.take(()).headers() == []
    assert (await off.take_shared(())).allowed


@pytest.mark.feature("RATE-01")
@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("not:an:address", "unknown"),
        ("x" * 500, "x" * 40),
    ],
)
def test_an_address_is_counted_as_a_network_can_be_had(
    limits: Limits, address: str | None, counted: str
) -> None:
    assert told(limits.address_bucket(address)) == [("address", counted, "600/minute burst 300")]


ROUTES = {
    "POST /login": "5/minute",
    "GET /api/*": "10/second",
    "* /api/reports/*": "3/minute",
    "GET /api/reports/today": "1/minute",
    "* /any": "9/minute",
}


@pytest.mark.feature("RATE-01")
@pytest.mark.parametrize(
    ("request_line", "route"),
    [
        ("POST /login", "POST /login"),
        ("GET /login", None),
        ("POST /login/", "POST /login"),
        ("POST //login", "POST /login"),
        ("POST /./login", "POST /login"),
        ("POST /x/../login", "POST /login"),
        ("GET /api/x", "GET /api/*"),
        ("GET /api", "GET /api/*"),
        ("HEAD /api/x", "GET /api/*"),
        ("POST /api/x", None),
        ("GET /apix", None),
        ("GET /api/reports/old", "* /api/reports/*"),
        ("DELETE /api/reports/old", "* /api/reports/*"),
        ("GET /api/reports/today", "GET /api/reports/today"),
        ("PATCH /any", "* /any"),
        ("GET /", None),
    ],
)
def test_the_most_exact_route_counts(build: Build, request_line: str, route: str | None) -> None:
    limits = build({"routes": ROUTES})
    method, _, path = request_line.partition(" ")
    assert [bucket.target for bucket in limits.route_buckets(method, path, MEMBER)] == (
        [] if route is None else [route]
    )


@pytest.mark.feature("RATE-01", "X-18")
def test_a_route_is_limited_for_each_person_and_for_each_strangers_address(build: Build) -> None:
    limits = build({"routes": ROUTES})

    def counted(who: Any, address: str | None = None) -> str:
        return limits.route_buckets("POST", "/login", who, address)[0].key

    assert counted(MEMBER) == counted(key(MEMBER)) != counted(ADMIN)
    assert counted(None, "2001:db8::1") == counted(None, "2001:db8::2") != counted(None, "203.0.113.9")
    robot = key()
    assert counted(robot) == counted(robot) != counted(key())
    (stranger,) = limits.route_buckets("POST", "/login", None, "203.0.113.9")
    (member,) = limits.route_buckets("POST", "/login", MEMBER, "203.0.113.9")
    assert (stranger.shelf, member.shelf) == (1, 0)


def test_without_any_route_nothing_is_looked_up(limits: Limits) -> None:
    assert limits.route_buckets("GET", "/", person()) == ()


@pytest.mark.feature("RATE-01")
def test_settings_read_rates_from_the_environment() -> None:
    environ = {
        "BARTIZAN_LIMITS__USER": "50/minute burst 80",
        "BARTIZAN_LIMITS__ROUTES": '{"POST /api/x": "5/minute"}',
        "BARTIZAN_LIMITS__ON_FAILURE__ADDRESS": "closed",
    }
    settings = load(Settings, environ=environ).settings.limits
    assert settings.user == Rate(50, 60, 80)
    assert settings.routes == {"POST /api/x": Rate(5, 60)}
    assert (settings.on_failure.address, settings.on_failure.user) == ("closed", "open")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BARTIZAN_LIMITS__USER", "fast", "is no rate"),
        ("BARTIZAN_LIMITS__ROUTES", '{"/api/x": "5/minute"}', "is no route"),
        ("BARTIZAN_LIMITS__ROUTES", '{"GET /a*b": "5/minute"}', "is no route"),
        ("BARTIZAN_LIMITS__ROUTES", '{"GET /a": "5/eon"}', "is no unit"),
    ],
)
def test_settings_that_make_no_sense_are_named(name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidSettings, match=says) as refused:
        load(Settings, environ={name: value})
    assert name in str(refused.value)


def test_the_defaults_are_what_the_specification_says() -> None:
    settings = LimitsSettings()
    assert (str(settings.organization), str(settings.user)) == ("100/minute burst 200", "20/minute")

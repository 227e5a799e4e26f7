"""What may stand in a rule, how it is kept, and how much of it there may be."""

import pytest

from bartizan.access.ip_allowlist import InvalidIpRule, TooManyIpRules

from .conftest import HOME, Acme


@pytest.mark.feature("NET-01")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9/32", "203.0.113.9"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
async def test_addresses_are_kept_in_their_shortest_form(acme: Acme, given: str, kept: str) -> None:
    assert (await acme.rule(given, confirm=True)).addresses == [kept]


@pytest.mark.feature("NET-01")
@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["203.0.113.9/24"], "write 203.0.113.0/24"),
        (["2001:db8::1/32"], "write 2001:db8::/32"),
        (["::ffff:203.0.113.9/120"], "write 203.0.113.0/24"),
        (["203.0.113.9", "203.0.113.9"], "'203.0.113.9' is listed twice."),
        (["203.0.113.9", "::ffff:203.0.113.9/128"], "the same as '203.0.113.9'"),
        (["010.0.0.1"], "'010.0.0.1' is no address"),
        (["0x0a.0.0.1"], "is no address"),
        (["167772161"], "is no address"),
        (["10.1"], "is no address"),
        ([" 203.0.113.9"], "is no address"),
        (["203.0.113.9\n"], "is no address"),
        (["203.0.113.0 /24"], "is no address"),
        (["203.0.113.0/255.255.255.0"], "is no address"),
        (["203.0.113.0/0.0.0.255"], "is no address"),
        (["203.0.113.0/024"], "is no address"),
        (["203.0.113.0/33"], "is no address"),
        (["203.0.113.0/-1"], "is no address"),
        (["203.0.113.0/24/24"], "is no address"),
        (["fe80::1%eth0"], "is no address"),
        (["٢٠٣.0.113.9"], "is no address"),
        (["localhost"], "is no address"),
        (["*"], "is no address"),
        (["/"], "is no address"),
    ],
)
async def test_a_list_that_is_wrong_is_refused_and_the_entry_named(
    acme: Acme, entries: list[str], words: str
) -> None:
    with pytest.raises(InvalidIpRule) as refusal:
        await acme.rule(*entries, confirm=True)
    assert words in str(refusal.value)
    assert refusal.value.facts["field"] == "addresses"
    assert refusal.value.facts["entry"] == entries[-1]


async def test_lists_and_rules_are_bounded(acme: Acme) -> None:
    many = [f"10.{n >> 8}.{n & 255}.1" for n in range(501)]
    with pytest.raises(InvalidIpRule, match="500 addresses at most; this one has 501"):
        await acme.rule(*many, confirm=True)
    for _ in range(50):
        await acme.rule(HOME)
    with pytest.raises(TooManyIpRules):
        await acme.rule(HOME)

"""Commands about addresses: for whoever runs the machine and is locked out of what runs on it."""

from collections.abc import Sequence

import click

from bartizan.access.ip_allowlist import IpRule
from bartizan.access.orgs import UnknownOrganization
from bartizan.foundation.context import current
from bartizan.house import Bartizan

from .running import as_json, asking, table, with_house

_ME = "command line"
_NOTICED = "Servers notice within 5 seconds."
_org = click.option("--org", help="Organization (id or slug); left out, the rules of the whole platform.")


@click.group()
def ip() -> None:
    """See and mend the rules about addresses, also when they lock everybody out."""


@ip.command("list")
@_org
@click.option("--json", "json_", is_flag=True, help="Print for programs.")
@asking
async def rules(org: str | None, json_: bool) -> None:  # noqa: FBT001
    """Print the rules of the platform, or of one organization.

    \b
    Example:
      bartizan ip list --org acme
    """

    async def act(house: Bartizan) -> Sequence[IpRule]:
        org_id = await _named(house, org)
        with current.as_system(org_id, name=_ME):
            return await house.ip_allowlist.list("organization" if org_id else "global")

    found = await with_house(act)
    if json_:
        as_json([rule.model_dump(mode="json") for rule in found])
        return
    _print(found)


@ip.command()
@click.argument("addresses", nargs=-1, required=True)
@_org
@click.option("--note", default="Let in from the command line.", help="What the new rules are called.")
@asking
async def allow(addresses: tuple[str, ...], org: str | None, note: str) -> None:
    """Let ADDRESSES (or CIDR ranges) in wherever rules keep them out; other rules stay.

    \b
    Example:
      bartizan ip allow 203.0.113.7 --org acme
    """

    async def act(house: Bartizan) -> Sequence[IpRule]:
        org_id = await _named(house, org)
        with current.as_system(org_id, name=_ME):
            return await house.ip_allowlist.let_in(addresses, note, org_id)

    made = await with_house(act)
    _print(made)
    click.echo(_NOTICED if made else "There are no rules, so every address is let in already.", err=True)


@ip.command()
@_org
@click.option("--reason", required=True, help="Why; it goes on the record.")
@asking
async def disable(org: str | None, reason: str) -> None:
    """Switch off every rule of the platform, or of one organization.

    \b
    Example:
      bartizan ip disable --org acme --reason "Support case 4711"
    """

    async def act(house: Bartizan) -> Sequence[IpRule]:
        org_id = await _named(house, org)
        with current.as_system(org_id, name=_ME):
            return await house.ip_allowlist.switch_off(org_id, reason)

    off = await with_house(act)
    _print(off)
    click.echo(_NOTICED if off else "No rule was on.", err=True)


async def _named(house: Bartizan, org: str | None) -> str | None:
    """Find an organization by its id or its short name."""
    if org is None:
        return None
    with current.as_system(name=_ME):
        cursor = None
        while True:
            page = await house.orgs.list(limit=200, cursor=cursor)
            for one in page.items:
                if org in {one.id, one.slug}:
                    return one.id
            if (cursor := page.next) is None:
                message = f"There is no organization {org}."
                raise UnknownOrganization(message)


def _print(found: Sequence[IpRule]) -> None:
    rows = (
        (
            rule.id,
            "on" if rule.enabled else "off",
            rule.role or "everybody",
            ",".join(rule.callers),
            " ".join(rule.addresses),
            rule.note,
        )
        for rule in found
    )
    table(rows, ("rule", "state", "role", "callers", "addresses", "note"))

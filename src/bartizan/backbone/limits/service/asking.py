"""What a question about limits means: whose they are, and what for."""

from ipaddress import IPv6Address, ip_network
from typing import Final

from bartizan.backbone.limits.errors import LimitTarget
from bartizan.backbone.limits.settings import read_route
from bartizan.backbone.limits.tables import LimitRow
from bartizan.backbone.limits.types import PLATFORM, Limit, SettableScope
from bartizan.foundation import ids
from bartizan.foundation.context import Permission, current

OF_THE_WHOLE: Final = frozenset({"organization", "browser"})
"""Scopes of which an organization has one."""

_ONE: Final = {"user": "usr", "key": "key"}


def meant(org_id: str | None, permission: Permission, *, platform: bool = False) -> str:
    """Give the organization that is meant; another than one's own is for operators."""
    caller = current.caller
    mighty = caller.operator or caller.kind == "system"
    if mighty and org_id is not None and ids.valid(org_id, "org"):
        return org_id
    if mighty and platform and caller.org_id is None:
        return PLATFORM
    if org_id is not None and org_id != current.org_id:
        current.require_operator()
    current.require(permission)
    return current.org_id


def checked_target(scope: SettableScope, target: str | None) -> str:
    """Check what a limit is set for; give it as it is stored."""
    if scope in OF_THE_WHOLE:
        if target is not None:
            message = f"A limit of scope {scope} holds for the whole organization: leave the target out."
            raise LimitTarget(message, field="target")
        return ""
    if scope == "route":
        try:
            read_route(target or "")
        except ValueError as error:
            raise LimitTarget(str(error), field="target") from error
    elif not ids.valid(target or "", _ONE[scope]):
        message = f"Say for which {scope} by its id, {_ONE[scope]}_…"
        raise LimitTarget(message, field="target")
    return target or ""


def as_limit(row: LimitRow) -> Limit:
    return Limit.model_validate(
        {
            "id": row.id,
            "scope": row.scope,
            "target": row.target or None,
            "rate": row.rate,
            "set_by": row.set_by,
            "updated_at": row.updated_at,
        }
    )


def counted_address(address: str | None) -> str:
    """Write an address as it is counted: one that cannot be read counts with all such."""
    if address is None:
        return "unknown"
    if ":" not in address:
        return address[:40]
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    return str(found.ipv4_mapped or ip_network((int(found) >> 64 << 64, 64)))

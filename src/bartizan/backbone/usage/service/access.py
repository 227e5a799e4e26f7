"""Who sees whose usage."""

from bartizan.backbone.usage.types import EVERYBODY
from bartizan.foundation.context import Permission, current

READ = Permission("usage:read", "See how much the organization uses the application, and its quotas")


def reach(org: str | None) -> str | None:
    """Give the organization that the caller asks about and may see; none stands for all of them."""
    caller = current.caller
    if org is not None and org != caller.org_id:
        current.require_operator()
        return None if org == EVERYBODY else org
    if caller.org_id is None and (caller.operator or caller.kind == "system"):
        return None
    if not caller.operator:
        current.require(READ)
    return current.org_id

"""Who may see and change jobs."""

from bartizan.foundation.context import Permission, current

READ = Permission("jobs:read", "See jobs and schedules")
WRITE = Permission("jobs:write", "Retry, cancel and schedule jobs")


def scope(permission: Permission, *, everywhere: bool) -> str | None:
    """Give the one organization to look at; none, for operators, is all and the platform's own."""
    if everywhere or current.caller.org_id is None:
        current.require_operator()
        return None
    current.require(permission)
    return current.org_id

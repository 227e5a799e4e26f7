"""What the doctor looks at in the audit log."""

from bartizan.foundation.capability import Check, Verdict

from .service import Audit

_SHOWN = 3


async def _intact(audit: Audit) -> Verdict:
    state = await audit.look_over()
    if not state.spoilt:
        return Verdict.ok(f"The newest {state.checked:,} audit records are what was written.")
    some = ", ".join(state.spoilt[:_SHOWN])
    more = f" and {len(state.spoilt) - _SHOWN} more" if len(state.spoilt) > _SHOWN else ""
    return Verdict.problem(
        f"{len(state.spoilt)} of the newest {state.checked:,} audit records were changed: {some}{more}.",
        "Keep the database as it is for evidence, and compare these records with a backup. "
        "Change the database's passwords: only its owner can have done this.",
    )


async def _guarded(audit: Audit) -> Verdict:
    state = await audit.look_over(1)
    if not state.unguarded:
        return Verdict.ok("The database refuses to change or delete audit records.")
    return Verdict.problem(
        f"The audit log can be changed: {', '.join(state.unguarded)} is missing or off.",
        "Run the statements that this prints, as the owner of the tables: "
        "python -c \"from bartizan.backbone.audit.tables import APPEND_ONLY as t; print(*t['KIND'])\""
        " (KIND is sqlite or postgresql; there a trigger that is only off comes back with"
        " ALTER TABLE bz_audit_events ENABLE TRIGGER ALL).",
    )


CHECKS = (
    Check(
        code="audit.intact",
        group="Database",
        asks="The newest 500 audit records carry the hash of their own bytes.",
        why="A record whose bytes no longer give its hash was changed behind Bartizan's back.",
        look=_intact,
    ),
    Check(
        code="audit.guarded",
        group="Database",
        asks="The database itself refuses to change or delete audit records.",
        why="Without the triggers anyone who reaches the database can rewrite what happened.",
        look=_guarded,
    ),
)

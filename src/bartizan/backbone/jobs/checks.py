"""What the doctor looks at in the queue."""

from bartizan.foundation.capability import Check, Verdict

from .service import Jobs

_START = "Start one: `bartizan worker`, or leave BARTIZAN_EMBEDDED_WORKER on and start the app."
_SLOW, _STUCK = 60.0, 600.0
"""Seconds a job may be overdue before it is worth a word, and before it hurts."""


async def _worker(jobs: Jobs) -> Verdict:
    overdue = await jobs.schedules.overdue()
    if overdue is None:
        return Verdict.warning("No worker has run on this database yet.", _START)
    if overdue > 2 * jobs.settings.misfire:
        return Verdict.problem(f"No worker runs: a schedule has waited for {_time(overdue)}.", _START)
    return Verdict.ok("Schedules fire in time, so a worker is at work or was until just now.")


async def _delay(jobs: Jobs) -> Verdict:
    counts = await jobs.counts(everywhere=True)
    oldest = counts.oldest or 0.0
    said = f"{counts.pending:,} jobs wait and {counts.running:,} run"
    if oldest < _SLOW:
        return Verdict.ok(f"{said}; none is overdue by more than {_time(_SLOW)}.")
    fix = f"{_START} If workers run, give them more room: BARTIZAN_JOBS__CONCURRENCY, or another worker."
    say = Verdict.problem if oldest >= _STUCK else Verdict.warning
    return say(f"{said}; the oldest has been overdue for {_time(oldest)}.", fix)


async def _dead(jobs: Jobs) -> Verdict:
    counts = await jobs.counts(everywhere=True)
    if not counts.dead:
        return Verdict.ok("No job has been given up.")
    page = await jobs.failures(everywhere=True, limit=3)
    kinds = "; ".join(f"{one.count} x {one.kind}: {_last_line(one.error)}" for one in page.items)
    return Verdict.warning(
        f"{counts.dead:,} jobs were given up after all their attempts ({kinds}).",
        "Mend the cause, then `POST /api/v1/jobs/retry` sends them round again; "
        "`GET /api/v1/jobs/failures?everywhere=true` shows them by cause.",
    )


def _last_line(error: str | None) -> str:
    return (error or "no reason").strip().splitlines()[-1][:120]


def _time(seconds: float) -> str:
    """Write a span of time as people say it."""
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


CHECKS = (
    Check(
        code="jobs.worker",
        group="Jobs and mail",
        asks="A worker is alive.",
        why="Mail, webhooks and clean-up are jobs: without a worker they wait for ever.",
        look=_worker,
    ),
    Check(
        code="jobs.delay",
        group="Jobs and mail",
        asks="No job is overdue by more than a minute.",
        why="Somebody waits for each of them: for a mail to sign in with, for an export.",
        look=_delay,
    ),
    Check(
        code="jobs.dead",
        group="Jobs and mail",
        asks="No job was given up.",
        why="What was given up is not done: a mail not sent, a webhook not delivered.",
        look=_dead,
    ),
)

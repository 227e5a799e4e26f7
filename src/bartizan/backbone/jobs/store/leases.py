"""Claiming, renewing and ending leases: plain functions of a connection, so that they share commits."""

# ruff: noqa: S608 - the statements below are put together from constants of this file

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from sqlalchemy import ARRAY, Connection, Float, Integer, String, Text, bindparam, text
from sqlalchemy.sql.elements import TextClause

from bartizan.backbone.jobs.types import Claimed, Outcome, Turn, Wish
from bartizan.foundation.clock import Clock
from bartizan.foundation.database import Json, UtcDateTime

_LOCK = 7_020_312_094
"""The advisory lock under which workers count and claim, one at a time: caps hold exactly."""

_LEASE = """UPDATE bz_jobs SET state = 'leased', attempts = attempts + 1, started_at = :now,
 lease_until = :until, lease_token = :token"""
_GIVEN = """RETURNING id, org_id, lane, queue, kind, payload, priority, run_at, attempts,
 max_attempts, timeout, lease_token, correlation_id"""
_NEXT = "state = 'ready' AND queue = :queue AND lane"
_ORDER = "ORDER BY priority DESC, run_at, id"
_HELD = "SELECT count(*) FROM bz_jobs h WHERE h.state = 'leased' AND h.lane = lanes.lane"

# A loose index scan: one probe for each organization with ready work, however much of it there is. It goes
# round: from the first organization after :after to the end, and on from the front.
_FRONT = "(SELECT min(lane) FROM bz_jobs WHERE state = 'ready' AND queue = :queue)"
_STEP = f"coalesce((SELECT min(lane) FROM bz_jobs WHERE {_NEXT} > lanes.lane), {_FRONT})"
_LANES = f"""WITH RECURSIVE lanes(lane, origin, n) AS (
 SELECT s.lane, s.lane, 1
 FROM (SELECT coalesce((SELECT min(lane) FROM bz_jobs WHERE {_NEXT} > :after), {_FRONT}) AS lane) s
 UNION ALL
 SELECT {_STEP}, origin, n + 1 FROM lanes WHERE n < :most AND {_STEP} <> origin)"""


def _sql(statement: str, **types: Any) -> TextClause:
    moments = {name: UtcDateTime() for name in ("now", "until") if f":{name}" in statement}
    kinds = {**moments, **types}
    return text(statement).bindparams(*(bindparam(name, type_=kind) for name, kind in kinds.items()))


class Leases(ABC):
    """The exchange between a worker and the table."""

    server_clock = False
    """Whether the database tells the time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def local_now(self) -> datetime:
        """Tell the time where the database does not."""
        return self._clock.now()

    def turn(
        self,
        connection: Connection,
        *,
        outcomes: Sequence[Outcome],
        wish: Wish,
        cap: int,
        lease: float,
    ) -> Turn:
        """End the leases of ``outcomes`` and claim what a worker wishes; ``cap`` is over all workers."""
        now, free, ended = self._begin(connection, outcomes, lease)
        fenced = len(outcomes) - ended
        if wish.want and not free:
            return Turn((), fenced, busy=True)
        claimed: list[Claimed] = []
        values = {
            "now": now,
            "until": now + timedelta(seconds=lease),
            "token": token_hex(16),
            "cap": cap,
            "share": wish.share,
            "full": list(wish.full),
            "after": wish.after,
        }
        for queue in wish.queues:
            if (left := wish.want - len(claimed)) > 0:
                scope = {"queue": queue, "want": left, "most": left + len(wish.full) + 16}
                claimed += self._claim(connection, values | scope)
        claimed.sort(key=lambda job: (-job.priority, job.run_at, job.id))
        return Turn(claimed, fenced)

    def renew(self, connection: Connection, tokens: Sequence[str], lease: float) -> set[str]:
        """Prolong every lease under ``tokens``; give the ids still held."""
        until = self.now(connection) + timedelta(seconds=lease)
        return set(connection.scalars(_RENEW, {"until": until, "tokens": list(tokens)}))

    def holds(self, connection: Connection, job: Claimed) -> bool:
        """End the lease of a job in the transaction of its work; tell whether it was held."""
        done = Outcome(job=job, state="done", attempts=job.attempts)
        return self.finish(connection, [done], self.now(connection)) == 1

    @abstractmethod
    def now(self, connection: Connection) -> datetime:
        """Tell the time by the clock that all workers share."""

    @abstractmethod
    def finish(self, connection: Connection, outcomes: Sequence[Outcome], now: datetime) -> int:
        """Write what became of attempts; give how many leases were still held."""

    @abstractmethod
    def _begin(
        self, connection: Connection, outcomes: Sequence[Outcome], lease: float
    ) -> tuple[datetime, bool, int]: ...

    @abstractmethod
    def _claim(self, connection: Connection, values: dict[str, Any]) -> list[Claimed]: ...


_RENEW = text(
    "UPDATE bz_jobs SET lease_until = :until WHERE state = 'leased' AND lease_token IN :tokens RETURNING id"
).bindparams(bindparam("until", type_=UtcDateTime()), bindparam("tokens", expanding=True, type_=String()))


class SqliteLeases(Leases):
    """Under the writer's turn, which no other process shares: nothing to lock."""

    _OPEN = _sql(f"{_LANES} SELECT lane, ({_HELD}) FROM lanes WHERE lane IS NOT NULL")
    _TAKE = _sql(
        f"""{_LEASE} WHERE id IN (SELECT id FROM bz_jobs WHERE {_NEXT} = :lane
 {_ORDER} LIMIT :share) {_GIVEN}"""
    ).columns(payload=Json(), run_at=UtcDateTime())
    _FINISH = _sql(
        """UPDATE bz_jobs SET state = :state, attempts = :attempts,
 run_at = coalesce(:due, run_at), finished_at = :finished, last_error = :error, fingerprint = :fingerprint,
 lease_until = NULL, lease_token = NULL
 WHERE id = :id AND lease_token = :token""",
        due=UtcDateTime(),
        finished=UtcDateTime(),
    )

    def now(self, connection: Connection) -> datetime:  # noqa: ARG002 - one machine, one clock
        """Tell the time of this machine, which every process on the file shares."""
        return self._clock.now()

    def finish(self, connection: Connection, outcomes: Sequence[Outcome], now: datetime) -> int:
        """Write what became of attempts; give how many leases were still held."""
        rows = [
            {
                "id": outcome.job.id,
                "token": outcome.job.lease_token,
                "state": outcome.state,
                "attempts": outcome.attempts,
                "due": now + timedelta(seconds=outcome.wait) if outcome.state == "waiting" else None,
                "finished": now if outcome.state in {"done", "dead"} else None,
                "error": outcome.error,
                "fingerprint": outcome.fingerprint,
            }
            for outcome in outcomes
        ]
        return connection.execute(self._FINISH, rows).rowcount

    def _begin(
        self,
        connection: Connection,
        outcomes: Sequence[Outcome],
        lease: float,  # noqa: ARG002
    ) -> tuple[datetime, bool, int]:
        now = self.now(connection)
        return now, True, self.finish(connection, outcomes, now) if outcomes else 0

    def _claim(self, connection: Connection, values: dict[str, Any]) -> list[Claimed]:
        lanes = connection.execute(self._OPEN, {key: values[key] for key in ("queue", "after", "most")}).all()
        want, claimed = values["want"], list[Claimed]()
        open_lanes = [row for row in lanes if row.lane not in values["full"]]
        for lane, held in open_lanes:
            fair = min(-(-want // len(open_lanes)), values["share"])
            share = min(fair, values["cap"] - held, want - len(claimed))
            if share > 0:
                wanted = {key: values[key] for key in ("now", "until", "token", "queue")}
                rows = connection.execute(self._TAKE, {**wanted, "lane": lane, "share": share})
                claimed += [Claimed(*row) for row in rows]
        return claimed


_ARRAYS: dict[str, Any] = {
    "ids": ARRAY(Text),
    "tokens": ARRAY(Text),
    "states": ARRAY(Text),
    "attempts": ARRAY(Integer),
    "waits": ARRAY(Float(53)),
    "errors": ARRAY(Text),
    "prints": ARRAY(Text),
}


class PostgresLeases(Leases):
    """By the server's clock, under an advisory lock that nobody waits for."""

    @property
    def server_clock(self) -> bool:  # type: ignore[override]
        """Whether the database tells the time: always, unless a test does."""
        return not self._clock.steered

    _CLAIM = _sql(
        f"""{_LANES}, open(lane, room) AS MATERIALIZED (
 SELECT lane, least(CAST(ceil(CAST(:want AS float8) / count(*) OVER ()) AS integer),
 CAST(:share AS integer), CAST(:cap AS integer) - CAST(({_HELD}) AS integer))
 FROM lanes WHERE lane IS NOT NULL AND lane <> ALL (:full)),
 picked AS MATERIALIZED (SELECT j.id FROM open CROSS JOIN LATERAL (
 SELECT id FROM bz_jobs WHERE {_NEXT} = open.lane {_ORDER}
 LIMIT greatest(open.room, 0) FOR UPDATE SKIP LOCKED) j LIMIT :want)
 {_LEASE} WHERE id = ANY (ARRAY (SELECT id FROM picked)) {_GIVEN}""",
        queue=String(),
        after=String(),
        most=Integer(),
        want=Integer(),
        full=ARRAY(Text),
    ).columns(payload=Json(), run_at=UtcDateTime())
    _ENDED = """UPDATE bz_jobs SET state = o.state, attempts = o.attempts,
 last_error = o.error, fingerprint = o.print, lease_until = NULL, lease_token = NULL,
 run_at = CASE WHEN o.state = 'waiting'
 THEN coalesce(:now, clock_timestamp()) + o.wait * interval '1 second' ELSE run_at END,
 finished_at = CASE WHEN o.state IN ('done', 'dead') THEN coalesce(:now, clock_timestamp()) END
 FROM unnest(:ids, :tokens, :states, :attempts, :waits, :errors, :prints)
 AS o(id, token, state, attempts, wait, error, print)
 WHERE bz_jobs.id = ANY (:ids) AND bz_jobs.id = o.id AND bz_jobs.lease_token = o.token"""
    _FINISH = _sql(_ENDED, **_ARRAYS)
    # The claim is a statement of its own: what it counts is what is true once the lock is held.
    _BEGIN = _sql(
        f"""WITH ended AS ({_ENDED} RETURNING 1)
 SELECT set_config('idle_in_transaction_session_timeout', CAST(:patience AS text), true),
 pg_try_advisory_xact_lock(:key), coalesce(:now, clock_timestamp()), (SELECT count(*) FROM ended)""",
        **_ARRAYS,
    )

    def now(self, connection: Connection) -> datetime:
        """Tell the time of the server: the clocks of workers may differ."""
        if self._clock.steered:
            return self._clock.now()
        now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now

    def finish(self, connection: Connection, outcomes: Sequence[Outcome], now: datetime) -> int:
        """Write what became of attempts; give how many leases were still held."""
        return connection.execute(self._FINISH, self._arrays(outcomes) | {"now": now}).rowcount

    def _begin(
        self, connection: Connection, outcomes: Sequence[Outcome], lease: float
    ) -> tuple[datetime, bool, int]:
        # A worker that freezes with the lock is cut off by the server: it cannot hold up the others.
        patience = f"{max(1000, int(lease * 1000))}ms"
        steered = self._clock.now() if self._clock.steered else None
        values = {"now": steered, "patience": patience, "key": _LOCK}
        row = connection.execute(self._BEGIN, self._arrays(outcomes) | values).one()
        return row[2], row[1], row[3]

    def _arrays(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        return {
            "ids": [outcome.job.id for outcome in outcomes],
            "tokens": [outcome.job.lease_token for outcome in outcomes],
            "states": [outcome.state for outcome in outcomes],
            "attempts": [outcome.attempts for outcome in outcomes],
            "waits": [outcome.wait for outcome in outcomes],
            "errors": [outcome.error for outcome in outcomes],
            "prints": [outcome.fingerprint for outcome in outcomes],
        }

    def _claim(self, connection: Connection, values: dict[str, Any]) -> list[Claimed]:
        return [Claimed(*row) for row in connection.execute(self._CLAIM, values)]


def leases(kind: str, clock: Clock) -> Leases:
    """Choose for a database of ``kind``."""
    return PostgresLeases(clock) if kind == "postgresql" else SqliteLeases(clock)

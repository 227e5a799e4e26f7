"""Writes records: in the transaction of the change, or on their own."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bartizan.backbone.audit.errors import AuditUnavailable
from bartizan.backbone.audit.settings import AuditSettings
from bartizan.backbone.audit.store import AuditWriter, Batch, Spool, unavailable, unit
from bartizan.backbone.audit.types import Draft, compose
from bartizan.foundation import ids
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Origin
from bartizan.foundation.crypto import Keyring
from bartizan.foundation.database import Database
from bartizan.foundation.telemetry import logger

from .flights import Flights
from .keys import Seen, SubjectKeys

_LOGS_REMEMBERED = 10_000
_DRAINED_AT_ONCE = 500
_UNDECIDED_SECONDS = 300.0
"""How long a transaction may stay open before its spooled records count as left behind by a crash."""
_DRAIN_SECONDS = 10.0
"""How long to leave the spool alone after it was used or emptied."""
_SPOOL = b"audit.spool"

_log = logger(__name__)


class Recorder:
    """Composes, seals and inserts; keeps what cannot be inserted, where the settings say so."""

    def __init__(
        self, database: Database, keyring: Keyring, keys: SubjectKeys, settings: AuditSettings, clock: Clock
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._keys = keys
        self._settings = settings
        self._clock = clock
        self._spool = Spool(settings.spool, settings.spool_limit)
        self._drain_at: float | None = 0.0 if settings.on_failure == "queue" else None
        self._logs: set[str] = set()
        self._seen = Seen(clock)
        self._macs: dict[str, str] = {}
        self._flights = Flights(self._write_alone)

    async def add(self, draft: Draft, origin: Origin | None) -> None:
        """Write a record as one of the last acts of the caller's transaction."""
        async with self._database.transaction() as session:
            # One hook for each record: a savepoint that is undone takes its hooks, and so its records, along.
            self._database.before_commit(partial(self._collect, session.info, (draft, origin)))

    def _collect(self, kept: dict[Any, Any], item: tuple[Draft, Origin | None]) -> None:
        pending: list[tuple[Draft, Origin | None]] = kept.setdefault(self, [])
        if not pending:
            self._database.before_commit(self._flush)
        pending.append(item)

    async def add_alone(self, draft: Draft, origin: Origin) -> None:
        """Write a record that belongs to no transaction; it may share one with others like it."""
        try:
            if self._database.in_transaction:
                await self._write_alone([draft])
            else:
                await self._flights.add(draft)
        except AuditUnavailable:
            if self._settings.on_failure == "block":
                raise
            await self._put_aside([draft], confirmed=True)
        else:
            await self._drain_if_waiting()
        origin.recorded.append(draft.action)

    async def _write_alone(self, drafts: Sequence[Draft]) -> None:
        with unavailable():
            batch = await self._prepare(drafts)
            await self._database.write(unit(batch))
        self._wrote(batch)

    async def drain(self) -> int:
        """Write what was put aside, oldest first; say how many records."""
        written = 0
        moment = self._clock.now().timestamp() - _UNDECIDED_SECONDS
        while waiting := await self._spool.take(moment, _DRAINED_AT_ONCE):
            drafts = {
                record_id: Draft.load(self._keyring.open(sealed, _SPOOL), unconfirmed=not confirmed)
                for record_id, sealed, confirmed in waiting
            }
            with unavailable():
                async with self._database.transaction() as session:
                    writer = AuditWriter(session)
                    done = await writer.existing(drafts)
                    if new := [draft for record_id, draft in drafts.items() if record_id not in done]:
                        await writer.write(await self._prepare(new))
            await self._spool.drop(drafts)
            written += len(drafts) - len(done)
        return written

    async def _flush(self) -> None:
        async with self._database.transaction() as session:
            pending: list[tuple[Draft, Origin | None]] = session.info.pop(self)
            drafts = [draft for draft, _ in pending]
            if self._settings.on_failure == "block":
                await self._write(AuditWriter(session), drafts)
            else:
                try:
                    async with self._database.savepoint():
                        await self._write(AuditWriter(session), drafts)
                except AuditUnavailable:
                    await self._put_aside(drafts, confirmed=False)
        # Only now is it sure that the request left a trace; a rollback leaves none.
        self._database.after_commit(lambda: _note(pending))

    async def _write(self, writer: AuditWriter, drafts: Sequence[Draft]) -> None:
        batch = await self._prepare(drafts)
        await writer.write(batch)
        self._database.after_commit(lambda: self._wrote(batch))
        if self._drain_at is not None:
            self._database.after_commit(self._drain_if_waiting)

    async def _prepare(self, drafts: Sequence[Draft]) -> Batch:
        composed = [compose(draft, self._seen.disclosed) for draft in drafts]
        subjects = {subject for record in composed for subject in record.disclosures}
        keys = await self._keys.for_writing(subjects)
        disclosures: list[Mapping[str, Any]] = []
        for record in composed:
            for subject, texts in record.disclosures.items():
                if key := keys[subject]:  # an erased person's new details are not kept either
                    row = {
                        "event_id": record.draft.id,
                        "subject_id": subject,
                        "sealed": self._seen.seal(key, subject, texts),
                    }
                    disclosures.append(row)
        logs = sorted({draft.log_id: draft for draft in drafts if draft.log_id not in self._logs}.items())
        return Batch(
            events=[self._row(record.draft, record.body, record.leaf) for record in composed],
            disclosures=disclosures,
            logs=[
                {
                    "log_id": log_id,
                    "org_id": draft.org_id,
                    "origin": f"{self._settings.origin}/{log_id}",
                    "created_at": self._clock.now(),
                }
                for log_id, draft in logs
            ],
        )

    def _row(self, draft: Draft, body: bytes, leaf: bytes) -> Mapping[str, Any]:
        return {
            "id": draft.id,
            "log_id": draft.log_id,
            "org_id": draft.org_id,
            "occurred_at": draft.time,
            "action": draft.action,
            "actor_type": draft.actor_type,
            "actor_id": draft.actor_id,
            "on_behalf_of": draft.on_behalf_of,
            "target_type": draft.target_type,
            "target_id": draft.target_id,
            "outcome": draft.outcome,
            "request_id": draft.request_id,
            "method": draft.method,
            "path": draft.path,
            "ip_mac": None if draft.ip is None else self._mac(draft.ip),
            "body": body,
            "leaf": leaf,
        }

    def _mac(self, ip: str) -> str:
        mac = self._macs.get(ip)
        if mac is None:
            if len(self._macs) >= _LOGS_REMEMBERED:
                self._macs.clear()
            mac = self._macs[ip] = ip_macs(self._keyring, ip)[0]
        return mac

    def _wrote(self, batch: Batch) -> None:
        if len(self._logs) > _LOGS_REMEMBERED:
            self._logs.clear()
        self._logs.update(log["log_id"] for log in batch.logs)

    async def _put_aside(self, drafts: Sequence[Draft], *, confirmed: bool) -> None:
        batch = ids.new("aud")
        records = [(draft.id, self._keyring.seal(draft.dump(), _SPOOL)) for draft in drafts]
        await self._spool.put(batch, records, self._clock.now().timestamp(), confirmed=confirmed)
        self._drain_at = self._clock.monotonic() + _DRAIN_SECONDS
        _log.error(
            "the audit log cannot be written", records_kept=len(drafts), spool=str(self._settings.spool)
        )
        if not confirmed:
            self._database.after_commit(lambda: self._confirm(batch))

    async def _confirm(self, batch: str) -> None:
        try:
            await self._spool.confirm(batch)
        except AuditUnavailable:
            _log.exception("audit records kept aside stay unconfirmed", batch=batch)

    async def _drain_if_waiting(self) -> None:
        if self._drain_at is None or self._clock.monotonic() < self._drain_at:
            return
        self._drain_at = self._clock.monotonic() + _DRAIN_SECONDS
        try:
            await self.drain()
            if not await self._spool.count():
                self._drain_at = None
        except AuditUnavailable:
            _log.exception("audit records are still kept aside", spool=str(self._settings.spool))


def ip_macs(keyring: Keyring, ip: str) -> Sequence[str]:
    """Hash an address so that it can be searched for: under each secret key, the newest first."""
    return [mac.hex()[:32] for mac in keyring.macs("audit.ip", ip.encode())]


def _note(pending: Sequence[tuple[Draft, Origin | None]]) -> None:
    for draft, origin in pending:
        if origin is not None:
            origin.recorded.append(draft.action)

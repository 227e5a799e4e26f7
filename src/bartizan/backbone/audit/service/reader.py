"""Reads records: checks each against its hash, and opens the details that may still be opened."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from typing import Any

from bartizan.backbone.audit.store import Stored
from bartizan.backbone.audit.types import (
    AuditActor,
    AuditEvent,
    AuditRecord,
    AuditTarget,
    digest,
    leaf_of,
    stamp,
)

from .keys import SubjectKeys, unseal


class Reader:
    """Turns rows into what is shown."""

    def __init__(self, keys: SubjectKeys) -> None:
        self._keys = keys

    async def events(self, stored: Sequence[Stored]) -> Sequence[AuditEvent]:
        """Give records as they are shown to people."""
        disclosures = await self._disclosures(stored)
        return [_event(record, texts) for record, texts in zip(stored, disclosures, strict=True)]

    async def records(self, stored: Sequence[Stored], origin: str) -> Sequence[AuditRecord]:
        """Give records as evidence."""
        disclosures = await self._disclosures(stored)
        return [
            AuditRecord(
                origin=origin,
                id=record.row.id,
                leaf=record.row.leaf.hex(),
                body=record.row.body.decode(errors="replace"),
                disclosures=texts,
            )
            for record, texts in zip(stored, disclosures, strict=True)
        ]

    def spoilt(self, stored: Sequence[Stored]) -> Sequence[str]:
        """Give the ids of records that are not what was written."""
        return [record.row.id for record in stored if not _body(record)[1]]

    async def _disclosures(self, stored: Sequence[Stored]) -> list[list[str]]:
        keys = await self._keys.for_reading({subject for record in stored for subject in record.sealed})
        return [
            [
                text
                for subject, sealed in record.sealed.items()
                if subject in keys
                for text in unseal(keys[subject], subject, sealed)
            ]
            for record in stored
        ]


def _event(stored: Stored, disclosures: Sequence[str]) -> AuditEvent:
    row = stored.row
    body, intact = _body(stored)
    promised = set(body["_sd"])
    # A detail whose digest the body does not list was put there later: it is not shown.
    personal = dict(_open(text) for text in disclosures if digest(text) in promised)
    target = body["target"][0] if body["target"] else None
    return AuditEvent(
        id=row.id,
        org_id=row.org_id,
        time=row.occurred_at,
        action=body["action"],
        actor=AuditActor(**body["actor"]),
        target=AuditTarget(**target) if target else None,
        outcome=body["outcome"],
        request_id=body["ctx"]["request_id"],
        session_id=body["ctx"]["session_id"],
        method=body["ctx"].get("method"),
        path=body["ctx"].get("path"),
        changes=body["changes"],
        personal=personal,
        withheld=len(promised) - len(personal),
        leaf=row.leaf.hex(),
        intact=intact,
        unconfirmed=body.get("unconfirmed", False),
    )


def _body(stored: Stored) -> tuple[dict[str, Any], bool]:
    """Read the body; where it is spoilt, fall back on the columns, and say so."""
    row = stored.row
    columns = {
        "id": row.id,
        "log": row.log_id,
        "time": stamp(row.occurred_at),
        "action": row.action,
        "outcome": row.outcome,
        "actor": {"type": row.actor_type, "id": row.actor_id}
        | ({"on_behalf_of": row.on_behalf_of} if row.on_behalf_of else {}),
        "target": [{"type": row.target_type, "id": row.target_id}] if row.target_type else [],
    }
    if leaf_of(row.body) == row.leaf:
        body = json.loads(row.body)
        return body, all(body[name] == value for name, value in columns.items())
    context = {"request_id": row.request_id, "session_id": None, "method": row.method, "path": row.path}
    return {**columns, "ctx": context, "changes": {}, "_sd": []}, False


def _open(disclosure: str) -> tuple[str, Any]:
    _salt, name, value = json.loads(urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4)))
    return name, value

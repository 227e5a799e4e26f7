"""Keeping the rules: who may say from which addresses callers come, and nobody locks themselves out."""

from collections.abc import Iterable, Sequence
from typing import Any

from bartizan.access.ip_allowlist.errors import (
    InvalidIpRule,
    TooManyIpRules,
    UnknownIpRule,
    WouldLockYouOut,
)
from bartizan.access.ip_allowlist.events import (
    IpRuleCreated,
    IpRuleDeleted,
    IpRulesOverridden,
    IpRuleUpdated,
)
from bartizan.access.ip_allowlist.settings import IpAllowlistSettings
from bartizan.access.ip_allowlist.store import AnyRuleRow, IpRuleStore
from bartizan.access.ip_allowlist.types import (
    KINDS,
    CallerKind,
    Confirm,
    DraftIpRule,
    IpOverride,
    IpRule,
    IpRuleChanges,
    Level,
    LevelAsked,
    NewIpRule,
)
from bartizan.access.orgs import Orgs
from bartizan.access.rbac import Rbac
from bartizan.backbone.events import Envelope, Events
from bartizan.foundation import ids
from bartizan.foundation.capability import Event
from bartizan.foundation.clock import Clock
from bartizan.foundation.context import Permission, current
from bartizan.foundation.database import Database

from .matching import Compiled, canonical, number_of
from .watch import Watch

READ = Permission("ip_allowlist:read", "See from which addresses callers may come")
WRITE = Permission("ip_allowlist:write", "Say from which addresses callers may come")
PERMISSIONS = (READ, WRITE)


class Rules:
    """The rules as organizations, and operators for the whole platform, keep them."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        rbac: Rbac,
        orgs: Orgs,
        watch: Watch,
        settings: IpAllowlistSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._events = events
        self._rbac = rbac
        self._orgs = orgs
        self._watch = watch
        self._settings = settings
        self._clock = clock
        rbac.declare(*PERMISSIONS)
        events.within("organization.deleted", self._organization_gone)

    async def list(self, level: LevelAsked = "organization") -> Sequence[IpRule]:
        """List the rules of your organization, or of the platform, the newest first."""
        org_id = self._scope(level, READ)
        async with self._database.reading() as session:
            rows = await IpRuleStore(self._database, session, org_id).all()
        return [_shown(row, org_id) for row in rows]

    async def get(self, rule_id: str) -> IpRule:
        """Show one rule."""
        async with self._database.reading() as session:
            store, row = await self._found(session, rule_id, READ)
        return _shown(row, store.org_id)

    async def create(self, new: NewIpRule) -> IpRule:
        """Make a rule: from now on those it holds for come from its addresses, or those of its like.

        Addresses are IPv4 or IPv6, single or in CIDR notation, and no bit is set to the right of a prefix.
        A rule that would refuse you where you are now is refused unless you confirm.
        """
        org_id = self._scope(new.level, WRITE)
        draft = await self._checked(new, org_id)
        async with self._database.transaction() as session:
            store = IpRuleStore(self._database, session, org_id)
            await store.take_turn()
            if len(await store.all()) >= self._settings.max_rules:
                raise TooManyIpRules(limit=self._settings.max_rules)
            row = await self._add(store, draft, note=new.note, enabled=new.enabled)
            await self._changed(store, _created(row, org_id), confirm=new.confirm)
        return _shown(row, org_id)

    async def update(self, rule_id: str, changes: IpRuleChanges) -> IpRule:
        """Change a rule, or switch it on or off. Its level and its role stay."""
        given = changes.model_dump(exclude_none=True, exclude={"confirm"})
        if changes.addresses is not None:
            given["addresses"] = canonical(changes.addresses, self._settings.max_addresses)
        if changes.callers is not None:
            given["callers"] = _ordered(changes.callers)
        async with self._database.transaction() as session:
            store, row = await self._steered(session, rule_id)
            before = row.addresses
            changed = sorted(name for name, value in given.items() if getattr(row, name) != value)
            for name in changed:
                setattr(row, name, given[name])
            if changed:
                row.updated_at = self._clock.now()
                await store.save()
                await self._changed(
                    store,
                    IpRuleUpdated(
                        rule_id=row.id,
                        level=_level(store.org_id),
                        changed=tuple(changed),
                        added=tuple(one for one in row.addresses if one not in before),
                        removed=tuple(one for one in before if one not in row.addresses),
                        enabled=row.enabled,
                    ),
                    confirm=changes.confirm,
                )
        return _shown(row, store.org_id)

    async def delete(self, rule_id: str, confirm: Confirm = False) -> None:  # noqa: FBT002 - a query parameter
        """Delete a rule. Refused if the others that are left would not let you in, unless you confirm."""
        async with self._database.transaction() as session:
            store, row = await self._steered(session, rule_id)
            await store.remove(row)
            fact = IpRuleDeleted(rule_id=row.id, level=_level(store.org_id), addresses=tuple(row.addresses))
            await self._changed(store, fact, confirm=confirm)

    async def override(self, org_id: str, override: IpOverride) -> Sequence[IpRule]:
        """Switch every rule of an organization off, whose people locked themselves out. Operators only.

        Gives the rules that were on. The organization's audit log keeps who did it and why; its admins
        can switch their rules on again.
        """
        current.require_operator()
        await self._orgs.get(org_id)
        return await self._switch_off(org_id, override.reason)

    # For the command line of whoever is locked out

    async def switch_off(self, org_id: str | None, reason: str) -> Sequence[IpRule]:
        """Switch every rule of an organization, or of the platform, off; for operators."""
        current.require_operator()
        return await self._switch_off(org_id, reason)

    async def let_in(self, addresses: Sequence[str], note: str, org_id: str | None) -> Sequence[IpRule]:
        """Add addresses wherever an organization, or the platform, has rules; for operators.

        Where there are no rules everybody may come already, and none is made. Gives what was made.
        """
        current.require_operator()
        plain = canonical(addresses, self._settings.max_addresses)
        async with self._database.transaction() as session:
            store = IpRuleStore(self._database, session, org_id)
            await store.take_turn()
            holding: dict[str | None, set[str]] = {}
            for rule in await store.enabled():
                holding.setdefault(rule.role, set()).update(rule.callers)
            made = [
                await self._add(
                    store,
                    DraftIpRule(addresses=plain, callers=_ordered(kinds), role=role),
                    note=note,
                    enabled=True,
                )
                for role, kinds in holding.items()
            ]
            if made:
                await self._changed(store, *(_created(row, org_id) for row in made), confirm=True)
        return [_shown(row, org_id) for row in made]

    # Rules about rules

    def _scope(self, level: Level, permission: Permission) -> str | None:
        """Give the organization that a level means, or none for the platform; refuses who may not."""
        if level == "global":
            current.require_operator()
            return None
        current.require(permission)
        return current.org_id

    async def _checked(self, draft: DraftIpRule, org_id: str | None) -> DraftIpRule:
        """Give a rule with its addresses in canonical form; refuses one that cannot hold."""
        role = draft.role
        if role is not None:
            if org_id is None:
                message = "Roles belong to organizations: a rule of the whole platform has none."
                raise InvalidIpRule(message, field="role")
            role = await self._rbac.require_conferrable(role)
        addresses = canonical(draft.addresses, self._settings.max_addresses)
        return DraftIpRule(addresses=addresses, callers=_ordered(draft.callers), role=role)

    async def _found(
        self, session: Any, rule_id: str, permission: Permission
    ) -> tuple[IpRuleStore, AnyRuleRow]:
        """Find a rule that the caller may know of: the platform's, for operators, or its organization's."""
        caller = current.caller
        mighty = caller.operator or caller.kind == "system"
        if mighty:
            store = IpRuleStore(self._database, session, None)
            if (row := await store.find(rule_id)) is not None:
                return store, row
        if not mighty or caller.org_id is not None:
            current.require(permission)
            store = IpRuleStore(self._database, session, current.org_id)
            if (row := await store.find(rule_id)) is not None:
                return store, row
        raise UnknownIpRule(rule_id=rule_id[:30])

    async def _steered(self, session: Any, rule_id: str) -> tuple[IpRuleStore, AnyRuleRow]:
        """Find a rule that the caller may change, and take the turn to change it."""
        store, _ = await self._found(session, rule_id, WRITE)
        await store.take_turn()
        row = await store.find(rule_id)  # as whoever had the turn before has left it
        if row is None:
            raise UnknownIpRule(rule_id=rule_id[:30])
        org_id, role = store.org_id, row.role
        if org_id and role and await self._rbac.permissions_of(role, org_id) is not None:
            await self._rbac.require_conferrable(role)
        return store, row

    async def _add(self, store: IpRuleStore, draft: DraftIpRule, *, note: str, enabled: bool) -> AnyRuleRow:
        now = self._clock.now()
        return await store.add(
            id=ids.new("ipr"),
            role=draft.role,
            addresses=draft.addresses,
            callers=list(draft.callers),
            note=note,
            enabled=enabled,
            created_by=current.caller.user_id,
            created_at=now,
            updated_at=now,
        )

    async def _changed(self, store: IpRuleStore, *facts: Event, confirm: bool) -> None:
        """Announce a change, and let it hold here as soon as it commits; the caller shall not fall out."""
        if not confirm:
            await self._keep_caller_in(store)
        for fact in facts:
            await self._events.announce(fact, org_id=store.org_id)
        self._database.after_commit(self._watch.refresh)

    async def _keep_caller_in(self, store: IpRuleStore) -> None:
        caller, origin = current.caller, current.origin
        if origin is None or caller.kind == "system":
            return  # nobody comes from anywhere
        rules = Compiled(await store.enabled())
        kind = "keys" if caller.kind == "key" else "people"
        if rules.refuse(number_of(origin.ip), kind, caller.roles | caller.owner_roles):
            message = (
                f"You are at {origin.ip}, which would not be let in any more. Add it, or say `confirm` "
                "if that is meant."
            )
            raise WouldLockYouOut(message, your_address=origin.ip)

    async def _switch_off(self, org_id: str | None, reason: str) -> Sequence[IpRule]:
        async with self._database.transaction() as session:
            store = IpRuleStore(self._database, session, org_id)
            await store.take_turn()
            rows = [row for row in await store.all() if row.enabled]
            for row in rows:
                row.enabled, row.updated_at = False, self._clock.now()
            await store.save()
            if rows:
                names = tuple(row.id for row in rows)
                fact = IpRulesOverridden(level=_level(org_id), rules=names, reason=reason)
                await self._changed(store, fact, confirm=True)
        return [_shown(row, org_id) for row in rows]

    async def _organization_gone(self, envelope: Envelope) -> None:
        """Let its rules go with it; the rows are swept with all others of the organization."""
        async with self._database.transaction() as session:
            await IpRuleStore(self._database, session, str(envelope.data["org_id"])).take_turn()
            self._database.after_commit(self._watch.refresh)


def _level(org_id: str | None) -> Level:
    return "global" if org_id is None else "organization"


def _ordered(kinds: Iterable[str]) -> list[CallerKind]:
    wanted = set(kinds)
    return [kind for kind in KINDS if kind in wanted]


def _created(row: AnyRuleRow, org_id: str | None) -> IpRuleCreated:
    return IpRuleCreated(
        rule_id=row.id,
        level=_level(org_id),
        role=row.role,
        callers=tuple(row.callers),
        addresses=tuple(row.addresses),
        enabled=row.enabled,
    )


def _shown(row: AnyRuleRow, org_id: str | None) -> IpRule:
    return IpRule(
        id=row.id,
        level=_level(org_id),
        role=row.role,
        addresses=row.addresses,
        callers=_ordered(row.callers),
        note=row.note,
        enabled=row.enabled,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

"""The matrix: every route and verb, as one tenant with what is another's."""

from collections.abc import Mapping, Sequence

from bartizan.doors.testing.cast import HOST

from .ground import Ground
from .photograph import Facts, difference, facts, moving, places
from .report import Request
from .surface import Operation, Parameter
from .tenants import ORGANIZATION, Answer, Tenant, as_kind, is_reference

GATES: Sequence[str] = ("x-org-id", "x-tenant-id", "x-team-id")
"""Headers that Bartizan's gate itself reads, and refuses when they name a foreign organization."""
HOSTS: Sequence[str] = (
    "x-organization-id", "x-organization", "x-org", "x-tenant", "x-account-id", "x-account",
    "x-customer-id", "x-company-id", "x-workspace-id",
)  # fmt: skip
"""Headers that applications use for the same."""
QUERIES: Sequence[str] = (
    "org_id",
    "org",
    "organization_id",
    "organization",
    "tenant_id",
    "tenant",
    "account_id",
)
_NEARBY = 20
"""So many reads are looked at again where none is near a write."""
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})


class Matrix(Ground):
    """Walks an application as Globex, with what is Acme's."""

    async def walk(self) -> None:
        """Do everything, from what harms least to what harms most."""
        for tenant in (self._acme, self._globex, self._acme):  # Acme owns more: ids that count up differ
            await self.furnish(tenant)
        await self._last_resort()
        reads = [operation for operation in self._surface.operations if operation.reads]
        for operation in reads:
            await self._read(operation)
        await self._follow_links()
        await self._side_channels(reads)
        one, other = await self._photograph(self._acme, reads), await self._photograph(self._acme, reads)
        self._shaky = moving(one, other)
        writes = [operation for operation in self._surface.operations if not operation.reads]
        for operation in sorted(writes, key=lambda o: (o.method == "DELETE", o.method != "POST")):
            await self._write(operation)
            await self._revive()

    # Reading

    async def _read(self, operation: Operation) -> None:
        acme = self._acme
        home = self._own(operation, acme)
        if home is None:
            self._lacking(operation)
            return
        at_home = await acme.ask(home)
        if not at_home.well:
            self.report.skip(str(operation), self._why(at_home))
            return
        acme.learn(operation.path, {}, at_home.json)
        self.report.tried(str(operation))
        if not operation.names:
            self._alive.append(str(operation))
        for how, values in self._foreign(operation):
            if not await self._ask(operation, how, values, by_id=True):
                await self._ask_by_headers(operation, how, values, by_id=True)
        await self._look(operation)

    async def _look(self, operation: Operation) -> None:
        """Ask for one's own, with hints at the other's organization and things."""
        acme, values = self._acme, self._globex.fill(operation)
        if values is None or await self._ask(operation, "an ordinary request", values):
            return  # what leaks by itself leaks with every hint
        for name in GATES:
            await self._ask(operation, f"the header {name} named Acme", values, headers={name: acme.org_id})
        await self._ask_by_headers(operation, "an ordinary path", values)
        query = dict.fromkeys(QUERIES, acme.org_id)
        await self._ask(operation, "the query named Acme's organization", values, query=query)
        for parameter in operation.parameters_in("query"):
            for how, value in self._hints(parameter):
                query = {parameter.name: value}
                if await self._ask(operation, f"the query's {parameter.name} {how}", values, query=query):
                    break

    async def _ask(
        self,
        operation: Operation,
        how: str,
        values: Mapping[str, str],
        *,
        by_id: bool = False,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """Let Globex ask, and tell whether something leaked."""
        request = self._compose(operation, values, self._globex, query=query, headers=headers)
        answer = await self._globex.ask(request)
        return self._judge(operation, how, answer, by_id=by_id, by_header=headers is not None)

    async def _ask_by_headers(
        self, operation: Operation, how: str, values: Mapping[str, str], *, by_id: bool = False
    ) -> None:
        """Name Acme in every header that hosts use; where that leaks, find out which one it was."""
        headers = dict.fromkeys(self._hosts(operation), self._acme.org_id)
        answer = await self._globex.ask(self._compose(operation, values, self._globex, headers=headers))
        if not self._verdict(answer, by_id=by_id, by_header=True):
            return
        for name in headers:
            alone = {name: self._acme.org_id}
            if await self._ask(
                operation, f"{how}, the header {name} named Acme", values, by_id=by_id, headers=alone
            ):
                return
        self._judge(operation, f"{how}, headers named Acme", answer, by_id=by_id, by_header=True)

    def _hints(self, parameter: Parameter) -> list[tuple[str, str]]:
        """Give what is worth asking for in a query."""
        if is_reference(parameter.name) or self._acme.named(parameter.name) is not None:
            value = self._acme.named(parameter.name)
            return [] if value is None else [("named what is Acme's", value)]
        schema = parameter.schema
        kinds = {schema.get("type"), *(part.get("type") for part in schema.get("anyOf", ()))}
        if "string" not in kinds or "enum" in schema or schema.get("format"):
            return []
        return [
            ("searched for what Acme wrote", self._acme.mark),
            ("searched for a common word", "sample"),
            ("was empty", ""),
        ]

    def _hosts(self, operation: Operation) -> list[str]:
        declared = [p.name.lower() for p in operation.parameters_in("header") if ORGANIZATION.match(p.name)]
        return [*HOSTS, *(name for name in declared if name not in {*HOSTS, *GATES})]

    async def _follow_links(self) -> None:
        """Fetch as Globex whatever Acme's answers link to, if the link is Acme's alone."""
        acme, globex = self._acme, self._globex
        for link in [link for link in acme.links if self._is_acmes(link)]:
            at_home = await acme.ask(Request("GET", HOST + link))
            if not at_home.well:
                continue
            answer = await globex.ask(Request("GET", HOST + link))
            route = next((str(o) for o in self._surface.operations if _covers(o, link)), f"GET {link}")
            self.report.tried(route)
            if answer.well and not self.report.of(route):
                self._leak(route, "a link from Acme's answers was followed", "answered 2xx", answer)

    def _is_acmes(self, link: str) -> bool:
        own = [self._acme.mark, self._acme.org_id, self._acme.who.id]
        return any(one in link for one in own)

    # What shows without being told

    async def _side_channels(self, reads: Sequence[Operation]) -> None:
        """See whether Globex's answers change when only Acme does something."""
        leaking = {leak.route for leak in self.report.leaks}
        looks = [o for o in reads if str(o) not in leaking and self._globex.fill(o) is not None]
        first, second = (
            await self._photograph(self._globex, looks),
            await self._photograph(self._globex, looks),
        )
        shaky = moving(first, second)
        changed: dict[str, set[str]] = {str(o): set() for o in looks}
        before = second
        for number in range(2):
            await self.furnish(self._acme)
            after = await self._photograph(self._globex, looks)
            for operation in looks:
                name = str(operation)
                new = places(before[name], after[name]) - shaky[name]
                changed[name] = new if number == 0 else changed[name] & new
            again = await self._photograph(self._globex, looks)
            for name, more in moving(after, again).items():
                shaky[name] |= more
            before = again
        for operation in looks:
            if seen := changed[str(operation)] - shaky[str(operation)]:
                what = f"{', '.join(sorted(seen)[:3])} changed when Acme wrote, though Globex did nothing"
                request = self._own(operation, self._globex) or Request("GET", HOST + operation.path)
                self._leak(
                    str(operation), "the answer was watched while Acme wrote", what, Answer(request, 0)
                )

    async def _photograph(self, tenant: Tenant, reads: Sequence[Operation]) -> dict[str, Facts]:
        found: dict[str, Facts] = {}
        for operation in reads:
            if request := self._own(operation, tenant):
                answer = await tenant.ask(request)
                found[str(operation)] = facts(answer.status, answer.json, answer.text)
        return found

    # Writing

    async def _write(self, operation: Operation) -> None:
        acme, globex = self._acme, self._globex
        if operation.names:
            await self._renew(operation)
            if acme.fill(operation) is None:
                self._lacking(operation)
                return
            for how, values in self._foreign(operation):
                request = self._compose(operation, values, globex)
                if not await self._attack(operation, how, request, by_id=True):
                    headers = dict.fromkeys(self._hosts(operation), acme.org_id)
                    request = self._compose(operation, values, globex, headers=headers)
                    await self._attack(operation, f"{how}, headers named Acme", request, by_id=True)
        if not self.report.of(str(operation)):
            await self._write_by_body(operation)
        if self.report.of(str(operation)):
            self.report.tried(str(operation))
            return
        at_home = await acme.ask(
            self._own(operation, acme) or Request(operation.method, HOST + operation.path)
        )
        if at_home.well or at_home.status in _ELSEWHERE:
            self.report.tried(str(operation))
        else:
            self.report.skip(str(operation), self._why(at_home))

    async def _write_by_body(self, operation: Operation) -> None:
        """Name what is Acme's in the body, in headers and in the query, one after the other."""
        acme, globex = self._acme, self._globex
        values = globex.fill(operation)
        if values is None:
            return
        sampler = self._samplers[globex.name]
        for name, schema in sampler.properties(operation.schema or {}).items():
            foreign = self._named_in_body(operation, name)
            if foreign is None or globex.goes_by(name, foreign):
                continue
            body = {name: as_kind(foreign, sampler.resolved(schema))}
            request = self._compose(operation, values, globex, body=body)
            thing = is_reference(name) and not ORGANIZATION.match(name) and foreign != acme.who.id
            await self._attack(operation, f"the body's {name} named Acme's", request, by_id=thing)
        for parameter in operation.parameters_in("query"):
            foreign = acme.named(parameter.name) if is_reference(parameter.name) else None
            if foreign is not None and not globex.goes_by(parameter.name, foreign):
                request = self._compose(operation, values, globex, query={parameter.name: foreign})
                await self._attack(operation, f"the query's {parameter.name} named Acme's", request)
        if not self.report.of(str(operation)):
            headers = dict.fromkeys(self._hosts(operation), acme.org_id)
            request = self._compose(operation, values, globex, headers=headers)
            await self._attack(operation, "headers named Acme's organization", request)

    def _named_in_body(self, operation: Operation, name: str) -> str | None:
        if name == "id":
            things = [t for t in self._acme.things if operation.path.startswith(t.collection.rstrip("/"))]
            return things[-1].values.get("id") if things else None
        return self._acme.named(name) if is_reference(name) or name in self._acme.given else None

    async def _attack(self, operation: Operation, how: str, request: Request, *, by_id: bool = False) -> bool:
        """Let Globex try, compare what Acme sees before and after, and tell whether something leaked."""
        near = self._near(operation)
        before = await self._photograph(self._acme, near)
        answer = await self._globex.ask(request)
        leaked = self._judge(operation, how, answer, by_id=by_id, by_header="headers" in how)
        after = await self._photograph(self._acme, near)
        for name, seen in before.items():
            if found := difference(seen, after.get(name, Facts()), self._shaky.get(name, set())):
                self._leak(str(operation), how, f"Acme's data changed ({name}: {found[0]})", answer)
                return True
        return leaked

    def _near(self, operation: Operation) -> list[Operation]:
        """Give the reads that would show what a write did; what leaks itself shows Globex's doings anyway."""
        leaking = {leak.route for leak in self.report.leaks}
        known = [o for o in self._surface.operations if o.reads and str(o) not in leaking]
        reads = [o for o in known if self._acme.fill(o) is not None]
        root = _root(operation.path)
        return [o for o in reads if _root(o.path) == root] or reads[:_NEARBY]

    async def _renew(self, operation: Operation) -> None:
        """Give Acme something new to lose, so that each attack meets a thing that is still there."""
        for make in self._make:
            self._acme.take(await make(self._acme.http))
        for maker in self._makers:
            if operation.path.startswith(maker.path.rstrip("/") + "/"):
                await self._made(maker, self._acme)

    async def _revive(self) -> None:
        """Settle a tenant anew that has closed its own organization, or shut itself out."""
        route = next((o for o in self._surface.operations if o.reads and str(o) in self._alive), None)
        for tenant in (self._acme, self._globex) if route is not None else ():
            assert route
            request = self._own(route, tenant)
            if request is None or not (await tenant.ask(request)).well:
                await tenant.move_in()
                await self.furnish(tenant)


def _root(path: str) -> str:
    return path.partition("/{")[0].rstrip("/")


def _covers(operation: Operation, link: str) -> bool:
    """Tell whether a link is one that an operation answers, as far as its fixed parts tell."""
    path = link.partition("?")[0]
    return (
        operation.method == "GET" and bool(operation.names) and path.startswith(_root(operation.path) + "/")
    )

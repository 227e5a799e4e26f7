"""What the matrix stands on: two tenants with their things, requests as either, and what an answer means."""

from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from bartizan.doors.testing.cast import HOST

from .report import Leak, Report, Request
from .samples import Sampler
from .surface import Operation, Surface
from .tenants import Answer, Make, Tenant, compose

_FAILED = 500
_ROUNDS = 4
_UNPROVED = "its owner gets {status} too, so a refusal proves nothing"


class Ground:
    """Two tenants in one application, each with one of everything."""

    def __init__(
        self,
        surface: Surface,
        acme: Tenant,
        globex: Tenant,
        *,
        make: Sequence[Make] = (),
        examples: Mapping[str, Any] | None = None,
        refusals: Collection[int] = (404,),
    ) -> None:
        """Take the two tenants; ``refusals`` are the statuses that tell nothing."""
        self.report = Report()
        self._surface = surface
        self._acme, self._globex = acme, globex
        acme.rival, globex.rival = globex, acme
        acme.shared = globex.shared = {
            k: str(v) for k, v in (examples or {}).items() if not isinstance(v, Mapping)
        }
        self._samplers = {t.name: Sampler(t.mark, surface.components) for t in (acme, globex)}
        self._make = make
        self._examples = examples or {}
        self._refusals = set(refusals)
        self._alive: list[str] = []
        """Reads that work for whoever has an organization."""
        self._shaky: dict[str, set[str]] = {}
        """What moves by itself in Acme's answers."""
        self._makers = [o for o in surface.operations if o.method == "POST" and self._creates(o)]

    # What the tenants own

    async def furnish(self, tenant: Tenant) -> None:
        """Make one of everything that can be made by posting to a collection, and whatever factories make."""
        for make in self._make:
            tenant.take(await make(tenant.http))
        left = list(self._makers)
        for _ in range(_ROUNDS):
            done = [operation for operation in left if await self._made(operation, tenant)]
            left = [operation for operation in left if operation not in done]
            if not done:
                break
        for operation in self._surface.operations:
            if operation.reads and not operation.names:
                answer = await tenant.ask(
                    self._own(operation, tenant) or Request("GET", HOST + operation.path)
                )
                if answer.well:
                    tenant.learn(operation.path, {}, answer.json)

    def _creates(self, operation: Operation) -> bool:
        """Tell whether posting here makes something: others have a path below, or list it."""
        return any(
            other is not operation
            and (
                (other.names and other.collection == operation.path and other.path != operation.path)
                or (other.reads and other.path == operation.path)
            )
            for other in self._surface.operations
        )

    async def _made(self, operation: Operation, tenant: Tenant) -> bool:
        request = self._own(operation, tenant)
        if request is None:
            return False
        answer = await tenant.ask(request)
        if answer.well:
            tenant.learn(operation.path, tenant.fill(operation) or {}, answer.json)
        return answer.well

    async def _last_resort(self) -> None:
        """Where a path needs what nobody has made, post to what is left, or put under a name of one's own."""
        lacking = [o for o in self._surface.operations if o.names and self._acme.fill(o) is None]
        if not lacking:
            return
        others = [
            o
            for o in self._surface.operations
            if o.method == "POST" and not o.names and o not in self._makers and o.schema is not None
        ]
        for tenant in (self._acme, self._globex):
            for operation in others:
                await self._made(operation, tenant)
        for operation in lacking:
            if operation.method == "PUT" and len(operation.names) == 1:
                for tenant in (self._acme, self._globex):
                    value = {operation.names[0]: f"{tenant.mark}000"}
                    request = self._compose(operation, value, tenant)
                    if (await tenant.ask(request)).well:
                        tenant.take(value)

    # Judging

    def _foreign(self, operation: Operation) -> list[tuple[str, dict[str, str]]]:
        """Give the ways to name what is Acme's in the path; ids that Globex has too prove nothing."""
        theirs, own = self._acme.fill(operation), self._globex.fill(operation)
        if theirs is None or not operation.names:
            return []
        last = operation.names[-1]
        if self._globex.holds(operation, theirs[last]):
            self.report.skip(str(operation), "both tenants have the same ids, so a path names one's own")
            return []
        found = [(f"the path named Acme's {', '.join(operation.names)}", theirs)]
        if own and len(operation.names) > 1 and own[operation.names[0]] != theirs[operation.names[0]]:
            found.append((f"the path named Acme's {last} below Globex's own", {**own, last: theirs[last]}))
        return found

    def _judge(self, operation: Operation, how: str, answer: Answer, *, by_id: bool, by_header: bool) -> bool:
        """Note what an answer gives away; tell whether it did."""
        if what := self._verdict(answer, by_id=by_id, by_header=by_header):
            self._leak(str(operation), how, what, answer)
            return True
        if answer.status >= _FAILED or answer.status == 0:
            self.report.skip(f"{operation} ({how})", f"answered {answer.status}: {answer.text[:80]}")
        return False

    def _verdict(self, answer: Answer, *, by_id: bool, by_header: bool) -> str:
        """Say what an answer gives away; nothing, if it gives nothing away."""
        if told := self._acme.told_by(answer):
            return f"the answer ({answer.status}) tells {', '.join(told[:3])}"
        if by_id and answer.well:
            return f"answered {answer.status} instead of {min(self._refusals)}"
        # To a header that names a foreign organization the gate itself says 403, whatever there is.
        if (
            by_id
            and not by_header
            and answer.status == HTTPStatus.FORBIDDEN
            and answer.status not in self._refusals
        ):
            return "answered 403, which tells that it is there (allow it with refusals=(403, 404))"
        return ""

    def _lacking(self, operation: Operation) -> None:
        unknown = [name for name in operation.names if self._acme.named(name) is None]
        self.report.skip(str(operation), f"no value of {', '.join(unknown) or 'its path'} is known")

    def _leak(self, route: str, how: str, what: str, answer: Answer) -> None:
        self.report.add(Leak(route, how, what, answer.request.curl(self._globex.variable)))

    def _why(self, answer: Answer) -> str:
        said = " ".join(answer.text.split())[:120]
        return f"{_UNPROVED.format(status=answer.status or 'no answer')}: {said}"

    def _own(self, operation: Operation, tenant: Tenant) -> Request | None:
        values = tenant.fill(operation)
        return None if values is None else self._compose(operation, values, tenant)

    def _compose(
        self,
        operation: Operation,
        values: Mapping[str, str],
        tenant: Tenant,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        return compose(
            operation,
            values,
            self._samplers[tenant.name],
            tenant,
            body=body,
            query=query,
            headers=headers,
            examples=self._examples,
        )

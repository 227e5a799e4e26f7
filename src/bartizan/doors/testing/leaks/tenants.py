"""Two organizations with a person each, what they own, and how they ask for it."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, unquote

import httpx
from starlette.types import ASGIApp

from bartizan.doors.testing.cast import HOST, Cast, Person

from .photograph import SUCCESS
from .report import Request
from .samples import Sampler
from .surface import PARAMETER, Operation, Parameter, Schema

Make = Callable[[httpx.AsyncClient], Awaitable[Mapping[str, Any] | None]]
"""Makes something as the tenant whose client it gets; gives the names and values that lead to it."""

_PATIENCE = 15.0
_IDS = ("id", "uuid", "key", "slug", "name", "number", "code", "path", "filename", "token", "ref")
_DEEPEST = 4
_DISTINCT = 12
"""An id that is this long is nobody else's by chance."""
_OVER = 401
ORGANIZATION = re.compile(
    r"^(x-)?(org|organi[sz]ation|tenant|account|customer|company)([_-]?(id|slug))?$", re.IGNORECASE
)
PERSON = re.compile(r"^(user|owner|author|member|assignee|created_by|person)([_-]?id)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a tenant made."""

    collection: str
    """The path it was posted to, with its parameters."""
    values: Mapping[str, str]
    """What it says of itself, by field."""
    above: Mapping[str, str] = field(default_factory=dict[str, str])
    """The parameters of the path it was posted to."""

    def answer_to(self, name: str) -> str | None:
        """Give the value that a path parameter of that name stands for."""
        short = name.rpartition("_")[2]
        for wanted in (name, *((short,) if short in _IDS else ()), *_IDS):
            if wanted in self.values:
                return self.values[wanted]
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, or that nothing did."""

    request: Request
    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    json: Any = None

    @property
    def well(self) -> bool:
        """Whether it is a success."""
        return self.status in SUCCESS


class Tenant:
    """One organization, seen through one of its owners."""

    def __init__(self, name: str, app: ASGIApp, cast_: Cast) -> None:
        """Settle in ``app``; :meth:`move_in` makes the organization."""
        self.name = name
        self.mark = f"zq{secrets.token_hex(4)}"
        self.things: list[Thing] = []
        self.given: dict[str, str] = {}
        self.shared: dict[str, str] = {}
        """Values that mean the same to every tenant, such as a country's code."""
        self.links: dict[str, None] = {}
        self.person: Person | None = None
        self.requests = 0
        self.rival: Tenant | None = None
        """Whose things may stand in this tenant's answers, if there is a leak: they are not learned."""
        self._cast = cast_
        self._ids: set[str] = set()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.9", 4711))
        self.http = httpx.AsyncClient(transport=transport, base_url=HOST)

    async def move_in(self) -> None:
        """Make the organization and its owner, and sign them in; what an earlier one had is forgotten."""
        self.things.clear()
        self.given.clear()
        org_id = await self._cast.organization(f"{self.name} {self.mark}")
        self.person = await self._cast.person(org_id, "owner", name=self.mark)
        self._sign()

    def _sign(self) -> None:
        assert self.person
        self.http.headers["authorization"] = f"Bearer {self.person.access_token}"
        self._ids |= {self.person.org_id, self.person.id, self.person.email}

    @property
    def org_id(self) -> str:
        """Its id."""
        assert self.person
        return self.person.org_id

    @property
    def who(self) -> Person:
        """Its owner."""
        assert self.person
        return self.person

    @property
    def variable(self) -> str:
        """The shell variable that stands for its credential in a report."""
        return f"{self.name.upper()}_TOKEN"

    async def ask(self, request: Request) -> Answer:
        """Make a request; where the session has ended, sign in again and repeat it once."""
        answer = await self._ask(request)
        if answer.status == _OVER and self.person is not None:
            self.person = await self._cast.sign_in(self.person.id, self.person.org_id, "owner")
            self._sign()
            answer = await self._ask(request)
        return answer

    async def _ask(self, request: Request) -> Answer:
        self.requests += 1
        self.http.cookies.clear()
        try:
            async with asyncio.timeout(_PATIENCE):
                got = await self.http.request(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    json=request.json,
                    data=request.data,
                    files=request.files,
                )
        except TimeoutError:
            return Answer(request, 0, "it did not end (a stream?)")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(request, 0, f"{type(error).__name__}: {error}")
        told = None
        if "json" in got.headers.get("content-type", ""):
            try:
                told = got.json()
            except ValueError:
                told = None
        return Answer(request, got.status_code, got.text, dict(got.headers), told)

    def learn(self, path: str, above: Mapping[str, str], told: Any) -> bool:
        """Remember what an answer says of the things of this tenant; tell whether it named any."""
        before = len(self.things)
        for item in _objects(told):
            values = {
                key: str(value)
                for key, value in item.items()
                if isinstance(value, str | int)
                and not isinstance(value, bool)
                and (key in _IDS or key.lower().endswith("id"))
            }
            if values and self._new(path, values) and not self._rivals(item):
                self.things.append(Thing(path, values, dict(above)))
                self._ids |= {v for k, v in values.items() if k.lower().endswith("id") and _distinct(v)}
        for text in _texts(told):
            if text.startswith(("/", HOST)) and " " not in text and len(text) > 1:
                self.links[text.removeprefix(HOST)] = None
        return len(self.things) > before

    def _new(self, path: str, values: Mapping[str, str]) -> bool:
        known = [thing for thing in self.things if thing.collection == path]
        return not any(values.items() <= thing.values.items() for thing in known)

    def _rivals(self, item: Mapping[str, Any]) -> bool:
        other = self.rival
        return other is not None and (other.mark in str(item) or other.org_id in str(item))

    def take(self, values: Mapping[str, Any] | None) -> None:
        """Remember what a factory gave."""
        given = {name: str(value) for name, value in (values or {}).items()}
        self.given |= given
        self._ids |= {value for value in given.values() if _distinct(value)}

    def fill(self, operation: Operation) -> dict[str, str] | None:
        """Find own values for every parameter of a path; none where one is unknown."""
        found: dict[str, str] = {}
        for match in reversed(list(PARAMETER.finditer(operation.path))):
            name = match[1]
            if name in found:
                continue
            collection = operation.path[: match.start()].rstrip("/")
            thing = next((t for t in reversed(self.things) if t.collection == collection), None)
            if name in self.given or name in self.shared:
                found[name] = self.given.get(name, self.shared.get(name, ""))
            elif ORGANIZATION.match(name):
                found[name] = self.org_id
            elif thing is not None and (value := thing.answer_to(name)) is not None:
                found = {**found, **{k: v for k, v in thing.above.items() if k not in found}, name: value}
            elif (value := self.named(name)) is not None:
                found[name] = value
            else:
                return None
        return found

    def named(self, name: str) -> str | None:
        """Give the value of one's own that goes by a name, wherever it was learned."""
        if name in self.given:
            return self.given[name]
        if ORGANIZATION.match(name):
            return self.org_id
        for thing in reversed(self.things):
            if name in thing.values and name not in {"id", "name", "key", "path"}:
                return thing.values[name]
        stem = _stem(name)
        for thing in reversed(self.things):
            if stem and _singular(thing.collection.rstrip("/").rpartition("/")[2]) == stem:
                return thing.answer_to(name)
        return self.who.id if PERSON.match(name) else None

    def holds(self, operation: Operation, value: str) -> bool:
        """Tell whether the last parameter of a path, with this value, leads to something of this tenant's."""
        if not operation.names:
            return False
        name = operation.names[-1]
        there = [thing for thing in self.things if thing.collection == operation.collection]
        return self.given.get(name) == value or any(thing.answer_to(name) == value for thing in there)

    def goes_by(self, name: str, value: str) -> bool:
        """Tell whether a value of that name is this tenant's own."""
        if self.given.get(name) == value or self.named(name) == value:
            return True
        stem = _stem(name)
        return any(
            thing.values.get(name) == value
            or (
                _singular(thing.collection.rstrip("/").rpartition("/")[2]) == stem
                and thing.answer_to(name) == value
            )
            for thing in self.things
        )

    def told_by(self, answer: Answer) -> list[str]:
        """Find what an answer gives away of this tenant, besides what was asked with."""
        request = answer.request
        asked = unquote(f"{request.url} {request.headers} {request.json} {request.data}").lower()
        said = f"{answer.text}\n{dict(answer.headers)}".lower()
        marks = set(re.findall(rf"{self.mark}[\w-]*", said))
        found = {mark for mark in marks if mark not in asked}
        known = self._ids - (self.rival._ids if self.rival else set())  # noqa: SLF001 - of the same class
        return sorted(found | {one for one in known if one.lower() in said and one.lower() not in asked})

    async def close(self) -> None:
        """Let go of the client."""
        await self.http.aclose()


def compose(
    operation: Operation,
    values: Mapping[str, str],
    sampler: Sampler,
    tenant: Tenant,
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    examples: Mapping[str, Any] | None = None,
) -> Request:
    """Make an operation's request: the path from ``values``, the rest from samples and the tenant's own."""
    path = PARAMETER.sub(lambda m: quote(values[m[1]], safe="/" if ":path" in m[0] else ""), operation.path)
    asked = {p.name: _sampled(p, sampler, tenant) for p in operation.parameters_in("query") if p.required}
    told = {p.name: _sampled(p, sampler, tenant) for p in operation.parameters_in("header") if p.required}
    asked |= query or {}
    url = HOST + path + ("?" + str(httpx.QueryParams(asked)) if asked else "")
    told |= headers or {}
    given = (examples or {}).get(str(operation))
    content = sampler.marked(given) if given else _body(operation, sampler, tenant, examples or {})
    content |= body or {}
    if operation.media is None and not content:
        return Request(operation.method, url, told)
    if operation.media in {None, "application/json"} or str(operation.media).endswith("+json"):
        whole = content.get("") if set(content) == {""} else content
        return Request(operation.method, url, told, json=whole)
    files = {
        name: (f"{sampler.mark}.txt", str(content.pop(name, sampler.mark)).encode(), "text/plain")
        for name, inner in sampler.properties(operation.schema or {}).items()
        if _is_file(sampler.resolved(inner))
    }
    data = {name: str(value) for name, value in content.items()}
    return Request(operation.method, url, told, data=data, files=files or None)


def _body(
    operation: Operation, sampler: Sampler, tenant: Tenant, examples: Mapping[str, Any]
) -> dict[str, Any]:
    if operation.schema is None:
        return {}
    named = str(operation.schema.get("$ref", "")).rpartition("/")[2]
    if named in examples:
        return sampler.marked(examples[named])
    made = sampler.value(operation.schema)
    if not isinstance(made, dict):
        return {"": made}
    made = cast("dict[str, Any]", made)
    properties = sampler.properties(operation.schema)
    needed = set(sampler.resolved(operation.schema).get("required", ()))
    for name in [name for name in made if is_reference(name)]:
        # What refers to something else has to refer to one's own, or to nothing.
        own = tenant.named(name)
        if own is not None:
            made[name] = as_kind(own, sampler.resolved(properties.get(name, {})))
        elif name not in needed:
            del made[name]
    return made


def is_reference(name: str) -> bool:
    """Tell whether a field's name says that it holds an id."""
    return bool(re.search(r"(^|_)(id|uuid)$|Id$", name)) or bool(ORGANIZATION.match(name))


def as_kind(value: str, schema: Schema) -> Any:
    """Write an id as the schema wants it: a number where it wants one, a list where it wants several."""
    kinds = [schema.get("type"), *(part.get("type") for part in schema.get("anyOf", ()))]
    if "array" in kinds:
        return [as_kind(value, schema.get("items", {}))]
    return int(value) if "integer" in kinds and re.fullmatch(r"-?\d+", value) else value


def _sampled(parameter: Parameter, sampler: Sampler, tenant: Tenant) -> str:
    if parameter.name in tenant.shared:
        return tenant.shared[parameter.name]
    own = tenant.named(parameter.name) if is_reference(parameter.name) else None
    return own if own is not None else str(sampler.value(parameter.schema, parameter.name))


def _is_file(schema: Schema) -> bool:
    return schema.get("format") == "binary" or "contentMediaType" in schema


def _objects(told: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if depth > _DEEPEST:
        return
    if isinstance(told, dict):
        inside = cast("dict[str, Any]", told)
        yield inside
        for value in inside.values():
            yield from _objects(value, depth + 1)
    elif isinstance(told, list):
        for value in cast("Sequence[Any]", told):
            yield from _objects(value, depth + 1)


def _texts(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict):
        for value in cast("dict[str, Any]", told).values():
            yield from _texts(value)
    elif isinstance(told, list):
        for value in cast("Sequence[Any]", told):
            yield from _texts(value)


def _distinct(value: str) -> bool:
    return len(value) >= _DISTINCT and not re.fullmatch(r"[\d.:TZ+ -]+", value)


def _stem(name: str) -> str:
    """Give what an id is of: ``note_id`` is of a note."""
    return re.sub(r"[_-]?(id|uuid|slug|key)$", "", name, flags=re.IGNORECASE).lower().replace("-", "_")


def _singular(word: str) -> str:
    word = word.lower().replace("-", "_")
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word.removesuffix("s")

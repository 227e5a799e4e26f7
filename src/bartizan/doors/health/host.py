"""The host application's routes: what stands in our way, and what stands open."""

import asyncio
from typing import Any

from starlette.routing import Match, Route

from bartizan.doors.frameworks import host_of, routes_of
from bartizan.doors.guard.policy import SAFE, Policy
from bartizan.foundation.capability import Check, Verdict

from .case import Case

_PATIENCE = 10.0
_SHOWN = 5


def _mount(case: Case) -> Verdict:
    mount = case.given.mount
    host = host_of(case.app)
    if not mount:
        return Verdict.problem(
            "The pages of Bartizan take every path, so the app has none.", "Set BARTIZAN_MOUNT=/_bartizan"
        )
    taken = sorted({r.path for r in routes_of(host) if r.path == mount or r.path.startswith(f"{mount}/")})
    if taken:
        return Verdict.problem(
            f"The app has routes below {mount}, which never get a request: {', '.join(taken[:_SHOWN])}.",
            "Set BARTIZAN_MOUNT to a path that the app does not use.",
        )
    return Verdict.ok(f"The app leaves {mount} to Bartizan.")


def _writes(case: Case) -> Verdict:
    guard = case.given.guard
    try:
        policy = Policy(guard.public_paths, guard.read_routes)
    except ValueError as error:
        return Verdict.problem(f"A pattern of the guard's cannot be read: {error}.", "Mend it.")
    open_writes = [
        f"{method} {route.path}"
        for route in routes_of(host_of(case.app))
        for method in sorted(route.methods - SAFE)
        if policy.need(method, route.path) == "nothing"
    ]
    if not open_writes:
        return Verdict.ok("No public path changes anything.")
    return Verdict.warning(
        f"Anyone may call {', '.join(open_writes[:_SHOWN])} without signing in.",
        "Narrow BARTIZAN_GUARD__PUBLIC_PATHS, unless that is wanted (webhooks that carry a signature).",
    )


async def _policy(case: Case) -> Verdict:
    """Ask the app itself, behind the gate, for its first page, and look for a Content-Security-Policy."""
    host = host_of(case.app)
    if callable(build := getattr(host, "build_middleware_stack", None)):
        host = host_of(host.middleware_stack or build())  # attached, this is the gate with the app behind it
    headers = await asyncio.wait_for(_headers(host, "/"), _PATIENCE)
    kind = headers.get("content-type", "")
    if not kind.startswith("text/html"):
        return Verdict.unknown("The app's first page is no HTML, so it tells nothing about its pages.")
    if "content-security-policy" in headers:
        return Verdict.ok("The app's pages carry a Content-Security-Policy.")
    return Verdict.warning(
        "The app's pages carry no Content-Security-Policy.",
        "Send one, such as Content-Security-Policy: default-src 'self'; object-src 'none'; base-uri 'none'",
    )


async def _headers(app: Any, path: str) -> dict[str, str]:
    found: dict[str, str] = {}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"accept", b"text/html")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "app": app,
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        for name, value in message.get("headers", ()):
            found[bytes(name).decode("latin-1").lower()] = bytes(value).decode("latin-1")

    await app(scope, receive, send)
    return found


def _shadowed(case: Case) -> Verdict:
    """Find routes that an earlier one of the app answers in their place."""
    host = host_of(case.app)
    plain = [route for route in getattr(host, "routes", ()) if isinstance(route, Route)]
    hidden: list[str] = []
    for at, route in enumerate(plain):
        if "{" in route.path:
            continue
        for method in sorted(route.methods or ()):
            scope: dict[str, Any] = {
                "type": "http",
                "path": route.path,
                "method": method,
                "root_path": "",
                "headers": [],
            }
            first = next((r for r in plain[:at] if r.matches(scope)[0] is Match.FULL), None)
            if first is not None and first.path != route.path:
                hidden.append(f"{method} {route.path} (behind {first.path})")
    hidden = [one for one in hidden if not one.startswith("HEAD")]
    if not hidden:
        return Verdict.ok("No route of the app hides another one.")
    return Verdict.warning(
        f"Routes that never get a request: {', '.join(hidden[:_SHOWN])}.",
        "Declare them before the general one.",
    )


async def _adopted(case: Case) -> Verdict:
    findings = await case.rooms.adoption.report()
    if not findings:
        return Verdict.ok("No model is adopted, or nothing of those that are lies outside the walls.")
    shown = "; ".join(f"{one.subject}: {one.what}" for one in findings[:_SHOWN])
    cures = " ".join(dict.fromkeys(one.cure for one in findings[:_SHOWN]))
    unowned = any(one.code == "adoption.unowned" for one in findings)
    say = Verdict.problem if unowned else Verdict.warning
    return say(f"Of the adopted models no wall covers: {shown}.", cures)


HOST = (
    Check(
        code="database.adopted",
        group="Database",
        asks="Every row of adopted models has an owner, and nothing of them is reached past the walls.",
        why="What no wall covers, one tenant can see of another.",
        look=_adopted,
        needs="app",
    ),
    Check(
        code="web.mount",
        group="Web",
        asks="The app has no routes below the path of Bartizan's own pages.",
        why="They would never get a request.",
        look=_mount,
        needs="app",
    ),
    Check(
        code="web.writes",
        group="Web",
        asks="No public path of the app changes anything.",
        why="A public write is open to anyone, and has no author in the audit log.",
        look=_writes,
        needs="app",
    ),
    Check(
        code="web.shadowed",
        group="Web",
        asks="No route of the app hides another one.",
        why="What a general route catches first is guarded and answered as that one.",
        look=_shadowed,
        needs="app",
    ),
    Check(
        code="web.csp",
        group="Web",
        asks="The app's pages carry a Content-Security-Policy.",
        why="Bartizan's pages live on the same origin: a script that slips into yours acts on them too.",
        look=_policy,
        needs="app",
    ),
)

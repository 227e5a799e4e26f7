"""Commands that keep running: the server, the gate in front of an app, the worker."""

import signal
import sys
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from types import FrameType
from typing import Any

import click
import uvicorn
from starlette.types import ASGIApp

from bartizan.backbone.jobs import Worker
from bartizan.doors.cli.running import asking, fail, refused
from bartizan.doors.frameworks import Wrapped, alone, speaks_wsgi, wrap
from bartizan.foundation.errors import BartizanError
from bartizan.foundation.settings import load
from bartizan.house import Bartizan, Settings

from .banner import banner
from .handover import Server

_ASGI_ARGUMENTS = 3
_GRACE = 20
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
port = click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port.")

factory = click.option("--factory", is_flag=True, help="APP is a function that makes the application.")
app_dir = click.option("--app-dir", default=".", show_default=True, help="Folder to look for APP in.")


@click.command()
@host
@port
def serve(host: str, port: int) -> None:
    """Serve the control plane and the pages alone.

    \b
    Example:
      bartizan serve --port 8000
    """
    try:
        app = alone({"mount": "", **reachable(host, port)})
    except BartizanError as error:
        refused(error)
    run(app, app.bz, host, port, "the control plane alone")


@click.command()
@click.argument("app", required=False)
@click.option(
    "--upstream", metavar="URL", help="The application is served there: http, https, or unix:/socket."
)
@factory
@app_dir
@host
@port
def guard(  # noqa: PLR0917 - click passes them by name
    app: str | None,
    upstream: str | None,
    factory: bool,  # noqa: FBT001
    app_dir: str,
    host: str,
    port: int,
) -> None:
    """Put sign-in, roles, keys and audit in front of APP, or of what is served at URL, unchanged.

    APP is `module:attribute` of an ASGI or WSGI application.

    \b
    Examples:
      bartizan guard mlflow.server.fastapi_app:app
      bartizan guard --upstream http://127.0.0.1:8888
    """
    if (app is None) == (upstream is None):
        what = "Name one application: APP or --upstream, not both." if app else "Nothing to guard was named."
        cure = "bartizan guard main:app, or bartizan guard --upstream http://127.0.0.1:5000"
        fail(what, "", cure, code=2)
    options: dict[str, Any] = {}
    try:
        if upstream is not None:
            address = elsewhere(upstream, host, port)
            wrapped = relayed(address, reachable(host, port))
            options = {
                "ws_max_size": wrapped.bz.settings.proxy.max_message,
                "ws_per_message_deflate": False,
            }
        else:
            application = find(str(app), Path(app_dir), factory=factory)
            wrapped = wrap(application, reachable(host, port))
    except BartizanError as error:
        refused(error)
    run(wrapped, wrapped.bz, host, port, str(app or upstream), **options)


@click.command()
@click.argument("app", required=False)
@factory
@app_dir
@click.option(
    "--concurrency", default=20, show_default=True, type=click.IntRange(1, 1000), help="Jobs at once."
)
@asking
async def worker(app: str | None, factory: bool, app_dir: str, concurrency: int) -> None:  # noqa: FBT001
    """Do the jobs of every organization until stopped; Ctrl-C or SIGTERM finishes what runs.

    With APP, `module:attribute` of an application that Bartizan was attached to, the jobs that it declares
    are done too.

    \b
    Example:
      bartizan worker main:app --concurrency 20
    """
    house = attached_to(find(app, Path(app_dir), factory=factory), app) if app else Bartizan()
    try:
        await house.start(embedded=False)
        click.echo(f"Worker ready: {concurrency} jobs at once. Ctrl-C to stop.", err=True)
        await Worker(house.jobs, concurrency=concurrency).run(signals=True)
        click.echo("Stopped; nothing is left half done.", err=True)
    finally:
        await house.stop()


def attached_to(app: Any, name: str) -> Bartizan:
    """Give the house that was attached to an application, or say that there is none."""
    house = house_of(app)
    if house is None:
        fail(f"Bartizan is not attached to {name}.", "", "Call bartizan.attach(app) in it.", code=2)
    return house


def house_of(app: Any) -> Bartizan | None:
    """Find the house that was attached to an application."""
    found = getattr(app, "bz", None) or getattr(getattr(app, "state", None), "bartizan", None)
    return found if isinstance(found, Bartizan) else None


def find(name: str, folder: Path, *, factory: bool) -> Any:
    """Import the application that was named; say in words what is wrong with the name."""
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        fail(
            f"{name!r} does not name an application.", "Write it as module:attribute, like main:app.", code=2
        )
    sys.path.insert(0, str(folder.resolve()))
    try:
        place: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (error.name == module or module.startswith(f"{error.name}.")):
            cure = f"Run this in the folder that holds {module.split('.')[0]}, or give it with --app-dir."
            fail(f"There is no module {error.name!r} here.", f"Looked in {folder.resolve()}.", cure, code=3)
        raise
    for part in attribute.split("."):
        if not hasattr(place, part):
            names = [name for name in dir(place) if callable(getattr(place, name)) and name[0] != "_"][:8]
            fail(f"{module} has no {part!r}.", f"It has: {', '.join(names) or 'nothing to call'}.", code=3)
        place = getattr(place, part)
    application = place() if factory else place
    _must_be_an_application(application, name)
    return application


def _must_be_an_application(application: Any, name: str) -> None:
    if not callable(application):
        fail(
            f"{name} is not an application.",
            f"It is {type(application).__name__}, which cannot be called.",
            code=2,
        )
    try:
        wanted = [
            parameter
            for parameter in signature(application).parameters.values()
            if parameter.default is Parameter.empty
            and parameter.kind in {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}
        ]
    except (TypeError, ValueError):
        return
    if speaks_wsgi(application):
        return
    if not wanted and not any(
        p.kind is Parameter.VAR_POSITIONAL for p in signature(application).parameters.values()
    ):
        fail(f"{name} takes no arguments, so it is a factory.", "", "Add --factory.", code=2)
    if len(wanted) > _ASGI_ARGUMENTS:
        fail(
            f"{name} is not a web application.",
            "ASGI takes scope, receive and send; WSGI environ and start_response.",
            code=2,
        )


def elsewhere(address: str, host: str, port: int) -> Any:
    """Read the address of an application; refuse one that is none, or that is our own."""
    proxy = import_module("bartizan.doors.proxy")  # its parser is for CPython, the other commands are not
    try:
        upstream = proxy.Upstream.parse(address)
    except ValueError as error:
        fail(
            "--upstream is not the address of an application.",
            str(error),
            "Like http://127.0.0.1:5000.",
            code=2,
        )
    here = {host, *(_LOCAL if host in _LOCAL else ())}
    if upstream.socket is None and upstream.port == port and upstream.host in here:
        cure = "Choose another --port for the gate, or name the port of the application."
        fail("--upstream is where the gate itself listens.", str(upstream), cure, code=2)
    return upstream


def relayed(upstream: Any, settings: dict[str, Any]) -> Wrapped:
    """Put the gate in front of an application that is served elsewhere."""
    house = Bartizan(settings)
    proxy = import_module("bartizan.doors.proxy")
    names = frozenset(name.lower().encode() for name in house.settings.bridge.every_header())
    relay = proxy.Proxy(upstream, house.settings.proxy, names=names)
    house.on_readiness("upstream", relay.healthy)
    return Wrapped(relay, house)


def _stopped(_number: int, _frame: FrameType | None) -> None:
    """Leave by the front door: what was asked has been done."""


def reachable(host: str, port: int) -> dict[str, Any]:
    """Tell the house where it is reached, unless a setting does."""
    if "base_url" in load(Settings).sources:
        return {}
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - read, not bound
    return {"base_url": f"http://{shown}:{port}"}


def run(
    app: ASGIApp, bz: Bartizan, host: str, port: int, title: str, *, empty: bool = True, **options: Any
) -> None:
    """Serve until stopped; requests in flight are finished first. SIGHUP replaces the process.

    ``empty`` says that nobody may be there yet, so that a word on the first owner helps; ``options`` are
    more of uvicorn's.
    """
    banner(bz, title, empty=empty)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=64 * 1024,
        **options,
    )
    server = Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn stops in good order and then raises the signal again, for whoever was here before.
        signal.signal(number, _stopped)
    if code := server.serve_until_stopped():
        sys.exit(code)

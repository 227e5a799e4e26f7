"""What views share: their table entry, a gate page, a page that says no."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from bartizan.doors.console.forms import Field, Form
from bartizan.doors.console.visit import Visit
from bartizan.foundation.context import NoOrganization, PermissionMissing, current
from bartizan.foundation.errors import BartizanError, Fault, NotFound, Refusal

Link = tuple[str, str]
_UNPROCESSABLE = 422


@dataclass(frozen=True, slots=True)
class View:
    """One path: who answers, to which methods, and whether only to people who are signed in."""

    answer: Callable[[Visit], Awaitable[Response]]
    get: bool = True
    post: bool = False
    signed_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A page with one form: its words and fields."""

    title: str
    path: str
    button: str
    fields: Sequence[Field]
    help: str = ""
    links: Sequence[Link] = ()

    async def show(self, visit: Visit, form: Form | None = None, **words: Any) -> Response:
        """Show the form, with what was wrong."""
        form = form or Form()
        form.values.setdefault("next", visit.next)
        form.values.setdefault("token", visit.asked("token"))
        context: dict[str, Any] = {
            "title": self.title,
            "help": self.help,
            "fields": [*self.fields, Field(name="next", kind="hidden", required=False)],
            "button": self.button,
            "action": visit.url(self.path),
            "links": [(text, visit.url(path)) for text, path in self.links],
        }
        return await plain(
            visit, _UNPROCESSABLE if form.failed else 200, **(context | {"form": form} | words)
        )

    def checked(self, visit: Visit) -> Form | None:
        """Look at what was sent; none when something is missing or too long."""
        return visit.form if visit.form.check(self.fields) else None


async def plain(visit: Visit, status: int = 200, **words: Any) -> Response:
    """Show a page of the gate: a title, a sentence, and what there is to do."""
    nothing: dict[str, Any] = {
        "help": "",
        "note": "",
        "note_kind": "",
        "links": (),
        "go": None,
        "out": False,
        "reference": "",
        "next": visit.next,
        "action": "",
    }
    return await visit.page("gate.html", status, **(nothing | words))


async def refused(visit: Visit, error: BartizanError, status: int) -> Response:
    """Say no: what happened, what to do, and what to quote when asking for help."""
    origin = current.origin
    reference = origin.request_id if origin else ""
    home: Link = ("Go to your account", visit.url("/account"))
    if isinstance(error, NoOrganization):
        return visit.go(visit.url("/choose", next=visit.next))
    if isinstance(error, PermissionMissing):
        title = "You cannot open this"
        missing = error.facts.get("permission", "another role")
        text = f"It needs {missing}. An administrator of your organization can give it to you."
        return await plain(visit, status, title=title, help=text, go=home, out=True, reference=reference)
    if isinstance(error, NotFound):
        return await plain(
            visit,
            status,
            title="There is no such page",
            help="The address may be old.",
            go=home,
            reference=reference,
        )
    if isinstance(error, Fault):
        text = "Something on our side is not working. Nothing was changed. Try again in a minute."
        return await plain(visit, status, title="This did not work", help=text, reference=reference)
    return await plain(visit, status, title="This was refused", help=str(error), go=home, reference=reference)


def attempt(form: Form, fields: Sequence[Field], error: Refusal | ValidationError) -> Form:
    """Note what a service or a model said about a form."""
    form.refuse(error, fields)
    return form

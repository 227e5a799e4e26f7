"""Signing in, signing up, accepting an invitation, choosing an organization, signing out."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError
from starlette.responses import Response

from bartizan.access.orgs import Acceptance
from bartizan.access.sessions import Credentials, Registration, Switch
from bartizan.doors.console.forms import Field, Form
from bartizan.doors.console.visit import Visit
from bartizan.foundation.context import current
from bartizan.foundation.errors import Refusal, TooMany, Unauthenticated

from .page import Gate, View, attempt, plain
from .recovery import EMAIL, NEW_PASSWORD, TOKEN

_LOGIN = Field(
    name="login",
    label="E-mail address or user name",
    autocomplete="username",
    longest=320,
    focus=True,
    missing="Enter your e-mail address or user name",
)
_PASSWORD = Field(
    name="password",
    label="Password",
    kind="password",
    autocomplete="current-password",
    longest=128,
    missing="Enter your password",
)
_NAME = Field(name="full_name", label="Your name", autocomplete="name", longest=120, required=False)
_FIRST_PASSWORD = Field(
    name="password",
    label="Password",
    kind="password",
    autocomplete="new-password",
    hint=NEW_PASSWORD.hint,
    longest=128,
    missing="Choose a password",
)
_ORGANIZATION = Field(
    name="organization",
    label="Organization",
    autocomplete="organization",
    hint="Your company or group. You can invite others later.",
    longest=120,
    required=False,
)
_SIGN_IN = Gate(
    title="Sign in",
    path="/sign-in",
    button="Sign in",
    fields=[_LOGIN, _PASSWORD],
    links=[("Forgot your password?", "/forgot"), ("Create an account", "/sign-up")],
)
_SIGN_UP = Gate(
    title="Create an account",
    path="/sign-up",
    button="Create account",
    fields=[EMAIL, _NAME, _FIRST_PASSWORD, _ORGANIZATION],
    links=[("I have an account", "/sign-in")],
)
_JOIN = Gate(
    title="Accept the invitation",
    path="/invitation",
    button="Create account and join",
    fields=[_NAME, _FIRST_PASSWORD, TOKEN],
)
_OWNER = Gate(
    title="Become the first owner",
    help="This account may do everything. The link works once.",
    path="/owner",
    button="Create the owner's account",
    fields=[EMAIL, _NAME, _FIRST_PASSWORD, _ORGANIZATION, TOKEN],
)
_TOLD = {
    "password": "Your new password is set. Sign in with it.",
    "verified": "Your e-mail address is confirmed. Sign in to go on.",
    "out": "You are signed out.",
    "ended": "Your session has ended. Sign in again to go on.",
}
_CHECK_MAIL = (
    "We sent a mail to {email}. Follow its link to go on. If the address has an account already,"
    " the mail says so."
)


async def root(visit: Visit) -> Response:
    """Send whoever opens the base path to where they belong."""
    return visit.go(visit.url("/account" if visit.caller else "/sign-in"))


async def sign_in(visit: Visit) -> Response:
    """Sign in with a password."""
    if not visit.posted:
        if visit.caller and visit.caller.session_id:
            return visit.go(visit.home())
        told = "ended" if visit.stale else visit.request.query_params.get("told", "")
        return await _SIGN_IN.show(visit, note=_TOLD.get(told, ""), note_kind="" if told == "ended" else "ok")
    form = _SIGN_IN.checked(visit)
    if form is None:
        return await _SIGN_IN.show(visit, visit.form)
    try:
        credentials = Credentials(login=form["login"].strip(), password=SecretStr(form["password"]))
        tokens = await visit.house.sessions.sign_in(credentials)
    except (Refusal, ValidationError) as error:
        return await _not_in(visit, form, error)
    visit.start_session(tokens)
    return visit.go(visit.home() if tokens.org_id else visit.url("/choose", next=visit.next))


async def _not_in(visit: Visit, form: Form, error: Refusal | ValidationError) -> Response:
    """Say why nobody was signed in, and not whether there is an account."""
    links = [(text, visit.url(path)) for text, path in _SIGN_IN.links]
    if isinstance(error, Unauthenticated | ValidationError):
        form.problem = "That does not match. Check the address or user name, and the password."
    else:
        attempt(form, (), error)
        if not isinstance(error, TooMany):
            links = [("Mail me the confirmation link again", visit.url("/verify/again"))]
    return await _SIGN_IN.show(visit, form, links=links)


async def sign_up(visit: Visit) -> Response:
    """Create an account, and an organization with it."""
    if not visit.posted:
        return await _SIGN_UP.show(visit)
    form = _SIGN_UP.checked(visit)
    if form is None:
        return await _SIGN_UP.show(visit, visit.form)
    return await _register(visit, _SIGN_UP)


async def owner(visit: Visit) -> Response:
    """Create the first owner by the one-time link that the installation printed."""
    if not visit.posted:
        return await _OWNER.show(visit)
    form = _OWNER.checked(visit)
    if form is None:
        return await _OWNER.show(visit, visit.form)
    return await _register(visit, _OWNER, owner_token=form["token"])


async def invitation(visit: Visit) -> Response:
    """Accept an invitation: with the account one has, or with a new one."""
    token = visit.asked("token")
    try:
        opened = await visit.house.orgs.invitations.read(Acceptance(token=token))
    except (Refusal, ValidationError):
        return await plain(
            visit,
            410,
            title="This invitation is no longer open",
            help="It was used, withdrawn, or is too old. Ask whoever invited you for a new one.",
        )
    words: dict[str, Any] = {
        "title": f"Join {opened.organization}",
        "help": f"You are invited as {opened.role}, with the address {opened.email}.",
    }
    caller = visit.caller
    if caller and caller.user_id:
        return await _join(visit, token, words)
    if not visit.posted:
        back = visit.url("/invitation", token=token)
        links = [("I have an account", visit.url("/sign-in", next=back))]
        return await _JOIN.show(visit, links=links, **words)
    form = _JOIN.checked(visit)
    if form is None:
        return await _JOIN.show(visit, visit.form, **words)
    form.values["email"] = opened.email
    return await _register(visit, _JOIN, words=words, invitation=token)


async def _join(visit: Visit, token: str, words: dict[str, Any]) -> Response:
    gate = Gate(title=str(words["title"]), path="/invitation", button="Join", fields=[TOKEN])
    if not visit.posted:
        return await gate.show(visit, **words, out=True)
    try:
        joined = await visit.house.orgs.invitations.accept(Acceptance(token=token))
        visit.start_session(await visit.house.sessions.switch(Switch(org_id=joined.org_id)))
    except Refusal as error:
        return await gate.show(visit, attempt(visit.form, (), error), **words, out=True)
    return visit.go(visit.home())


async def _register(
    visit: Visit, gate: Gate, *, words: Mapping[str, Any] | None = None, **more: str
) -> Response:
    form = visit.form
    try:
        registered = await visit.house.sessions.register(_registration(form, **more))
    except (Refusal, ValidationError) as error:
        return await gate.show(visit, attempt(form, _shown(gate), error), **(words or {}))
    if registered.tokens is None:
        return await plain(visit, title="Look at your mail", help=_CHECK_MAIL.format(email=form["email"]))
    visit.start_session(registered.tokens)
    return visit.go(visit.home())


def _shown(gate: Gate) -> Sequence[Field]:
    """Give the fields that people see, beside which an error can stand."""
    return [spec for spec in gate.fields if spec.kind != "hidden"]


def _registration(form: Form, **more: str) -> Registration:
    """Read an account to be opened from a form; what was left empty is left out."""
    given = {name: form[name].strip() for name in ("email", "full_name", "organization")} | more
    filled = {name: value for name, value in given.items() if value}
    return Registration.model_validate({"password": form["password"], **filled})


async def choose(visit: Visit) -> Response:
    """Choose the organization to act for."""
    if visit.posted:
        switch = Switch(org_id=visit.form["org_id"])
        visit.start_session(await visit.house.sessions.switch(switch))
        return visit.go(visit.home())
    mine = [one for one in await visit.house.orgs.mine() if one.status == "active"]
    if not mine:
        return await plain(
            visit,
            title="You belong to no organization",
            help=f"Ask an administrator to invite {current.caller.email or 'you'}, then sign in again.",
            out=True,
        )
    choices = [{"id": one.id, "name": one.name, "role": ", ".join(one.roles)} for one in mine]
    return await plain(
        visit,
        title="Choose an organization",
        help="What you see and may do depends on it. You can switch at any time.",
        choices=choices,
        action=visit.url("/choose"),
        out=True,
    )


async def sign_out(visit: Visit) -> Response:
    """End this session; asked for by a button, so that no link can do it."""
    if not visit.posted:
        if visit.caller is None:
            return visit.go(visit.url("/sign-in"))
        return await plain(visit, title="Sign out?", help="This ends your session in this browser.", out=True)
    if visit.caller:
        await visit.house.sessions.sign_out()
    visit.end_session()
    return visit.go(visit.url("/sign-in", told="out"))


VIEWS: Mapping[str, View] = {
    "/": View(root),
    "/sign-in": View(sign_in, post=True),
    "/sign-up": View(sign_up, post=True),
    "/invitation": View(invitation, post=True),
    "/owner": View(owner, post=True),
    "/choose": View(choose, post=True, signed_in=True),
    "/sign-out": View(sign_out, post=True),
}

"""Forgotten passwords and addresses to confirm. No answer tells whether an account exists."""

from collections.abc import Mapping

from pydantic import SecretStr, ValidationError
from starlette.responses import Response

from bartizan.access.identity import EmailOnly, LinkOnly, NewPassword
from bartizan.doors.console.forms import Field
from bartizan.doors.console.visit import Visit
from bartizan.foundation.errors import Refusal

from .page import Gate, View, attempt, plain

EMAIL = Field(
    name="email",
    label="E-mail address",
    kind="email",
    autocomplete="email",
    longest=320,
    focus=True,
    missing="Enter your e-mail address",
)
TOKEN = Field(name="token", kind="hidden", longest=200, missing="The link is not complete")
NEW_PASSWORD = Field(
    name="password",
    label="New password",
    kind="password",
    autocomplete="new-password",
    hint="At least 10 characters. A few unrelated words are good and easy to keep in mind.",
    longest=128,
    missing="Enter a new password",
)
_BACK = ("Back to sign-in", "/sign-in")
_MAILED = (
    "If {email} belongs to an account, a link is on its way. It can take a minute."
    " Look in the spam folder too."
)

_FORGOT = Gate(
    title="Forgot your password?",
    help="Give the address of your account, and we mail you a link to set a new one.",
    path="/forgot",
    button="Mail me a link",
    fields=[EMAIL],
    links=[_BACK],
)
_RESET = Gate(
    title="Set a new password",
    help="Everyone signed in to the account is then signed out.",
    path="/reset",
    button="Set new password",
    fields=[NEW_PASSWORD, TOKEN],
    links=[("Mail me another link", "/forgot")],
)
_VERIFY = Gate(
    title="Confirm your address",
    help="One step left, so that nobody can use an address that is not theirs.",
    path="/verify",
    button="Confirm e-mail address",
    fields=[TOKEN],
    links=[("Mail me another link", "/verify/again")],
)
_AGAIN = Gate(
    title="Confirm your address",
    help="Give the address of your account, and we mail you the link again.",
    path="/verify/again",
    button="Mail me the link",
    fields=[EMAIL],
    links=[_BACK],
)


async def forgot(visit: Visit) -> Response:
    """Ask for a link to set a new password."""
    return await _mail(visit, _FORGOT)


async def again(visit: Visit) -> Response:
    """Ask for the confirmation link once more."""
    return await _mail(visit, _AGAIN)


async def _mail(visit: Visit, gate: Gate) -> Response:
    if not visit.posted:
        return await gate.show(visit)
    if form := gate.checked(visit):
        try:
            request = EmailOnly(email=form["email"])
            if gate is _FORGOT:
                await visit.house.identity.request_password_reset(request)
            else:
                await visit.house.identity.request_verification(request)
        except (Refusal, ValidationError) as error:
            return await gate.show(visit, attempt(form, gate.fields, error))
        return await plain(
            visit,
            title="Look at your mail",
            help=_MAILED.format(email=request.email),
            links=[("Back to sign-in", visit.url("/sign-in"))],
        )
    return await gate.show(visit, visit.form)


async def reset(visit: Visit) -> Response:
    """Set a new password by the mailed link."""
    if not visit.posted:
        return await _RESET.show(visit)
    if form := _RESET.checked(visit):
        try:
            new = NewPassword(token=form["token"], password=SecretStr(form["password"]))
            await visit.house.identity.reset_password(new)
        except (Refusal, ValidationError) as error:
            return await _RESET.show(visit, attempt(form, [NEW_PASSWORD], error))
        return visit.go(visit.url("/sign-in", told="password"))
    return await _RESET.show(visit, visit.form)


async def verify(visit: Visit) -> Response:
    """Confirm an address by the mailed link; by a button, since mail scanners open links."""
    if not visit.posted:
        return await _VERIFY.show(visit)
    if form := _VERIFY.checked(visit):
        try:
            await visit.house.identity.verify_email(LinkOnly(token=form["token"]))
        except (Refusal, ValidationError) as error:
            return await _VERIFY.show(visit, attempt(form, (), error))
        return visit.go(visit.url("/sign-in", told="verified"))
    return await _VERIFY.show(visit, visit.form)


VIEWS: Mapping[str, View] = {
    "/forgot": View(forgot, post=True),
    "/reset": View(reset, post=True),
    "/verify": View(verify, post=True),
    "/verify/again": View(again, post=True),
}

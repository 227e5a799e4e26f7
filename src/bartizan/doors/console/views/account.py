"""One's own account: profile, password, sessions, keys, organizations."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr, ValidationError
from starlette.responses import Response

from bartizan.access.api_keys import ApiKey, NewApiKey
from bartizan.access.identity import PasswordChange, ProfileChanges
from bartizan.doors.console.forms import Field, Form
from bartizan.doors.console.visit import Visit
from bartizan.foundation.context import current
from bartizan.foundation.errors import Refusal

from .page import View, attempt
from .recovery import NEW_PASSWORD

_PROFILE = (
    Field(name="full_name", label="Name", autocomplete="name", longest=120, required=False),
    Field(
        name="username",
        label="User name",
        autocomplete="username",
        longest=40,
        required=False,
        hint="To sign in with instead of the address.",
    ),
)
_PASSWORD = (
    Field(
        name="current_password",
        label="Current password",
        kind="password",
        autocomplete="current-password",
        longest=128,
        missing="Enter your current password",
    ),
    Field(
        name="new_password",
        label="New password",
        kind="password",
        autocomplete="new-password",
        hint=NEW_PASSWORD.hint,
        longest=128,
        missing="Enter a new password",
    ),
)
_KEY = (
    Field(
        name="name",
        label="Name of the key",
        longest=80,
        autocomplete="off",
        hint="What it is for, such as nightly export.",
        missing="Give the key a name",
    ),
    Field(
        name="scope",
        label="What it may do",
        longest=10,
        options=(
            ("read", "Read in the app"),
            ("write", "Read and change things in the app"),
            ("all", "Everything that I may do now"),
        ),
    ),
)
_SCOPES = {"read": ["app:read"], "write": ["app:read", "app:write"]}
_TOLD = {
    "profile": "Your profile is saved.",
    "password": "Your password is changed. Your other sessions have ended.",
    "ended": "The session has ended.",
    "revoked": "The key is revoked. It no longer works.",
}
_UNPROCESSABLE = 422
_MOST = 100


async def show(visit: Visit, which: str = "", *, issued: Any = None) -> Response:
    """Show the account; ``which`` names the form that failed."""
    house, caller = visit.house, current.caller
    user = await house.identity.me()
    organizations = await house.orgs.mine()
    form = visit.form if which else Form()
    saved = Form({"full_name": user.full_name or "", "username": user.username or ""})
    return await visit.page(
        "account.html",
        _UNPROCESSABLE if form.failed else 200,
        here="account",
        told=_TOLD.get(visit.request.query_params.get("told", ""), ""),
        user=user,
        which=which,
        form=form,
        blank=Form(),
        profile=form if which == "profile" else saved,
        profile_fields=_PROFILE,
        password_fields=_PASSWORD,
        key_fields=_KEY,
        issued=issued,
        sessions=(await house.sessions.list(limit=_MOST)).items,
        keys=await _keys(visit),
        may_issue=current.allows("api_keys:write"),
        organizations=organizations,
        organization=next((one for one in organizations if one.id == caller.org_id), None),
    )


async def _keys(visit: Visit) -> Sequence[ApiKey] | None:
    """Give one's own keys; none where one may have none."""
    caller = current.caller
    if not caller.org_id or not current.allows("api_keys:read"):
        return None
    page = await visit.house.api_keys.list(limit=_MOST)
    return [key for key in page.items if key.owner_id == caller.user_id]


async def account(visit: Visit) -> Response:
    """Show the account."""
    return await show(visit)


async def save_profile(visit: Visit) -> Response:
    """Change one's name and user name."""
    if visit.form.check(_PROFILE):
        try:
            changes = ProfileChanges(
                full_name=visit.form["full_name"].strip() or None,
                username=visit.form["username"].strip() or None,
            )
            await visit.house.identity.update_me(changes)
        except (Refusal, ValidationError) as error:
            attempt(visit.form, _PROFILE, error)
    return await _told(visit, "profile", _PROFILE)


async def change_password(visit: Visit) -> Response:
    """Change one's password."""
    if visit.form.check(_PASSWORD):
        try:
            change = PasswordChange(
                current_password=SecretStr(visit.form["current_password"]),
                new_password=SecretStr(visit.form["new_password"]),
            )
            await visit.house.identity.change_password(change)
        except (Refusal, ValidationError) as error:
            attempt(visit.form, _PASSWORD, error)
    return await _told(visit, "password", _PASSWORD)


async def end_session(visit: Visit) -> Response:
    """End one of one's sessions."""
    await visit.house.sessions.end(visit.form["session_id"])
    return visit.go(visit.url("/account", told="ended"))


async def end_others(visit: Visit) -> Response:
    """End all of one's sessions but this one."""
    await visit.house.sessions.end_others()
    return visit.go(visit.url("/account", told="ended"))


async def create_key(visit: Visit) -> Response:
    """Create a key and show its secret, this once."""
    if not visit.form.check(_KEY):
        return await show(visit, "keys")
    try:
        scopes = _SCOPES.get(visit.form["scope"]) or sorted(current.caller.permissions)
        new = NewApiKey(name=visit.form["name"].strip(), scopes=scopes)
        issued = await visit.house.api_keys.issue(new)
    except (Refusal, ValidationError) as error:
        attempt(visit.form, _KEY, error)
        return await show(visit, "keys")
    visit.form = Form()
    return await show(visit, issued=issued)


async def revoke_key(visit: Visit) -> Response:
    """Revoke a key."""
    await visit.house.api_keys.revoke(visit.form["key_id"])
    return visit.go(visit.url("/account", told="revoked"))


async def _told(visit: Visit, which: str, fields: Sequence[Field]) -> Response:
    """Go back to the account, or show what was wrong; ``fields`` are those of the form."""
    if visit.form.failed:
        visit.form.values = {
            name: value for name, value in visit.form.values.items() if name in _names(fields)
        }
        return await show(visit, which)
    return visit.go(visit.url("/account", told=which))


def _names(fields: Sequence[Field]) -> frozenset[str]:
    return frozenset(spec.name for spec in fields)


VIEWS: Mapping[str, View] = {
    "/account": View(account, signed_in=True),
    "/account/profile": View(save_profile, get=False, post=True, signed_in=True),
    "/account/password": View(change_password, get=False, post=True, signed_in=True),
    "/account/sessions/end": View(end_session, get=False, post=True, signed_in=True),
    "/account/sessions/end-others": View(end_others, get=False, post=True, signed_in=True),
    "/account/keys": View(create_key, get=False, post=True, signed_in=True),
    "/account/keys/revoke": View(revoke_key, get=False, post=True, signed_in=True),
}

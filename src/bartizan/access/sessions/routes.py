"""Signing in and sessions over HTTP."""

from inspect import getdoc
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from .service import Sessions
from .types import Credentials, Impersonation, Registered, Registration, Stopping, Switch, Tokens, cookie_name

_FORM = "application/x-www-form-urlencoded"
_FIELDS = {"username", "password"}
_LOGIN: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "title": "Credentials",
                    "type": "object",
                    "required": ["login", "password"],
                    "additionalProperties": False,
                    "properties": {
                        "login": {"type": "string", "minLength": 1, "maxLength": 320},
                        "password": {
                            "type": "string",
                            "format": "password",
                            "minLength": 1,
                            "maxLength": 128,
                        },
                        "cookie": {"type": "boolean", "default": False},
                    },
                }
            },
            _FORM: {
                "schema": {
                    "title": "PasswordGrant",
                    "type": "object",
                    "required": ["username", "password"],
                    "properties": {
                        "grant_type": {"type": "string", "const": "password"},
                        "username": {"type": "string", "minLength": 1, "maxLength": 320},
                        "password": {
                            "type": "string",
                            "format": "password",
                            "minLength": 1,
                            "maxLength": 128,
                        },
                    },
                }
            },
        },
    }
}


def routes(sessions: Sessions) -> APIRouter:
    """Map operations to methods of the service; where one gives tokens, a cookie may take them."""
    cookies = _Cookies(sessions)
    auth = APIRouter(prefix="/auth", tags=["Auth"])
    told: dict[int | str, dict[str, Any]] = {
        202: {"model": Registered, "description": "A mail says how to go on."}
    }
    auth.post("/register", status_code=201, responses=told, description=getdoc(sessions.register))(
        cookies.register
    )
    auth.post("/login", openapi_extra=_LOGIN, description=getdoc(sessions.sign_in))(cookies.sign_in)
    auth.post("/logout", status_code=204, description=getdoc(sessions.sign_out))(cookies.sign_out)
    auth.post("/refresh")(sessions.refresh)
    auth.post("/switch", description=getdoc(sessions.switch))(cookies.switch)
    auth.get("/me")(sessions.me)
    auth.post("/impersonate", status_code=201, description=getdoc(sessions.impersonate))(cookies.impersonate)
    auth.post("/impersonate/stop", description=getdoc(sessions.stop_impersonating))(
        cookies.stop_impersonating
    )
    mine = APIRouter(prefix="/sessions", tags=["Sessions"])
    mine.get("")(sessions.list)
    mine.delete("", status_code=204)(sessions.end_others)
    mine.get("/all")(sessions.list_all)
    mine.delete("/people/{user_id}", status_code=204)(sessions.end_all_of)
    mine.delete("/{session_id}", status_code=204)(sessions.end)
    table = APIRouter()
    table.include_router(auth)
    table.include_router(mine)
    return table


class _Cookies:
    """Operations that give tokens, for browsers: the session's token goes into a cookie and nowhere else."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._secure = sessions.secure_cookies
        self._name = cookie_name(secure=self._secure)

    async def register(self, new: Registration, response: Response) -> Registered:
        made = await self._sessions.register(new)
        if made.status == "pending":
            response.status_code = 202
        if made.tokens is None:
            return made
        return made.model_copy(update={"tokens": self._give(response, made.tokens, cookie=new.cookie)})

    async def sign_in(self, request: Request, response: Response) -> Tokens:
        credentials = await _credentials(request)
        return self._give(response, await self._sessions.sign_in(credentials), cookie=credentials.cookie)

    async def sign_out(self, response: Response) -> None:
        await self._sessions.sign_out()
        response.delete_cookie(self._name, path="/", secure=self._secure, httponly=True, samesite="lax")

    async def switch(self, target: Switch, response: Response) -> Tokens:
        return self._give(response, await self._sessions.switch(target), cookie=target.cookie)

    async def impersonate(self, request: Impersonation, response: Response) -> Tokens:
        return self._give(response, await self._sessions.impersonate(request), cookie=request.cookie)

    async def stop_impersonating(self, how: Stopping, response: Response) -> Tokens:
        return self._give(response, await self._sessions.stop_impersonating(how), cookie=how.cookie)

    def _give(self, response: Response, tokens: Tokens, *, cookie: bool) -> Tokens:
        response.headers["cache-control"] = "no-store"  # RFC 6749, section 5.1
        if not cookie:
            return tokens
        response.set_cookie(
            self._name,
            tokens.session_token or "",
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        hidden = {"session_token": None, "refresh_token": None, "access_token": None}
        return tokens.model_copy(update=hidden)


async def _credentials(request: Request) -> Credentials:
    """Read JSON, or the form of OAuth 2's password grant (RFC 6749, section 4.3)."""
    body = b""
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            form = await request.form(max_files=0, max_fields=20)
            return Credentials.model_validate({name: form[name] for name in _FIELDS if name in form})
        body = await request.body()
        return Credentials.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error

"""The applications that ``benchmarks.gate`` compares: ``python -m benchmarks.hosts.gate NAME PORT FOLDER``.

Each is served by uvicorn in one process, and writes the headers that its caller has to send, and ``ready``,
as one line of JSON.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_users import FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import AccessTokenDatabase, DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users.manager import BaseUserManager
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from pydantic import SecretStr
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

import bartizan
from bartizan.access.api_keys import NewApiKey
from bartizan.access.sessions import Registration
from bartizan.foundation.context import Caller, current

EMAIL, PASSWORD = "buyer@example.com", "brass lantern over quiet water"
FREE = "1000000000/minute burst 1000000000"
Headers = dict[str, str]
Made = tuple[Any, Headers]
ITEMS = Table("bench_items", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(40)))


def plain() -> FastAPI:
    """Make the application that all of them guard: it reads and it takes, and does nothing else."""
    app = FastAPI(openapi_url=None)

    @app.get("/items/{number}")
    async def read(number: int) -> dict[str, int]:
        return {"id": number}

    @app.post("/items")
    async def take() -> dict[str, bool]:
        return {"taken": True}

    return app


async def bare(_folder: Path) -> Made:
    """Guard nothing."""
    return plain(), {}


def storing(engine: AsyncEngine, app: FastAPI) -> None:
    """Let an application store what it takes, in a transaction of its own."""

    @app.post("/stored")
    async def store() -> dict[str, bool]:
        async with engine.begin() as connection:
            await connection.execute(insert(ITEMS).values(name="kettle"))
        return {"taken": True}


async def bare_storing(_folder: Path) -> Made:
    """Store on PostgreSQL and guard nothing."""
    app = plain()
    engine = create_async_engine(os.environ["BENCH_POSTGRESQL"])
    async with engine.begin() as connection:
        await connection.run_sync(ITEMS.metadata.create_all)
    storing(engine, app)
    return app, {}


async def ours(folder: Path, *, how: str = "cookie", url: str | None = None) -> Made:
    """Guard by Bartizan with everything on."""
    app = plain()
    options = {
        "database": url or f"sqlite:///{folder}/bartizan.db",
        "data_dir": str(folder),
        "embedded_worker": False,
        "telemetry": {"log_level": "warning"},
    }
    bz = bartizan.attach(app, options)
    if url:

        @app.post("/stored")
        async def store() -> dict[str, bool]:
            async with bz.database.transaction() as session:
                await session.execute(insert(ITEMS).values(name="kettle"))
                await bz.audit.log("item.stored")
            return {"taken": True}

    await bz.start()
    registered = await bz.sessions.register(Registration(email=EMAIL, password=SecretStr(PASSWORD)))
    tokens = registered.tokens
    assert tokens
    if how == "key":
        user_id, org_id = tokens.user_id, tokens.org_id
        effective = await bz.rbac.effective(user_id, org_id or "")
        caller = Caller(
            id=user_id, kind="user", user_id=user_id, org_id=org_id, permissions=effective.permissions
        )
        with current.acting_as(caller):
            key = await bz.api_keys.issue(NewApiKey(name="bench", scopes=["app:read", "app:write"]))
        return app, {"X-API-Key": key.secret}
    if how == "bearer":
        return app, {"Authorization": f"Bearer {tokens.access_token}"}
    return app, {"Cookie": f"bartizan={tokens.session_token}", "Sec-Fetch-Site": "same-origin"}


async def ours_bearer(folder: Path) -> Made:
    """Guard by Bartizan, asked with an access token."""
    return await ours(folder, how="bearer")


async def ours_key(folder: Path) -> Made:
    """Guard by Bartizan, asked with an API key."""
    return await ours(folder, how="key")


async def ours_storing(folder: Path) -> Made:
    """Guard by Bartizan on PostgreSQL, with the audit row in the application's transaction."""
    return await ours(folder, url=os.environ["BENCH_POSTGRESQL"])


class Base(DeclarativeBase):
    """Tables of the libraries that are compared."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """A person, as fastapi-users stores them."""


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    """A token, as fastapi-users stores them."""


class UserManager(UUIDIDMixin, BaseUserManager[User, Any]):
    """The users of fastapi-users, with its defaults."""

    reset_password_token_secret = verification_token_secret = "s" * 40


async def library(folder: Path, *, database: bool) -> Made:
    """Guard by fastapi-users, as its documentation says."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/users.db")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def session() -> AsyncGenerator[AsyncSession]:
        async with sessions() as one:
            yield one

    async def users(one: Annotated[AsyncSession, Depends(session)]) -> SQLAlchemyUserDatabase[User, Any]:
        return SQLAlchemyUserDatabase(one, User)

    async def manager(found: Annotated[Any, Depends(users)]) -> UserManager:
        return UserManager(found)

    async def tokens(one: Annotated[AsyncSession, Depends(session)]) -> Any:
        return SQLAlchemyAccessTokenDatabase(one, AccessToken)

    def stored(found: Annotated[AccessTokenDatabase[AccessToken], Depends(tokens)]) -> Any:
        return DatabaseStrategy(found, lifetime_seconds=3600)

    def signed() -> Any:
        return JWTStrategy(secret="s" * 40, lifetime_seconds=3600)

    backend = AuthenticationBackend(
        name="bench",
        transport=BearerTransport(tokenUrl="login"),
        get_strategy=stored if database else signed,
    )
    fastapi_users = FastAPIUsers[User, Any](manager, [backend])
    app = FastAPI(openapi_url=None)
    present = Depends(fastapi_users.current_user(active=True))

    @app.get("/items/{number}", dependencies=[present])
    async def read(number: int) -> dict[str, int]:
        return {"id": number}

    async with sessions() as one:
        made = await UserManager(SQLAlchemyUserDatabase(one, User)).create(
            schemas.BaseUserCreate(email=EMAIL, password=PASSWORD)
        )
        strategy = stored(SQLAlchemyAccessTokenDatabase(one, AccessToken)) if database else signed()
        token = await strategy.write_token(made)
    return app, {"Authorization": f"Bearer {token}"}


async def library_jwt(folder: Path) -> Made:
    """Guard by fastapi-users with signed tokens."""
    return await library(folder, database=False)


async def library_database(folder: Path) -> Made:
    """Guard by fastapi-users with stored tokens."""
    return await library(folder, database=True)


async def middleware(folder: Path) -> Made:
    """Guard by a ``BaseHTTPMiddleware`` that loads the user of each request, as tutorials do."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/users.db")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with sessions() as one:
        made = await UserManager(SQLAlchemyUserDatabase(one, User)).create(
            schemas.BaseUserCreate(email=EMAIL, password=PASSWORD)
        )
    app = plain()

    async def gate(request: Request, then: Callable[[Request], Awaitable[Response]]) -> Response:
        async with sessions() as one:
            wanted = select(User).where(User.email == request.headers.get("x-user"))
            user = (await one.execute(wanted)).scalar_one_or_none()
        if user is None or not user.is_active:
            return JSONResponse({"detail": "Unauthorized"}, 401)
        request.state.user = user
        return await then(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=gate)
    return app, {"X-User": made.email}


HOSTS: dict[str, Callable[[Path], Awaitable[Made]]] = {
    "bare": bare,
    "bare_storing": bare_storing,
    "ours": ours,
    "ours_bearer": ours_bearer,
    "ours_key": ours_key,
    "ours_storing": ours_storing,
    "library_jwt": library_jwt,
    "library_database": library_database,
    "middleware": middleware,
}


async def main(name: str, port: int, folder: Path) -> None:
    """Serve one of them until killed."""
    app, headers = await HOSTS[name](folder)
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.01)
    print(json.dumps(headers), flush=True)
    await task


if __name__ == "__main__":
    uvloop = __import__("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))

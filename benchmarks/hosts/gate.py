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
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_users import FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import BaseUserDatabase
from fastapi_users.manager import BaseUserManager
from pydantic import SecretStr
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

import bartizan
from bartizan.access.api_keys import NewApiKey
from bartizan.access.sessions import Registration
from bartizan.foundation.context import Caller, current

EMAIL, PASSWORD = "buyer@example.com", "brass lantern over quiet water"
FREE = "500000/second burst 1000000"
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
        "limits": dict.fromkeys(("browser", "user", "organization", "address"), FREE),
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


class User(Base):
    """A person, with the columns that fastapi-users asks for."""

    __tablename__ = "user"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(String(320), unique=True, index=True)
    hashed_password: Mapped[str] = mapped_column(String(1024))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_superuser: Mapped[bool] = mapped_column(default=False)
    is_verified: Mapped[bool] = mapped_column(default=False)


class AccessToken(Base):
    """A token, with the columns that fastapi-users asks for."""

    __tablename__ = "accesstoken"

    token: Mapped[str] = mapped_column(String(43), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(index=True, default=lambda: datetime.now(UTC))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id"))


class Users(BaseUserDatabase[Any, UUID]):
    """Finds users as the library's own adapter does; that one does not go with SQLAlchemy 2.1 yet."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, id: UUID) -> User | None:  # noqa: A002 - the library's name
        """Find by id."""
        return (await self._session.execute(select(User).where(User.id == id))).unique().scalar_one_or_none()

    async def get_by_email(self, email: str) -> User | None:
        """Find by address."""
        wanted = select(User).where(func.lower(User.email) == email.lower())
        return (await self._session.execute(wanted)).unique().scalar_one_or_none()

    async def create(self, create_dict: dict[str, Any]) -> User:
        """Add one."""
        user = User(**create_dict)
        self._session.add(user)
        await self._session.commit()
        return user


class Tokens:
    """Finds tokens as the library's own adapter does."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get_by_token(self, token: str, max_age: datetime | None = None) -> AccessToken | None:
        """Find one that is not too old."""
        wanted = select(AccessToken).where(AccessToken.token == token)
        if max_age:
            wanted = wanted.where(AccessToken.created_at >= max_age)
        return (await self._session.execute(wanted)).scalar_one_or_none()

    async def create(self, create_dict: dict[str, Any]) -> AccessToken:
        """Add one."""
        made = AccessToken(**create_dict)
        self._session.add(made)
        await self._session.commit()
        return made


class UserManager(UUIDIDMixin, BaseUserManager[Any, UUID]):
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

    async def users(one: Annotated[AsyncSession, Depends(session)]) -> Users:
        return Users(one)

    async def manager(found: Annotated[Any, Depends(users)]) -> UserManager:
        return UserManager(found)

    async def tokens(one: Annotated[AsyncSession, Depends(session)]) -> Any:
        return Tokens(one)

    def stored(found: Annotated[Any, Depends(tokens)]) -> Any:
        return DatabaseStrategy(found, lifetime_seconds=3600)

    def signed() -> Any:
        return JWTStrategy(secret="s" * 40, lifetime_seconds=3600)

    backend = AuthenticationBackend(
        name="bench",
        transport=BearerTransport(tokenUrl="login"),
        get_strategy=stored if database else signed,
    )
    fastapi_users = FastAPIUsers[Any, UUID](manager, [backend])
    app = FastAPI(openapi_url=None)
    present = Depends(fastapi_users.current_user(active=True))

    @app.get("/items/{number}", dependencies=[present])
    async def read(number: int) -> dict[str, int]:
        return {"id": number}

    async with sessions() as one:
        made = await UserManager(Users(one)).create(schemas.BaseUserCreate(email=EMAIL, password=PASSWORD))
        strategy = stored(Tokens(one)) if database else signed()
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
        made = await UserManager(Users(one)).create(schemas.BaseUserCreate(email=EMAIL, password=PASSWORD))
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

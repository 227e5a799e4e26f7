"""An application with leaks of every kind, each of which can be repaired by itself."""

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import (
    Depends,
    FastAPI,
    HTTPException,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import bartizan
from bartizan import current

LEAKS = {
    "get": "GET /notes/{note_id}",
    "list": "GET /notes",
    "update": "PUT /notes/{note_id}",
    "delete": "DELETE /notes/{note_id}",
    "raw-sql": "GET /reports",
    "dictionary": "GET /drafts/{draft_id}",
    "cache": "GET /dashboard",
    "id-in-body": "POST /copies",
    "reference": "POST /comments",
    "broadcast": "WS /feed",
    "socket-path": "WS /rooms/{note_id}",
    "file": "GET /files/{path}",
    "search": "GET /search",
    "count": "GET /stats",
    "header": "GET /profile",
    "header-write": "POST /tasks",
    "response-header": "GET /latest",
    "nested": "GET /projects/{project_id}/items/{item_id}",
    "existence": "GET /letters/{letter_id}",
    "bare-route": "GET /bare/{note_id}",
}
"""Each leak, and the route that has it."""

metadata = MetaData()
notes = Table(
    "host_notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("org_id", String(40)),
    Column("text", String(400)),
)


class NewNote(BaseModel):
    text: str


class Copy(BaseModel):
    note_id: int


class NewComment(BaseModel):
    note_id: int
    text: str


@dataclass
class Memory:
    """What this process remembers."""

    drafts: dict[int, tuple[str, str]] = field(default_factory=dict)
    letters: dict[int, tuple[str, str]] = field(default_factory=dict)
    tasks: list[tuple[str, str]] = field(default_factory=list)
    projects: dict[int, tuple[str, str]] = field(default_factory=dict)
    items: dict[int, tuple[int, str]] = field(default_factory=dict)
    comments: list[tuple[str, int, str]] = field(default_factory=list)
    cache: dict[str, Any] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    listeners: list[tuple[str, WebSocket]] = field(default_factory=list)


def org() -> str:
    return current.org_id


Org = Annotated[str, Depends(org)]


def driver(url: str) -> str:
    return url.replace("sqlite://", "sqlite+aiosqlite://")


def planted(database: str, settings: dict[str, Any], leaks: Collection[str]) -> FastAPI:  # noqa: C901, PLR0915
    """Make the application with some leaks."""
    unknown = set(leaks) - set(LEAKS)
    assert not unknown, unknown
    engine: AsyncEngine = create_async_engine(driver(database))
    memory = Memory()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    bartizan.attach(app, settings)

    def mine(leak: str, org_id: str) -> Any:
        return text("1=1") if leak in leaks else notes.c.org_id == org_id

    async def all_of(query: Any) -> list[dict[str, Any]]:
        async with engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def one_of(leak: str, org_id: str, note_id: int) -> dict[str, Any]:
        found = await all_of(select(notes).where(notes.c.id == note_id, mine(leak, org_id)))
        if not found:
            raise HTTPException(404)
        return {"id": found[0]["id"], "text": found[0]["text"]}

    async def tell(org_id: str, said: str) -> None:
        for whose, socket in list(memory.listeners):
            if "broadcast" in leaks or whose == org_id:
                await socket.send_text(said)

    @app.post("/notes", status_code=201)
    async def write(new: NewNote, org_id: Org) -> dict[str, Any]:
        async with engine.begin() as connection:
            made = await connection.execute(
                insert(notes).values(org_id=org_id, text=new.text).returning(notes.c.id)
            )
            note_id = made.scalar_one()
        await tell(org_id, f"new: {new.text}")
        return {"id": note_id, "text": new.text}

    @app.get("/notes")
    async def listing(org_id: Org) -> list[dict[str, Any]]:
        return await all_of(select(notes.c.id, notes.c.text).where(mine("list", org_id)).order_by(notes.c.id))

    @app.get("/notes/{note_id}")
    async def get(note_id: int, org_id: Org) -> dict[str, Any]:
        return await one_of("get", org_id, note_id)

    @app.put("/notes/{note_id}")
    async def change(note_id: int, new: NewNote, org_id: Org) -> Response:
        if "update" not in leaks:
            await one_of("", org_id, note_id)
        async with engine.begin() as connection:
            await connection.execute(update(notes).where(notes.c.id == note_id).values(text=new.text))
        return Response(status_code=204)

    @app.delete("/notes/{note_id}", status_code=204)
    async def remove(note_id: int, org_id: Org) -> None:
        async with engine.begin() as connection:
            gone = await connection.execute(
                delete(notes).where(notes.c.id == note_id, mine("delete", org_id))
            )
        if not gone.rowcount:
            raise HTTPException(404)

    @app.get("/reports")
    async def reports(org_id: Org, least: int = 0) -> list[str]:
        where = "" if "raw-sql" in leaks else " AND org_id = :org_id"
        query = text(f"SELECT text FROM host_notes WHERE id >= :least{where} ORDER BY id")
        bound = {"least": least} | ({} if "raw-sql" in leaks else {"org_id": org_id})
        return [row["text"] for row in await all_of(query.bindparams(**bound))]

    @app.post("/drafts", status_code=201)
    async def draft(new: NewNote, org_id: Org) -> dict[str, Any]:
        memory.drafts[len(memory.drafts) + 1] = (org_id, new.text)
        return {"draft_id": len(memory.drafts)}

    @app.get("/drafts/{draft_id}")
    async def read_draft(draft_id: int, org_id: Org) -> dict[str, Any]:
        whose, said = memory.drafts.get(draft_id, ("", ""))
        if not said or ("dictionary" not in leaks and whose != org_id):
            raise HTTPException(404)
        return {"text": said}

    @app.get("/dashboard")
    async def dashboard(org_id: Org) -> Any:
        key = "dashboard" if "cache" in leaks else f"dashboard {org_id}"
        if key not in memory.cache:
            memory.cache[key] = await all_of(select(notes.c.text).where(notes.c.org_id == org_id))
        return memory.cache[key]

    @app.post("/copies", status_code=201)
    async def copy(new: Copy, org_id: Org) -> dict[str, Any]:
        return {"text": (await one_of("id-in-body", org_id, new.note_id))["text"]}

    @app.post("/comments", status_code=201)
    async def comment(new: NewComment, org_id: Org) -> dict[str, Any]:
        await one_of("reference", org_id, new.note_id)
        memory.comments.append((org_id, new.note_id, new.text))
        return {"text": new.text}

    @app.websocket("/feed")
    async def feed(socket: WebSocket) -> None:
        await socket.accept()
        entry = (current.org_id, socket)
        memory.listeners.append(entry)
        try:
            while True:
                await tell(current.org_id, await socket.receive_text())
        except WebSocketDisconnect:
            memory.listeners.remove(entry)

    @app.websocket("/rooms/{note_id}")
    async def room(socket: WebSocket, note_id: int) -> None:
        where = notes.c.id == note_id
        own = await all_of(select(notes.c.id).where(where, mine("socket-path", current.org_id)))
        if not own:
            await socket.close(4404)
            return
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return

    @app.post("/files", status_code=201)
    async def upload(upload: UploadFile, org_id: Org) -> dict[str, Any]:
        path = f"{org_id}/{len(memory.files) + 1}.txt"
        memory.files[path] = (org_id, await upload.read())
        return {"path": path, "url": f"/files/{path}"}

    @app.get("/files/{path:path}")
    async def download(path: str, org_id: Org) -> Response:
        whose, content = memory.files.get(path, ("", b""))
        if not whose or ("file" not in leaks and whose != org_id):
            raise HTTPException(404)
        return Response(content, media_type="text/plain")

    @app.get("/search")
    async def search(q: str, org_id: Org) -> dict[str, Any]:
        where = notes.c.text.contains(q)
        return {"q": q, "found": await all_of(select(notes.c.text).where(where, mine("search", org_id)))}

    @app.get("/stats")
    async def stats(org_id: Org) -> dict[str, Any]:
        [row] = await all_of(select(func.count().label("n")).select_from(notes).where(mine("count", org_id)))
        return {"notes": row["n"]}

    def trusted(leak: str, request: Request) -> str:
        return request.headers.get("x-account-id", current.org_id) if leak in leaks else current.org_id

    @app.get("/profile")
    async def profile(request: Request) -> list[dict[str, Any]]:
        return await all_of(select(notes.c.text).where(notes.c.org_id == trusted("header", request)))

    @app.post("/tasks", status_code=201)
    async def task(new: NewNote, request: Request) -> dict[str, Any]:
        memory.tasks.append((trusted("header-write", request), new.text))
        return {"text": new.text}

    @app.get("/tasks")
    async def tasks(org_id: Org) -> list[str]:
        return [said for whose, said in memory.tasks if whose == org_id]

    @app.get("/latest")
    async def latest(org_id: Org, response: Response) -> dict[str, Any]:
        found = await all_of(
            select(notes.c.text).where(mine("response-header", org_id)).order_by(notes.c.id.desc()).limit(1)
        )
        response.headers["x-latest"] = found[0]["text"] if found else "none"
        return {}

    @app.post("/projects", status_code=201)
    async def project(new: NewNote, org_id: Org) -> dict[str, Any]:
        memory.projects[len(memory.projects) + 1] = (org_id, new.text)
        return {"id": len(memory.projects)}

    def own_project(project_id: int, org_id: str) -> None:
        if memory.projects.get(project_id, ("",))[0] != org_id:
            raise HTTPException(404)

    @app.post("/projects/{project_id}/items", status_code=201)
    async def item(project_id: int, new: NewNote, org_id: Org) -> dict[str, Any]:
        own_project(project_id, org_id)
        memory.items[len(memory.items) + 1] = (project_id, new.text)
        return {"id": len(memory.items)}

    @app.get("/projects/{project_id}/items/{item_id}")
    async def read_item(project_id: int, item_id: int, org_id: Org) -> dict[str, Any]:
        own_project(project_id, org_id)
        where, said = memory.items.get(item_id, (0, ""))
        if not said or ("nested" not in leaks and where != project_id):
            raise HTTPException(404)
        return {"text": said}

    @app.post("/letters", status_code=201)
    async def letter(new: NewNote, org_id: Org) -> dict[str, Any]:
        memory.letters[len(memory.letters) + 1] = (org_id, new.text)
        return {"id": len(memory.letters)}

    @app.get("/letters/{letter_id}")
    async def read_letter(letter_id: int, org_id: Org) -> dict[str, Any]:
        whose, said = memory.letters.get(letter_id, ("", ""))
        if whose != org_id:
            raise HTTPException(403 if said and "existence" in leaks else 404)
        return {"text": said}

    async def bare(request: Request) -> Response:
        note_id = int(request.path_params["note_id"])
        return Response((await one_of("bare-route", current.org_id, note_id))["text"])

    app.add_route("/bare/{note_id}", bare)
    return app

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from litestar import Litestar, Request, get, post
from litestar.response import Stream

from bartizan import current


@dataclass
class TodoItem:
    title: str
    done: bool


ITEMS: list[TodoItem] = [
    TodoItem(title="Start writing the list", done=True),
    TodoItem(title="???", done=False),
]


@get("/")
async def get_list(done: bool | None = None) -> list[TodoItem]:
    if done is None:
        return ITEMS
    return [item for item in ITEMS if item.done == done]


@post("/")
async def add_item(data: TodoItem) -> list[TodoItem]:
    ITEMS.append(data)
    return ITEMS


@get("/conform/who")
async def who() -> dict[str, str | None]:
    caller = current.anyone
    return {"caller": caller.user_id if caller else None, "remote": None}


@get("/conform/stream")
async def stream() -> Stream:
    async def lines() -> AsyncGenerator[str, None]:
        for n in range(3):
            yield f"{n}\n"

    return Stream(lines())


@post("/conform/upload")
async def upload(request: Request) -> dict[str, str]:
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return {"sha256": digest.hexdigest()}


app = Litestar([get_list, add_item, who, stream, upload], request_max_body_size=20_000_000)

"""The application: a page and an API. Bartizan is the one line near the end of :func:`create`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from html import escape
from typing import Annotated, Any

from fastapi import FastAPI, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

import bartizan
from bartizan import current

from .models import Notebook

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notes</title></head>
<body><h1>Notes</h1>
<p>You are {who}. <a href="{mount}/account">Your account</a></p>
<form method="post" action="/notes"><label>New note <input name="text" maxlength="2000" required></label>
<button>Write note</button></form>
<ul>{notes}</ul></body></html>"""


class NewNote(BaseModel):
    """A note to be written."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=2000)


class NoteOut(BaseModel):
    """A note as others see it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    author: str
    text: str
    written_at: datetime


def create(database: str = "sqlite:///notes.db", settings: dict[str, Any] | None = None) -> FastAPI:
    """Make the application, with Bartizan in front of it."""
    notebook = Notebook(database)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        notebook.close()

    app = FastAPI(title="Notes", lifespan=lifespan)
    bz = bartizan.attach(app, settings)
    bz.events.listen("organization.deleted", lambda envelope: notebook.forget(envelope.data["org_id"]))
    mount = bz.settings.mount

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        items = "".join(
            f"<li>{escape(n.text)} <small>{escape(n.author)}</small></li>"
            for n in notebook.all(current.org_id)
        )
        who = escape(current.caller.email or current.caller.id)
        return PAGE.format(who=who, mount=mount, notes=items or "<li>Nothing yet.</li>")

    @app.post("/notes")
    def write_from_page(text: Annotated[str, Form(min_length=1, max_length=2000)]) -> RedirectResponse:
        notebook.write(current.org_id, current.caller.email or current.caller.id, text)
        return RedirectResponse("/", 303)

    @app.get("/api/notes", response_model=list[NoteOut])
    def listing() -> Sequence[object]:
        return notebook.all(current.org_id)

    @app.post("/api/notes", status_code=201, response_model=NoteOut)
    def write(new: NewNote) -> object:
        return notebook.write(current.org_id, current.caller.email or current.caller.id, new.text)

    @app.delete("/api/notes/{note_id}", status_code=204)
    def remove(note_id: int) -> None:
        if not notebook.remove(current.org_id, note_id):
            raise HTTPException(404)

    return app

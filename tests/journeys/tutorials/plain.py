"""The smallest applications there are: one speaks ASGI, one WSGI."""

import hashlib
import json

from bartizan import current


def caller():
    known = current.anyone
    return known.user_id if known else None


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])

    async def answer(*blocks, status=200, kind=b"application/json"):
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        for block in blocks:
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body"})

    if scope["path"] == "/conform/who":
        await answer(json.dumps({"caller": caller(), "remote": None}).encode())
    elif scope["path"] == "/conform/stream":
        await answer(b"0\n", b"1\n", b"2\n", kind=b"text/plain")
    elif scope["path"] == "/conform/upload":
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            more = message.get("more_body", False)
        await answer(json.dumps({"sha256": digest.hexdigest()}).encode())
    else:
        await answer(b'"hello"')


def wsgi(environ, start_response):
    def answer(*blocks, kind="application/json"):
        start_response("200 OK", [("Content-Type", kind)])
        yield from blocks

    if environ["PATH_INFO"] == "/conform/who":
        return answer(json.dumps({"caller": caller(), "remote": environ.get("REMOTE_USER")}).encode())
    if environ["PATH_INFO"] == "/conform/stream":
        return answer(b"0\n", b"1\n", b"2\n", kind="text/plain")
    if environ["PATH_INFO"] == "/conform/upload":
        digest = hashlib.sha256()
        while piece := environ["wsgi.input"].read(65536):
            digest.update(piece)
        return answer(json.dumps({"sha256": digest.hexdigest()}).encode())
    return answer(b'"hello"')

"""The files that pages load: named by their content, so that browsers may keep them for ever."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import PlainTextResponse, Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    media_type: str


class Assets:
    """Every static file, read once."""

    def __init__(self) -> None:
        self._files: dict[str, _Asset] = {}
        self._names: dict[str, str] = {}
        for path in sorted(_FOLDER.iterdir()):
            if media_type := _TYPES.get(path.suffix):
                content = path.read_bytes()
                name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
                self._files[name] = _Asset(content, media_type)
                self._names[path.name] = name

    def name(self, plain: str) -> str:
        """Give the name under which a file is served; ``KeyError`` when there is none."""
        return self._names[plain]

    def serve(self, name: str) -> Response:
        """Answer with a file; only exact names are known, so no path leads out of the folder."""
        if asset := self._files.get(name):
            return Response(asset.content, media_type=asset.media_type, headers=_HEADERS)
        return PlainTextResponse("There is no such file.", 404, headers={"cache-control": "no-store"})

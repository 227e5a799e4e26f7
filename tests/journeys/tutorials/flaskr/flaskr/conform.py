"""What the tutorial has no page for: who asks, a stream, an upload."""

import hashlib

from flask import Blueprint, Response, request

from bartizan import current

bp = Blueprint("conform", __name__, url_prefix="/conform")


@bp.route("/who")
def who():
    caller = current.anyone
    return {"caller": caller.user_id if caller else None, "remote": request.environ.get("REMOTE_USER")}


@bp.route("/stream")
def stream():
    return Response((f"{n}\n" for n in range(3)), mimetype="text/plain")


@bp.route("/upload", methods=("POST",))
def upload():
    digest = hashlib.sha256()
    while piece := request.stream.read(65536):
        digest.update(piece)
    return {"sha256": digest.hexdigest()}

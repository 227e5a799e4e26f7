"""The control plane over HTTP: every room's routes, problem documents, health and OpenAPI."""

from .bodies import Bodies
from .health import Health
from .plane import control_plane, openapi
from .problems import Problem, document, refusal, response, status_of

__all__ = [
    "Bodies",
    "Health",
    "Problem",
    "control_plane",
    "document",
    "openapi",
    "refusal",
    "response",
    "status_of",
]

"""Settings of the gate in front of every request."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from .types import Section

MIB = 1024 * 1024


class GuardSettings(Section):
    """How strictly the gate lets requests through: ``BARTIZAN_GUARD__…``."""

    trusted_proxies: Sequence[str] = Field(
        default=(),
        description="Addresses or CIDR ranges of your own proxies. Only from these are X-Forwarded-For, "
        "X-Forwarded-Proto and X-Request-Id believed.",
    )
    public_paths: Sequence[str] = Field(
        default=(),
        description="Paths of the app that need no sign-in: exact (`/ping`) or all below one (`/static/*`).",
    )
    read_routes: Sequence[str] = Field(
        default=(),
        description="Routes that only read although their method says otherwise, as `POST /runs/search` "
        "(`*` matches the rest of the path): they need app:read instead of app:write.",
    )
    policy_file: Path | None = Field(
        default=None,
        description="File that says which route of the app needs what. Without it `bartizan.policy.toml` in "
        "the current folder is read, if there is one.",
    )
    wsgi_threads: int = Field(
        default=40, ge=1, le=1000, description="Requests that a WSGI application serves at once; others wait."
    )
    cors_origins: Sequence[str] = Field(
        default=(),
        description="Origins whose pages may call Bartizan's own API, such as `https://app.example.com`.",
    )
    max_body: int = Field(
        default=100 * MIB, ge=1024, description="Largest request body for the app, in bytes; above it, 413."
    )
    max_api_body: int = Field(
        default=MIB,
        ge=1024,
        description="Largest request body for Bartizan's own API, in bytes; above it, 413.",
    )
    max_header_bytes: int = Field(
        default=32 * 1024, ge=1024, description="Largest sum of request header bytes; above it, 431."
    )
    api_timeout: float = Field(
        default=30,
        gt=0,
        le=600,
        description="Seconds after which Bartizan's own API gives up on a request: 503.",
    )
    caller_ttl: float = Field(
        default=3,
        ge=0,
        le=5,
        description="Seconds a caller is remembered between checks. Revocation acts at once on this replica "
        "and after at most this long on the others.",
    )
    frame_ancestors: Sequence[str] = Field(
        default=(), description="Origins that may show Bartizan's pages in a frame. None by default."
    )

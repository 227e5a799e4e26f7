"""Settings of the reverse proxy in front of an application that is served elsewhere."""

from pathlib import Path

from pydantic import Field, field_validator

from .types import Section, rules

KIB = 1024
MIB = 1024 * KIB


class ProxySettings(Section):
    """How ``bartizan guard --upstream`` talks to the application: ``BARTIZAN_PROXY__…``."""

    preserve_host: bool = Field(
        default=True,
        description="Hand on the Host that the caller named; off: the upstream's own, from its address.",
    )
    connect_timeout: float = Field(
        default=5, gt=0, le=60, description="Seconds to reach the upstream; above it, 504."
    )
    answer_timeout: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="Seconds the upstream may take to begin an answer; above it, 504.",
    )
    idle_timeout: float = Field(
        default=300,
        gt=0,
        le=86400,
        description="Seconds without a byte, in an upload or an answer, after which the exchange is ended.",
    )
    connections: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Requests at the upstream at once; one more waits, and gets 503 after connect_timeout.",
    )
    pool_size: int = Field(
        default=64, ge=0, le=10_000, description="Idle connections to the upstream that are kept."
    )
    pool_seconds: float = Field(
        default=3,
        ge=0,
        le=3600,
        description="Seconds an idle connection is kept: fewer than the upstream keeps it, often 5.",
    )
    max_answer_head: int = Field(
        default=64 * KIB, ge=KIB, description="Largest head of an answer, in bytes; above it, 502."
    )
    max_message: int = Field(
        default=16 * MIB,
        ge=KIB,
        description="Largest websocket message, in bytes; above it, closed with 1009.",
    )
    ping_seconds: float = Field(
        default=20,
        ge=0,
        le=3600,
        description="Seconds between pings on the upstream's websockets; 0: none. Two unanswered end it.",
    )
    health_path: str = Field(
        default="",
        max_length=500,
        description="Path of the upstream that answers below 500 when it is well; empty: that it accepts a "
        "connection is enough.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates (PEM) to trust for an https:// upstream, instead of the system's.",
    )
    verify: bool = Field(
        default=True,
        description="Check the certificate of an https:// upstream.",
        json_schema_extra=rules(production_refuses=[False], cure="Name its certificate with ca_file."),
    )

    @field_validator("health_path")
    @classmethod
    def _is_a_path(cls, value: str) -> str:
        if value and (not value.startswith("/") or not value.isascii() or any(c <= " " for c in value)):
            message = "a path begins with a slash and has no spaces"
            raise ValueError(message)
        return value

"""What an operator can turn about the database."""

from typing import Literal

from pydantic import Field, SecretStr

from bartizan.foundation.settings import Section


class DatabaseSettings(Section):
    """Where the database is, and how hard we lean on it."""

    url: SecretStr = Field(
        default=SecretStr("sqlite:///bartizan.db"),
        description="`sqlite:///path` or `postgresql://user:password@host:5432/name`. Never logged.",
    )
    pool_size: int = Field(default=10, ge=1, le=1000, description="Connections kept open.")
    max_overflow: int = Field(default=20, ge=0, le=1000, description="Connections beyond those, under load.")
    pool_timeout: float = Field(
        default=30, gt=0, le=600, description="Seconds to wait for a connection, or for the turn to write."
    )
    pool_recycle: int = Field(
        default=1800, ge=0, description="Seconds until a connection is replaced; 0 never."
    )
    pre_ping: bool = Field(default=True, description="Try a pooled connection before it is handed out.")
    null_pool: bool = Field(
        default=False, description="Keep no connection open: for a pooler in front, or several event loops."
    )
    connect_timeout: float = Field(
        default=10, gt=0, le=600, description="Seconds to wait for the server to answer."
    )
    statement_timeout: float = Field(
        default=30, ge=0, le=86400, description="Seconds a PostgreSQL statement may take; 0 is for ever."
    )
    idle_timeout: float = Field(
        default=60,
        ge=0,
        le=86400,
        description="Seconds a PostgreSQL transaction may do nothing; 0 is for ever.",
    )
    busy_timeout: float = Field(
        default=30, ge=0, le=600, description="Seconds SQLite waits for another process's lock."
    )
    synchronous: Literal["FULL", "NORMAL"] = Field(
        default="FULL",
        description=(
            "SQLite: FULL keeps every acknowledged change through a power cut; NORMAL may lose the last. "
            "Since many changes share one commit, NORMAL is hardly quicker."
        ),
    )
    look_for_news: float = Field(
        default=2.0,
        gt=0,
        le=5,
        description="Seconds between two looks for what other processes changed, in case nobody said so.",
    )
    auto_migrate: bool = Field(
        default=True,
        description="Bring the tables up to date at start. Off: start-up refuses until it is done.",
    )
    allow_superuser: bool = Field(
        default=False,
        description="Development only: accept a PostgreSQL role that row-level security does not bind.",
    )

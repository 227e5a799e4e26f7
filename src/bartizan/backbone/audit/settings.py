"""The audit log's section of the settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from bartizan.foundation.settings import Section


class AuditSettings(Section):
    """What happens when the audit log cannot be written, and how it is named."""

    origin: str = Field(
        default="bartizan",
        pattern=r"^[A-Za-z0-9.\-]+(/[A-Za-z0-9.\-]+)*$",
        max_length=100,
        description="Names this installation's logs to verifiers; set it once, such as `audit.acme.example`.",
    )
    on_failure: Literal["block", "queue"] = Field(
        default="block",
        description="When the audit log cannot be written: `block` refuses the change; `queue` lets it "
        "happen and keeps the record in a local file until it can be written.",
    )
    spool: Path = Field(
        default=Path("bartizan-data/audit-spool.db"),
        description="The file that `queue` keeps records in; it must survive a restart.",
    )
    spool_limit: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="How many records the file holds at most; when it is full, changes are refused.",
    )

"""What can be turned about logs."""

from typing import Literal

from pydantic import Field

from bartizan.foundation.settings import Section


class TelemetrySettings(Section):
    """How much is logged, and in which form."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least serious message that is logged."
    )
    log_format: Literal["auto", "json", "text", "host"] = Field(
        default="auto",
        description="json, text, auto (json in production, text elsewhere) or host: the app's own handlers.",
    )

"""What an operator can turn about repeated requests."""

from pydantic import Field

from bartizan.foundation.settings import ModuleSection


class IdempotencySettings(ModuleSection):
    """Requests with an Idempotency-Key: ``BARTIZAN_IDEMPOTENCY__*``."""

    hours: float = Field(default=24.0, gt=0, le=24 * 30, description="How long an answer is kept, in hours.")
    max_answer: int = Field(
        default=128 * 1024,
        ge=0,
        le=16 * 1024 * 1024,
        description="Longest answer that is kept, in bytes. Of a longer one only that it was given: a"
        " repeated request is then refused with 409 and not run.",
    )
    max_keys: int = Field(
        default=10_000,
        ge=1,
        description="Keys that are kept of one caller, about. Beyond it the oldest finished ones are"
        " forgotten before their time.",
    )
    wait: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="Seconds a repeated request waits for the first one; then it is refused with 409.",
    )
    lease: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="Seconds after which a request whose process died may run anew. A process that lives"
        " prolongs it, however long the request takes.",
    )

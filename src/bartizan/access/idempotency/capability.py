"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from .errors import AnswerNotKept, IdempotencyKeyReused, InvalidIdempotencyKey, RequestUnderWay
from .jobs import JOBS
from .settings import IdempotencySettings
from .tables import IdempotencyRow

capability = Capability(
    name="idempotency",
    summary="A request that is sent again runs once",
    tables=[IdempotencyRow],
    errors=[InvalidIdempotencyKey, IdempotencyKeyReused, RequestUnderWay, AnswerNotKept],
    jobs=JOBS,
    settings=IdempotencySettings,
)

"""A request that is sent again runs once: answers kept for their Idempotency-Key."""

from .errors import AnswerNotKept, IdempotencyKeyReused, InvalidIdempotencyKey, RequestUnderWay
from .service import Idempotency
from .settings import IdempotencySettings
from .types import Answer, Claim

__all__ = [
    "Answer",
    "AnswerNotKept",
    "Claim",
    "Idempotency",
    "IdempotencyKeyReused",
    "IdempotencySettings",
    "InvalidIdempotencyKey",
    "RequestUnderWay",
]

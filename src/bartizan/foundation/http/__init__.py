"""Requests to other servers: behind a wall against our own network, with time-outs, retries and breakers."""

from .errors import (
    AnswerTooLarge,
    CircuitOpen,
    DestinationRefused,
    MissingExtra,
    TookTooLong,
    Unreachable,
)
from .service import Breaker, Breakers, Outbound, Retry, deadline, refusal
from .settings import HttpSettings
from .types import Answer, Resolver

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "Breaker",
    "Breakers",
    "CircuitOpen",
    "DestinationRefused",
    "HttpSettings",
    "MissingExtra",
    "Outbound",
    "Resolver",
    "Retry",
    "TookTooLong",
    "Unreachable",
    "deadline",
    "refusal",
]

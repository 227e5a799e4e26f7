"""Keys that let machines in."""

from .errors import (
    ApiKeyNotActive,
    ExpiryNotAllowed,
    InvalidApiKey,
    OnlyPeopleMakeKeys,
    ScopeTooWide,
    TooManyApiKeys,
    UnknownApiKey,
)
from .events import (
    ApiKeyIssued,
    ApiKeyRevoked,
    ApiKeyRotated,
    ApiKeyUpdated,
)
from .service import ApiKeys
from .settings import ApiKeysSettings
from .types import (
    ApiKey,
    ApiKeyChanges,
    IssuedApiKey,
    NewApiKey,
    Principal,
    Rotation,
)

__all__ = [
    "ApiKey",
    "ApiKeyChanges",
    "ApiKeyIssued",
    "ApiKeyNotActive",
    "ApiKeyRevoked",
    "ApiKeyRotated",
    "ApiKeyUpdated",
    "ApiKeys",
    "ApiKeysSettings",
    "ExpiryNotAllowed",
    "InvalidApiKey",
    "IssuedApiKey",
    "NewApiKey",
    "OnlyPeopleMakeKeys",
    "Principal",
    "Rotation",
    "ScopeTooWide",
    "TooManyApiKeys",
    "UnknownApiKey",
]

"""Secrets that code needs and nobody should read: sealed, versioned, and every reading recorded."""

from .errors import InvalidSecretName, SecretExists, SecretUnreadable, TooManySecrets, UnknownSecret
from .events import SecretCreated, SecretDeleted, SecretRead, SecretRotated, SecretsResealed
from .service import Secrets
from .settings import SecretsSettings
from .types import NewSecret, Secret, SecretRotation

__all__ = [
    "InvalidSecretName",
    "NewSecret",
    "Secret",
    "SecretCreated",
    "SecretDeleted",
    "SecretExists",
    "SecretRead",
    "SecretRotated",
    "SecretRotation",
    "SecretUnreadable",
    "Secrets",
    "SecretsResealed",
    "SecretsSettings",
    "TooManySecrets",
    "UnknownSecret",
]

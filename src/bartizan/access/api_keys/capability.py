"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from . import errors, events
from .routes import routes
from .service import PERMISSIONS
from .settings import ApiKeysSettings
from .tables import ApiKeyRow

capability = Capability(
    name="api_keys",
    summary="Keys that let machines in",
    tables=[ApiKeyRow],
    permissions=PERMISSIONS,
    events=[
        events.ApiKeyIssued,
        events.ApiKeyUpdated,
        events.ApiKeyRotated,
        events.ApiKeyRevoked,
    ],
    errors=[
        errors.InvalidApiKey,
        errors.UnknownApiKey,
        errors.ApiKeyNotActive,
        errors.ScopeTooWide,
        errors.OnlyPeopleMakeKeys,
        errors.ExpiryNotAllowed,
        errors.TooManyApiKeys,
    ],
    routes=routes,
    settings=ApiKeysSettings,
)

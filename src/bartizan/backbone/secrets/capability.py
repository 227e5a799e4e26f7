"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from .errors import InvalidSecretName, SecretExists, SecretUnreadable, TooManySecrets, UnknownSecret
from .events import SecretCreated, SecretDeleted, SecretRead, SecretRotated, SecretsResealed
from .routes import routes
from .service import READ, WRITE, Secrets
from .settings import SecretsSettings
from .tables import PlatformSecretRow, SecretRow

capability = Capability(
    name="secrets",
    summary="Secrets that code needs and nobody should read",
    tables=[SecretRow, PlatformSecretRow],
    permissions=[READ, WRITE],
    events=[SecretCreated, SecretRotated, SecretDeleted, SecretRead, SecretsResealed],
    errors=[UnknownSecret, SecretExists, InvalidSecretName, TooManySecrets, SecretUnreadable],
    routes=routes,
    jobs={"secrets.reseal": Secrets.reseal},
    settings=SecretsSettings,
)

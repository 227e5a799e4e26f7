"""What this room brings to the house."""

from bartizan.foundation.capability import Capability

from . import errors, events
from .routes import routes
from .service import IMPERSONATE
from .settings import IdentitySettings
from .tables import AttemptRow, LinkRow, UserRow

capability = Capability(
    name="identity",
    summary="People who can sign in, their passwords and their profiles",
    tables=[UserRow, LinkRow, AttemptRow],
    permissions=[IMPERSONATE],
    events=[
        events.UserRegistered,
        events.UserUpdated,
        events.UserDeactivated,
        events.UserReactivated,
        events.UserDeleted,
        events.EmailVerified,
        events.PasswordResetRequested,
        events.PasswordReset,
        events.PasswordChanged,
        events.SignInFailed,
        events.SignInBlocked,
        events.BreachCheckSkipped,
    ],
    errors=[
        errors.WrongCredentials,
        errors.SignInLocked,
        errors.SignInBusy,
        errors.EmailNotVerified,
        errors.RegistrationClosed,
        errors.DomainNotAllowed,
        errors.EmailTaken,
        errors.UsernameTaken,
        errors.WeakPassword,
        errors.WrongPassword,
        errors.LinkNotGood,
        errors.UnknownUser,
        errors.NotYourself,
        errors.NotWhileImpersonating,
        errors.UnknownHash,
        errors.HashLibraryMissing,
        errors.BreachFileUnreadable,
    ],
    routes=routes,
    settings=IdentitySettings,
)

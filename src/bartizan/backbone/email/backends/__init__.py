"""Ways out of the house for mail; each is loaded when it is chosen."""

from bartizan.backbone.email.settings import EmailSettings
from bartizan.backbone.email.types import Provider


def provider(settings: EmailSettings) -> Provider:
    """Build the provider that the settings name."""
    if settings.backend == "smtp":
        from .smtp import SmtpProvider  # noqa: PLC0415 - loaded when chosen

        return SmtpProvider(settings)
    if settings.backend == "file":
        from .file import FileProvider  # noqa: PLC0415 - loaded when chosen

        return FileProvider(settings.folder)
    from .console import ConsoleProvider  # noqa: PLC0415 - loaded when chosen

    return ConsoleProvider()

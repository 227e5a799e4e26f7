"""The secret key of the house: the operator's, or in development one that is made and kept."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from bartizan.foundation.settings.errors import NoSecretKey
from bartizan.foundation.settings.types import BaseSettings

_NAME = "secret.key"


def secret_keys(settings: BaseSettings) -> Sequence[str]:
    """Give the secret keys, the newest first; outside of production one is made where none is set."""
    if settings.secret_key:
        return [key.get_secret_value() for key in settings.secret_key]
    if settings.production:
        message = f"Set {settings.prefix}SECRET_KEY: production makes none by itself."
        raise NoSecretKey(message)
    return [development_key(settings.data_dir)]


def development_key(folder: Path) -> str:
    """Give the development key of ``folder``; the first to ask makes it, readable by its owner only.

    Processes that start together get the same key: it is written beside, then linked to its name, which
    only one of them can do, and which shows it whole or not at all.
    """
    path = folder / _NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        path.chmod(0o600)
        key = path.read_text().strip()
    except OSError as error:
        message = f"Cannot keep a development key in {path}: {error.strerror}. Set BARTIZAN_SECRET_KEY."
        raise NoSecretKey(message) from error
    if not key:
        message = f"{path} is empty. Remove it, or set BARTIZAN_SECRET_KEY."
        raise NoSecretKey(message)
    return key


def _make(path: Path) -> None:
    draft = path.with_name(f"{_NAME}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return  # another process was first; its key holds
    finally:
        draft.unlink(missing_ok=True)

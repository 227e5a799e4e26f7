"""The ``bartizan`` command. Commands are loaded when they are called, so that help comes at once."""

from .main import main

__all__ = ["main"]

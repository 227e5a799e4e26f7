"""The pages that people meet: signing in, their account, their organization."""

from .app import Console

__all__ = ["Console"]

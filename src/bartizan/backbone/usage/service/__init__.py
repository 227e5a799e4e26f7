"""The rules: counting in memory, writing down, quotas, and what is shown of it."""

from .access import READ
from .quotas import Quotas
from .usage import Usage

__all__ = ["READ", "Quotas", "Usage"]

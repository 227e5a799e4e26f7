"""The pages by path."""

from collections.abc import Mapping

from . import account, gate, organization, recovery
from .page import View, refused

__all__ = ["VIEWS", "View", "refused"]

VIEWS: Mapping[str, View] = {
    **gate.VIEWS,
    **recovery.VIEWS,
    **account.VIEWS,
    **organization.VIEWS,
}

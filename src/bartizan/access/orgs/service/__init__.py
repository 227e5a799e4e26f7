"""Rules of organizations."""

from .domains import Domains
from .invitations import Invitations
from .members import Members
from .orgs import PERMISSIONS, Orgs
from .plans import Plans
from .teams import Teams
from .workspaces import Workspaces

__all__ = ["PERMISSIONS", "Domains", "Invitations", "Members", "Orgs", "Plans", "Teams", "Workspaces"]

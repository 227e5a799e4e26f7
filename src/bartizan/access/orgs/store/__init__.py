"""Queries about organizations; the only place of the room that speaks SQL."""

from .members import MemberStore
from .organizations import OrganizationStore

__all__ = ["MemberStore", "OrganizationStore"]

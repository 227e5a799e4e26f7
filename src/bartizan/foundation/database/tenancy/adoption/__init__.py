"""Tenancy for models that somebody else wrote, without a change to them."""

from .service import Adoption
from .types import By, Engines, Finding, Terms

__all__ = ["Adoption", "By", "Engines", "Finding", "Terms"]

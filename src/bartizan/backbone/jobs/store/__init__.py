"""Queries about jobs; the only folder of the room that speaks SQL."""

from .leases import Leases, leases
from .queue import JobStore
from .schedules import ScheduleStore

__all__ = ["JobStore", "Leases", "ScheduleStore", "leases"]

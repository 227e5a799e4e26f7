"""Rules of jobs."""

from .access import READ, WRITE
from .attempt import JobContext
from .desk import Jobs
from .schedules import Schedules
from .worker import Worker

__all__ = ["READ", "WRITE", "JobContext", "Jobs", "Schedules", "Worker"]

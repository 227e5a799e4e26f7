"""Commands that keep running, and what they say and do when they start and are replaced."""

from .commands import app_dir, attached_to, factory, find, guard, house_of, reachable, run, serve, worker

__all__ = [
    "app_dir",
    "attached_to",
    "factory",
    "find",
    "guard",
    "house_of",
    "reachable",
    "run",
    "serve",
    "worker",
]

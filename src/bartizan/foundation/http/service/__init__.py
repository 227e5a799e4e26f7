"""The wall, the breakers, retries, and the client that uses them."""

from .outbound import Outbound
from .resilience import Breaker, Breakers, Retry, deadline
from .wall import Wall, refusal

__all__ = ["Breaker", "Breakers", "Outbound", "Retry", "Wall", "deadline", "refusal"]

"""What one process changed, the others hear of within moments."""

from .service import Wakeups
from .tables import WakeupRow

__all__ = ["WakeupRow", "Wakeups"]

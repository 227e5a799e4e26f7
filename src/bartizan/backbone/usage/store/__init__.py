"""What of this room speaks SQL: writing counts down, and reading them."""

from .reading import Band, Bundle, CallerSum, Span, UsageStore
from .writing import Kind, Rows, Slice, Totals, UsageWriter

__all__ = [
    "Band",
    "Bundle",
    "CallerSum",
    "Kind",
    "Rows",
    "Slice",
    "Span",
    "Totals",
    "UsageStore",
    "UsageWriter",
]

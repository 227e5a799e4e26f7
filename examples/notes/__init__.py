"""Notes: a small real application that was there before Bartizan came."""

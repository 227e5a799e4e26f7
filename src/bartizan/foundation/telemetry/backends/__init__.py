"""Libraries behind our own face, imported when they are there."""

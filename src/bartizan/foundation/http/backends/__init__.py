"""Libraries behind our own face, imported when first needed."""

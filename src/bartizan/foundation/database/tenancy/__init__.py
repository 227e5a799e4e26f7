"""The two walls between organizations."""

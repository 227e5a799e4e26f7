"""What every capability leans on. The backbone knows callers and organizations by id only."""

"""Host applications whose models are adopted: the same one in each style of mapping."""

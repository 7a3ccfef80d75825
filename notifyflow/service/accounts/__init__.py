"""Access, and rate limits."""

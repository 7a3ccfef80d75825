"""Users, API keys, and their rate limits; pure."""

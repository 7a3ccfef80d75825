"""Twilio: what its texts and calls have in common."""

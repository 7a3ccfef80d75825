"""Twilio: the common part of its texts and calls."""

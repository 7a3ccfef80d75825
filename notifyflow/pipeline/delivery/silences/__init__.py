"""Silences: which incidents they hold, and how one begins and ends."""

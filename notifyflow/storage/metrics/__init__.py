"""Metrics and the health of the system, read from rows."""

"""Reads for display."""

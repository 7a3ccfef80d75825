"""Figures and measurements, read from rows."""

"""Checks, rehearsals and forecasts; pure."""

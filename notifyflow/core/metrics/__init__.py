"""Counts and measurements for metrics and charts; pure."""

"""Chaos tests: real processes and servers are killed, cut off, wiped and frozen, and every page has to arrive."""

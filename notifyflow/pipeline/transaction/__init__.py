"""Runs use cases: each in one transaction, alone or in a set, and again if it lost a race."""

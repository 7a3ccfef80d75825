"""Attacks as scripts: each attacks the running system, and passes only if the defence holds."""

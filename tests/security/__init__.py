"""Attacks as scripts: each does what an attacker would, against the running system, and ends well only where the wall holds."""

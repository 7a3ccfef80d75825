"""Real processes, real servers, real faults: what is killed, cut off, forgotten and frozen, and what arrives all the same."""

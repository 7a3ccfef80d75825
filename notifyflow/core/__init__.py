"""The rules, pure: values and a ``now`` go in, values come out; no I/O, clock, randomness or logging."""

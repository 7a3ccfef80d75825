"""How long is paused before something is tried again that failed for everybody at once; pure."""


def pause_s(tries: int, fraction: float, *, first_s: float, longest_s: float) -> float:
    """Return the length of the pause before the next try, in seconds.

    It doubles with each try up to a longest one. Up to half of it is taken off by chance, so that those who failed at the same
    instant do not come back at the same instant.

    Args:
        tries: How many tries have failed; at least 1.
        fraction: Drawn from [0, 1).
        first_s: The pause after the first one.
        longest_s: What it grows to.
    """
    doublings = min(tries - 1, 32)  # more than any longest pause needs, and no float overflows
    return min(first_s * 2.0**doublings, longest_s) * (1 - fraction / 2)

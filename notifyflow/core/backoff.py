"""Exponential back-off with jitter, for failures that hit many processes at once; pure."""


def pause_s(tries: int, fraction: float, *, first_s: float, longest_s: float) -> float:
    """Return the pause before the next try, in seconds.

    The pause doubles with each try up to ``longest_s``, and is shortened at random by up to half, so that processes that failed
    together do not retry together.

    Args:
        tries: Number of failed tries; at least 1.
        fraction: A random number from [0, 1).
        first_s: The pause after the first try.
        longest_s: The longest pause.
    """
    doublings = min(tries - 1, 32)  # more than any longest pause needs, and no float overflows
    return min(first_s * 2.0**doublings, longest_s) * (1 - fraction / 2)

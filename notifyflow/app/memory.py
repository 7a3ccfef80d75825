"""Memory: exempts permanent objects from garbage collection."""

import gc


def freeze() -> None:
    """Exempt all present objects from garbage collection, which would stop all threads for 0.1 s to look at them again and again.

    Call it when everything is imported and made.
    """
    gc.unfreeze()  # objects frozen while modules loaded had not been examined
    gc.collect()
    gc.freeze()

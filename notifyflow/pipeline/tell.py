"""Tells operations of something that is no notification's own failure: a broken way back, a cap that was reached."""

from notifyflow.pipeline import use_case
from notifyflow.pipeline.ports import Consequences, Dependencies


def tell(deps: Dependencies, reason: str, provider: str) -> Consequences:
    """Count something into the operations incident, once a day per reason and provider.

    Args:
        deps: The dependencies of the use cases.
        reason: What is wrong, in few words; nothing personal.
        provider: Whom it is about.

    Returns:
        What became due.
    """
    return use_case.run(deps, lambda tx: tx.notices.append((reason, provider)))[1]

"""Tells operations what is wrong beside failed notifications: a callback path that seems broken, a cap that was reached."""

from notifyflow.pipeline import use_case
from notifyflow.pipeline.ports import Consequences, Dependencies


def add_notice(deps: Dependencies, reason: str, provider: str) -> Consequences:
    """Count a notice into the operations incident, once a day per reason and provider.

    Args:
        deps: The dependencies of the use cases.
        reason: What is wrong, in few words; nothing personal.
        provider: The provider or, where there is none, whatever it is about.

    Returns:
        What became due.
    """
    return use_case.run(deps, lambda tx: tx.notices.append((reason, provider)))[1]

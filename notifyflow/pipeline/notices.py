"""Notifies operations of problems other than failed notifications: a callback path that seems broken, a cap reached."""

from notifyflow.pipeline import use_case
from notifyflow.pipeline.ports import Committed, Dependencies


def add_notice(deps: Dependencies, reason: str, provider: str) -> Committed[None]:
    """Count a problem, in few words and nothing personal, into the operations incident, once a day per reason and provider."""
    return use_case.run(deps, lambda tx: tx.notices.append((reason, provider)))

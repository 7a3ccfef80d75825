"""Whose database it is: a process of another environment does not touch what is in it."""

from datetime import datetime

from notifyflow.errors import WrongEnvironment
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store


def claim_environment(store: Store, name: str | None, now: datetime) -> None:
    """Make sure that the database is ours; one that has no name yet takes that of the first process that has.

    Raises:
        WrongEnvironment: When it is another's.
    """

    def body(ledger: Ledger) -> str | None:
        if ledger.environment() is None and name is not None:
            ledger.begin_environment(name, at=now)
        return ledger.environment()

    if store.read(lambda reads: reads.environment()) == name:
        return
    found = store.run(body)
    if found != name:
        raise WrongEnvironment(found, name)

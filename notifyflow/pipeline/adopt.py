"""Takes over a database that was restored or copied: what was unfinished in it is held until somebody decides."""

from notifyflow.core import incident as incidents
from notifyflow.core import lifecycle
from notifyflow.core.model import IncidentState
from notifyflow.pipeline import decisions, use_case
from notifyflow.pipeline.ports import Tools
from notifyflow.pipeline.transaction import Transaction

_BY = "notifyflow db adopt"


def adopt(tools: Tools, environment: str | None) -> int:
    """Make the database an environment's, and hold all that is unfinished; tell how many incidents are held.

    Args:
        tools: What every use case needs.
        environment: The environment's name; None for one without.
    """

    def body(tx: Transaction) -> int:
        tx.ledger.set_environment(environment, at=tx.now)
        return tx.ledger.hold_unfinished(at=tx.now)

    return use_case.run(tools, body)[0]


def release(tools: Tools) -> int:
    """Let everything that is held go on; tell how many incidents that were."""

    def body(tx: Transaction) -> int:
        held = tx.ledger.held()
        tx.ledger.keep_held(held, at=tx.now)
        tx.ledger.let_go(held)
        return len(held)

    return use_case.run(tools, body)[0]


def cancel(tools: Tools) -> int:
    """Resolve every incident that is held, and tell nobody; tell how many that were."""
    held = tools.transactions.run(lambda ledger: ledger.held())
    for incident_id in held:
        _cancel(tools, incident_id)
    return len(held)


def _cancel(tools: Tools, incident_id: str) -> None:
    def body(tx: Transaction) -> None:
        incident = tx.ledger.lock_incident(incident_id)
        if incident.state is not IncidentState.RESOLVED:
            cases = decisions.lock_cases(tx, incident)
            tx.turn(incident, incidents.resolve(incident, by=_BY, now=tx.now), by=_BY, via="cli")
            for case in cases:
                decisions.close(tx, case, event="resolved")
        tx.changes.clear()
        for row in tx.ledger.lock_queued(incident_id):  # news of its end
            tx.write(row, lifecycle.stop(row, "resolved", now=tx.now))
        tx.ledger.let_go([incident_id])

    use_case.run(tools, body)

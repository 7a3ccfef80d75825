"""Behind the web application: what providers report and people answer; each is committed, logged, and rung for."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import structlog

from notifyflow.core.model import Contact, Incident, Receipt
from notifyflow.core.replies import Heard, Said
from notifyflow.core.views import IncidentStatus
from notifyflow.pipeline import operations, use_case
from notifyflow.pipeline.acknowledge import acknowledge_incident
from notifyflow.pipeline.answer import hear
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.receive import describe_current_state, receive
from notifyflow.pipeline.replies import TEXTS

_log = structlog.get_logger("notifyflow.app")


class Incoming:
    """Takes what comes in.

    Args:
        deps: The dependencies of the use cases.
        report: Logs and rings for what a use case led to.
        on_routes: Names those at the end of a route whose texts go to a number.
    """

    def __init__(
        self,
        deps: Dependencies,
        report: Callable[[Consequences], None],
        on_routes: Callable[[str], Collection[str]] = lambda number: (),
    ) -> None:
        self._deps = deps
        self._report = report
        self._on_routes = on_routes

    def receive(self, receipt: Receipt, raw: str) -> Heard | None:
        """Commit one receipt, with the raw body it came in; where somebody pressed a key, tell how things are then."""
        received = receive(self._deps, receipt, raw=raw)
        ids = {"provider": receipt.provider, "attempt_id": receipt.attempt_id}
        _log.info("app.receipt_received", **ids, code=receipt.code, fate=received.fate.value)
        self._report(received.consequences)
        return describe_current_state(self._deps, receipt) if receipt.is_key_press else None

    def hear(self, said: Said, raw: str) -> Heard:
        """Do what somebody answered, with the raw body it came in; what is said to it is a message, and leaves as messages do."""
        on_routes = self._on_routes(said.theirs) if said.theirs else ()
        answered = hear(self._deps, said, raw=raw, on_routes=on_routes)
        heard = answered.heard
        _log.info(
            "app.answer_heard",
            provider=said.provider,
            verb=said.verb.value,
            effect=heard.effect.value,
            incidents=[choice.incident_id for choice in heard.choices],
        )
        self._report(answered.consequences)
        is_withheld = heard.is_withheld or self._deps.delivery.final(TEXTS, said.theirs) != said.theirs
        return replace(heard, notice=self._deps.notice, is_withheld=is_withheld)

    def word(self, status: IncidentStatus, contact: Contact) -> Incident:
        """Give an incident's content as one of its recipients is told it: that of operations with links to what failed."""
        if not status.facts.is_operations:
            return status.content
        now = self._deps.clock.now()
        body = partial(operations.words, incident_id=status.facts.id, said=status.content, contact=contact, now=now)
        return use_case.run(self._deps, body)[0]

    def acknowledge(self, incident_id: str, recipient_id: str) -> None:
        """Take an incident, as a checked link names it."""
        self._report(acknowledge_incident(self._deps, incident_id, by=recipient_id, via="link").consequences)

"""Stores receipts and replies for the web application: each is committed, logged, and rung for."""

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import structlog

from notifyflow.core.model import Contact, Incident, Receipt
from notifyflow.core.references import ById
from notifyflow.core.replies import HandledReply, Reply
from notifyflow.core.views import IncidentStatus
from notifyflow.pipeline import operations, use_case
from notifyflow.pipeline.acknowledge import acknowledge
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.receive import describe_current_state, receive
from notifyflow.pipeline.replies import handle_reply

_log = structlog.get_logger("notifyflow.app")


class Incoming:
    """Stores receipts and replies.

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

    def receive(self, receipt: Receipt, raw: str) -> HandledReply | None:
        """Commit one receipt, with the raw body it came in; where somebody pressed a key, tell how things are then."""
        received = receive(self._deps, receipt, raw=raw)
        ids = {"provider": receipt.provider, "attempt_id": receipt.attempt_id}
        _log.info("app.receipt_received", **ids, code=receipt.code, fate=received.value.value)
        self._report(received.consequences)
        return describe_current_state(self._deps, receipt) if receipt.is_key_press else None

    def handle_reply(self, channel: str, reply: Reply, raw: str) -> HandledReply:
        """Do what a reply asks for; the response to it is a message, and leaves only where messages may.

        Args:
            channel: The channel on which it came.
            reply: The reply.
            raw: The body that it was read from.
        """
        on_routes = self._on_routes(reply.number) if reply.number else ()
        result = handle_reply(self._deps, reply, channel=channel, raw=raw, on_routes=on_routes)
        handled = result.value
        _log.info(
            "app.reply_handled",
            provider=reply.provider,
            intent=reply.intent.value,
            effect=handled.effect.value,
            incidents=[choice.incident_id for choice in handled.choices],
        )
        self._report(result.consequences)
        is_withheld = handled.is_withheld or self._deps.delivery.final(channel, reply.number) != reply.number
        return replace(handled, notice=self._deps.notice, is_withheld=is_withheld)

    def word(self, status: IncidentStatus, contact: Contact) -> Incident:
        """Give an incident's content as one of its recipients is told it: that of operations with links to what failed."""
        if not status.facts.is_operations:
            return status.content
        now = self._deps.clock.now()
        body = partial(operations.words, incident_id=status.facts.id, said=status.content, contact=contact, now=now)
        return use_case.run(self._deps, body)[0]

    def acknowledge(self, incident_id: str, recipient_id: str) -> None:
        """Acknowledge an incident, as a checked link names it."""
        self._report(acknowledge(self._deps, ById(incident_id), by=recipient_id, via="link").consequences)

"""Handles inbound requests of integrations: a port finds the recipients, then each request is handled."""

from collections.abc import Callable, Sequence

from notifyflow.core.accounts.keys import ApiKey
from notifyflow.core.delivery.model import Via
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.errors import DamagedIncident, StorageError, StorageUnavailable, UnreadableRow
from notifyflow.pipeline import inbound
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.service.delivery.use_cases import UseCases

FindRecipients = Callable[[Sequence[InboundRequest], str], Sequence[RoutedRequest]]
"""Finds the recipients of an API key's requests; returns them by the keys of their incidents."""


class Integrations:
    """Handles inbound requests of integrations."""

    def __init__(self, use_cases: UseCases, find_recipients: FindRecipients) -> None:
        self._use_cases = use_cases
        self._find_recipients = find_recipients

    def handle(self, requests: Sequence[InboundRequest], caller: ApiKey, via: Via) -> None:
        """Handle requests in the namespace of their sender; all are committed on return.

        Args:
            requests: Any number; those of one incident are handled in their order. A request to acknowledge or resolve an
                unknown or resolved incident does nothing.
            caller: The API key that they came with.
            via: The integration that they came through.

        Raises:
            StorageUnavailable: When the database does not answer in time; some of them may be committed.
            UnreadableRow: When the incident of one of them is damaged; the others are committed, and its sender tries again.
            StorageError: When the database refuses one of them; the others are committed.
        """
        rest = self._find_recipients(requests, caller.name)
        refusal: StorageError | None = None
        while rest:
            try:
                rest = rest[self._handle(rest, caller, via) :]
            except StorageUnavailable:
                raise
            except StorageError as error:  # a broken request harms no other
                refusal = self._handle_one_by_one(rest[: inbound.BATCH_LIMIT], caller, via) or error
                rest = rest[inbound.BATCH_LIMIT :]
        if isinstance(refusal, DamagedIncident):
            raise UnreadableRow(refusal.table, refusal.row_id, refusal.column, refusal.why) from refusal
        if refusal is not None:
            raise refusal

    def _handle(self, requests: Sequence[RoutedRequest], caller: ApiKey, via: Via) -> int:
        return self._use_cases.run(inbound.handle, requests, by=caller.name, via=via, namespace=caller.namespace)

    def _handle_one_by_one(self, requests: Sequence[RoutedRequest], caller: ApiKey, via: Via) -> StorageError | None:
        refusal = None
        for routed in requests:
            try:
                self._handle([routed], caller, via)
            except StorageUnavailable:
                raise
            except StorageError as error:
                refusal = error
        return refusal

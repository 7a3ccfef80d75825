"""Handles inbound requests of integrations: the directory finds the recipients, and each request is done."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from notifyflow.core.intake.directory import NOBODY, Directory, Route
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.core.intake.validation import admit_recipients
from notifyflow.core.keys import ApiKey
from notifyflow.core.model import Via
from notifyflow.core.policy import Policy
from notifyflow.core.wording import text
from notifyflow.errors import StorageError, StorageUnavailable
from notifyflow.pipeline import inbound
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.pipeline.notices import add_notice
from notifyflow.service.directory import DirectoryFile
from notifyflow.service.use_cases import UseCases


class Integrations:
    """Handles inbound requests of integrations.

    Attributes:
        directory: The directory in its file.
    """

    def __init__(self, use_cases: UseCases, policies: Mapping[str, Policy], directory: Path | None) -> None:
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._policies = policies
        self.directory = DirectoryFile(
            directory, policies, self._deps.clock, tell=lambda reason: use_cases.run(add_notice, reason, "the directory")
        )

    def handle(self, requests: Sequence[InboundRequest], caller: ApiKey, via: Via) -> None:
        """Handle requests in the namespace of their sender; all are committed on return.

        Args:
            requests: Any number; those of one incident are handled in their order. A request to acknowledge or resolve an
                unknown or resolved incident does nothing.
            caller: The API key that they came with.
            via: The integration that they came through.

        Raises:
            StorageUnavailable: When the database does not answer in time; some of them may be committed.
            StorageError: When the database refuses one of them; the others are committed.
        """
        rest = self._route(requests, caller)
        refusal: StorageError | None = None
        while rest:
            try:
                rest = rest[self._handle(rest, caller, via) :]
            except StorageUnavailable:
                raise
            except StorageError as error:  # a broken request harms no other
                refusal = self._handle_one_by_one(rest[: inbound.BATCH_LIMIT], caller, via) or error
                rest = rest[inbound.BATCH_LIMIT :]
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

    def _route(self, requests: Sequence[InboundRequest], caller: ApiKey) -> Sequence[RoutedRequest]:
        directory = self.directory.current()
        found: dict[int, RoutedRequest] = {}
        routed = []
        for request in sorted(requests, key=lambda request: request.incident.key):
            route = directory.route(request.labels, caller.name)
            if id(route) not in found:
                found[id(route)] = self._routed(request, directory, route)
            routed.append(replace(found[id(route)], request=request))
        return routed

    def _routed(self, request: InboundRequest, directory: Directory, route: Route) -> RoutedRequest:
        recipients = directory.at(route)
        contacts, _ = admit_recipients(recipients, self._deps.check_address, self._deps.channels)
        reached = {each.recipient_id for each in contacts if each.addresses}
        return RoutedRequest(
            request=request,
            contacts=contacts,
            policy=self._policies[route.policy],
            route="" if directory is NOBODY else directory.place(route),
            left_out="" if directory is NOBODY else text.listed([each.id for each in recipients if each.id not in reached]),
        )

"""Handles inbound requests: the directory finds who is told, and what a request asks for is done, whatever it says."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from notifyflow.app.directory import DirectoryFile
from notifyflow.core.intake.directory import Directory, Route
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.core.intake.validation import admit_recipients
from notifyflow.core.keys import ApiKey
from notifyflow.core.model import Contact
from notifyflow.core.policy import Policy
from notifyflow.errors import StorageError, StorageUnavailable
from notifyflow.pipeline import inbound
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.pipeline.notices import add_notice
from notifyflow.pipeline.ports import Consequences, Dependencies


class Integrations:
    """Handles what comes in through integrations.

    Args:
        deps: The dependencies of the use cases.
        policies: By name.
        directory: Its file; None where there is none.
        report: Logs and rings for what a use case led to.
    """

    def __init__(
        self, deps: Dependencies, policies: Mapping[str, Policy], directory: Path | None, report: Callable[[Consequences], None]
    ) -> None:
        self._deps = deps
        self._policies = policies
        self._report = report
        self._directory = DirectoryFile(
            directory, policies, deps.clock, tell=lambda reason: report(add_notice(deps, reason, "the directory"))
        )

    def on_routes(self, number: str) -> tuple[str, ...]:
        """Name those at the end of a route whose texts go to a number.

        Raises:
            StorageUnavailable: When operations is to be told of a broken file, and the database does not answer in time.
        """
        texting = [name for name, traits in self._deps.channels.items() if traits.has_text_replies]
        return self._directory.on_routes(number, self._deps.check_address, texting)

    def addresses(self) -> frozenset[str]:
        """Return every address that the directory knows.

        Raises:
            StorageUnavailable: When operations is to be told of a broken file, and the database does not answer in time.
        """
        return self._directory.addresses(self._deps.check_address)

    def handle(self, requests: Sequence[InboundRequest], caller: ApiKey, via: str) -> None:
        """Handle requests, in the namespace of their sender; returning means committed.

        Args:
            requests: Any number; those for one incident are handled in their order. For one that nobody
                knows, or that is over, there is nothing to do.
            caller: The API key that it came with.
            via: Which integration they came through.

        Raises:
            StorageUnavailable: When the database does not answer in time; a part may be done.
            StorageError: When it refuses one of them; the others are done.
        """
        left = self._route(requests, caller)
        refusal: StorageError | None = None
        while left:
            try:
                left = left[self._handle(left, caller, via) :]
            except StorageUnavailable:
                raise
            except StorageError as error:  # one of them is broken, and harms no other
                refusal = self._handle_one_by_one(left[: inbound.BATCH_LIMIT], caller, via) or error
                left = left[inbound.BATCH_LIMIT :]
        if refusal is not None:
            raise refusal

    def _handle(self, some: Sequence[RoutedRequest], caller: ApiKey, via: str) -> int:
        done, consequences = inbound.handle(self._deps, some, by=caller.name, via=via, namespace=caller.namespace)
        self._report(consequences)
        return done

    def _handle_one_by_one(self, some: Sequence[RoutedRequest], caller: ApiKey, via: str) -> StorageError | None:
        refusal = None
        for routed in some:
            try:
                self._handle([routed], caller, via)
            except StorageUnavailable:
                raise
            except StorageError as error:
                refusal = error
        return refusal

    def _route(self, requests: Sequence[InboundRequest], caller: ApiKey) -> Sequence[RoutedRequest]:
        directory = self._directory.current()
        known: dict[tuple[str, ...], tuple[Contact, ...]] = {}
        made = []
        for request in sorted(requests, key=lambda each: each.incident.key):
            route = directory.route(request.labels, caller.name)
            if route.to not in known:
                known[route.to] = self._contacts(directory, route)
            made.append(RoutedRequest(request=request, contacts=known[route.to], policy=self._policies[route.policy]))
        return made

    def _contacts(self, directory: Directory, route: Route) -> tuple[Contact, ...]:
        contacts, _ = admit_recipients(directory.at(route), self._deps.check_address, self._deps.channels)
        return contacts

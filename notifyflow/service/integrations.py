"""Handles inbound requests of integrations: the directory finds the recipients, and each request is done."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from notifyflow.core.chain import Chain, Planned
from notifyflow.core.intake.directory import NOBODY, Route
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.core.intake.validation import admit_recipients
from notifyflow.core.keys import ApiKey
from notifyflow.core.model import Recipient, Via
from notifyflow.core.policy import Acknowledgement, Policy
from notifyflow.core.roster import Roster
from notifyflow.core.wording import text
from notifyflow.errors import StorageError, StorageUnavailable
from notifyflow.pipeline import inbound
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.service.roster import Rosters
from notifyflow.service.use_cases import UseCases


class Integrations:
    """Handles inbound requests of integrations."""

    def __init__(self, use_cases: UseCases, policies: Mapping[str, Policy], rosters: Rosters) -> None:
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._policies = policies
        self._rosters = rosters

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
        roster, now = self._rosters.current(), self._deps.clock.now()
        found: dict[int, RoutedRequest] = {}
        routed = []
        for request in sorted(requests, key=lambda request: request.incident.key):
            route = roster.directory.route(request.labels, caller.name)
            if id(route) not in found:
                found[id(route)] = self._routed(request, roster, route, now)
            routed.append(replace(found[id(route)], request=request))
        return routed

    def _routed(self, request: InboundRequest, roster: Roster, route: Route, now: datetime) -> RoutedRequest:
        directory = roster.directory
        policy = self._policy(route)
        chain = _chain(route, policy)
        recipients = roster.people(route.to, now).recipients
        if not recipients and chain is None:  # nobody is on duty, and nobody is next
            recipients = tuple(Recipient(id=name) for name in route.to)
        contacts, _ = admit_recipients(recipients, self._deps.check_address, self._deps.channels)
        reached = {each.recipient_id for each in contacts if each.addresses}
        return RoutedRequest(
            request=request,
            contacts=contacts,
            policy=policy,
            chain=chain,
            route="" if directory is NOBODY else directory.place(route),
            left_out="" if directory is NOBODY else text.listed([each.id for each in recipients if each.id not in reached]),
        )

    def _policy(self, route: Route) -> Policy:
        """Return the policy of a route; where the process that read the directory knows a policy that this one does not, ours."""
        return self._policies.get(route.policy) or self._policies[Route(to=()).policy]


def _chain(route: Route, policy: Policy) -> Chain | None:
    """Return the chain of a route; None if it has none, or by its policy each recipient has to acknowledge."""
    if not route.then or policy.acknowledgement is Acknowledgement.EACH:
        return None
    then = tuple(Planned(to=step.to, after=step.after) for step in route.then)
    return Chain(to=route.to, then=then, over_after=route.over_after)

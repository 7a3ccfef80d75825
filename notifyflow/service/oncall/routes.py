"""Finds the recipients of inbound requests and watched jobs: the people on duty now, by the routes of the directory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from notifyflow.core import text
from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.model import Incident, Recipient
from notifyflow.core.delivery.policy import Acknowledgement, Policy
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.intake.validation import HEARTBEAT_KEYS, check_recipients
from notifyflow.core.oncall.directory import NOBODY, Route
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.watched_job_forms import DeclaredJob
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.pipeline.oncall.watched_jobs import RoutedJob
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.service.oncall.roster import Rosters

_SOURCE = "heartbeat"


class Routes:
    """The routes of the directory in force.

    Attributes:
        rosters: The directory.
    """

    def __init__(self, deps: Dependencies, policies: Mapping[str, Policy], rosters: Rosters) -> None:
        self._deps = deps
        self._policies = policies
        self.rosters = rosters

    def route(self, requests: Sequence[InboundRequest], sender: str) -> Sequence[RoutedRequest]:
        """Return requests with their recipients, by the keys of their incidents.

        Args:
            requests: Any number.
            sender: The name of the API key that they came with.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        roster, now = self.rosters.current(), self._deps.clock.now()
        found: dict[int, RoutedRequest] = {}
        routed = []
        for request in sorted(requests, key=lambda request: request.incident.key):
            route = roster.directory.route(request.labels, sender)
            if id(route) not in found:
                found[id(route)] = self._routed(request, roster, route, now)
            routed.append(replace(found[id(route)], request=request))
        return routed

    def of_jobs(self, names: Sequence[str]) -> Sequence[RoutedJob]:
        """Return watched jobs with the recipients of their incidents; raise ``StorageUnavailable`` as ``route`` does."""
        roster, now = self.rosters.current(), self._deps.clock.now()
        declared = roster.directory.heartbeats
        return [
            RoutedJob(name=name, routed=self._of_job(declared[name], roster, now) if name in declared else None) for name in names
        ]

    def _of_job(self, job: DeclaredJob, roster: Roster, now: datetime) -> RoutedRequest:
        key, labels = HEARTBEAT_KEYS + job.name, job.all_labels
        incident = Incident(key=key, title=job.name, severity=job.severity, source=_SOURCE, labels=labels)
        request = InboundRequest(action=Action.NOTIFY, incident=incident, labels=labels)
        return self._routed(request, roster, roster.directory.route_of(job), now)

    def _routed(self, request: InboundRequest, roster: Roster, route: Route, now: datetime) -> RoutedRequest:
        directory = roster.directory
        policy = self._policy(route)
        chain = _chain(route, policy)
        recipients = roster.people(route.to, now).recipients
        if not recipients and chain is None:  # nobody is on duty, and nobody is next
            recipients = tuple(Recipient(id=name) for name in route.to)
        contacts, _ = check_recipients(recipients, self._deps.check_address, self._deps.channels)
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
        """Return the policy of a route; if another process read the directory and its policy is unknown here, ours."""
        return self._policies.get(route.policy) or self._policies[Route(to=()).policy]


def _chain(route: Route, policy: Policy) -> Chain | None:
    """Return the chain of a route; None if it has none, or if its policy wants each recipient's acknowledgement."""
    if not route.then or policy.acknowledgement is Acknowledgement.EACH:
        return None
    then = tuple(Planned(to=step.to, after=step.after) for step in route.then)
    return Chain(to=route.to, then=then, over_after=route.over_after)

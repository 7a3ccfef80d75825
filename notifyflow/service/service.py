"""The application service: one method for each use case of the library, command line, API, links, replies and integrations."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from notifyflow.core.accounts.keys import ApiKey
from notifyflow.core.delivery.model import Contact, Incident, Notified, Receipt, Severity, Stopped, Via
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.insight.message_log import LoggedMessage
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.timeline import Explain, TimelineEntry, timeline
from notifyflow.core.insight.views import ETag, IncidentStatus, KnownRecipient
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.core.intake.requests import Submission
from notifyflow.core.limits.pauses import Pause
from notifyflow.core.limits.provider_health import circuit
from notifyflow.core.messages.replies import HandledReply, Reply
from notifyflow.core.metrics.scrape import HeartbeatFigures, Scrape
from notifyflow.core.namespaces import SHARED
from notifyflow.core.oncall.roster import calendars_read_at
from notifyflow.core.oncall.watched_jobs import JobState, WatchedJob
from notifyflow.core.references import ById, ByKey, IncidentRef
from notifyflow.errors import NAMED, Fault, NotFound
from notifyflow.log import get_logger
from notifyflow.pipeline import next_events
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.acknowledge import acknowledge, page_again, resolve
from notifyflow.pipeline.delivery.calls import describe_key
from notifyflow.pipeline.delivery.notify import Submitted
from notifyflow.pipeline.delivery.operations import add_notice
from notifyflow.pipeline.delivery.outbox import join
from notifyflow.pipeline.delivery.receive import Bundled, Received, apply_to_all, receive_all
from notifyflow.pipeline.replies import handle_reply
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.group_commit import GroupCommit
from notifyflow.pipeline.transaction.idempotency import Once
from notifyflow.pipeline.transaction.ports import ReceiptMatch
from notifyflow.service.accounts.access import UnknownAddresses
from notifyflow.service.delivery.links import Links
from notifyflow.service.delivery.readiness import find_faults
from notifyflow.service.delivery.submissions import Submissions, check_submission
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.duty_warnings import DutyWarnings
from notifyflow.service.health import Health
from notifyflow.service.integrations import Integrations
from notifyflow.service.lists import RECENT, Lists
from notifyflow.service.oncall.directory import DirectoryFile
from notifyflow.service.oncall.duty import OnCall
from notifyflow.service.oncall.people import People
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.oncall.routes import Routes
from notifyflow.service.oncall.watched_jobs import JobWatch
from notifyflow.service.rehearsals import Rehearsals
from notifyflow.service.replica import ListSource, Replica
from notifyflow.service.silences import Silences
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store

T = TypeVar("T")

_log = get_logger("notifyflow.app")

SUBMIT_WITHIN_S = 5.0
"""How long a sender waits for the database at most: connecting, the check of the schema and every statement included."""
MOST_RECEIPTS = 100
"""How many receipts one transaction takes at most."""
MOST_NAMED = 1_000
"""How many watched jobs have series of their own in the metrics."""


class Service:
    """The use cases of notifyflow: each method runs one, reports its follow-ups, and returns its value.

    Args:
        replica: A replica of the database, for lists; None without one.
        directory: The directory's file of this process; None without one.
        explain: Returns the meaning of a channel's code.
        unknown_addresses_a_minute: How many addresses unknown to the directory a namespace may submit in a minute.

    Attributes:
        links: The links with which people acknowledge.
        people: The people, and tests of whether they can be reached.
        rosters: The directory, and who is on duty.
        oncall: Who is on duty, and changes of it.
        list_source: Where lists are read.
        lists: The lists of incidents, messages and recipients, and the charts.
        silences: The silences, to start, list and end them.
        watched_jobs: The jobs whose heartbeats are watched.
    """

    def __init__(
        self,
        store: Store,
        use_cases: UseCases,
        *,
        replica: Replica | None,
        policies: Mapping[str, Policy],
        directory: Path | None,
        explain: Explain,
        unknown_addresses_a_minute: int,
    ) -> None:
        self._store = store
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._policies = policies
        self.explain = explain
        self.rosters = Rosters(store, use_cases, _directory_file(use_cases, policies, directory))
        routes = Routes(use_cases.deps, policies, self.rosters)
        self._integrations = Integrations(use_cases, routes.route)
        self.watched_jobs = JobWatch(store, use_cases, routes)
        self._receipts: GroupCommit[Received, ReceiptMatch | Bundled] = GroupCommit(
            partial(use_cases.commit, receive_all), use_cases.report, most=MOST_RECEIPTS
        )
        self._submissions = Submissions(use_cases, within=store.within)
        self.list_source = ListSource(store, self._deps.clock, replica, prepare=use_cases.prepare)
        self.lists = Lists(self.list_source, use_cases, self.rosters, step_time=self._step_time)
        self.people = People(store, use_cases, self.rosters, self._submissions, self.list_source, policies)
        self.duty_warnings = DutyWarnings(self.rosters, self._deps, policies)
        self.rehearsals = Rehearsals(self.rosters, self._deps, policies)
        self.health, self.links = Health(store, use_cases), Links(store, use_cases)
        self.silences = Silences(store, use_cases, self.rosters.labels)
        self.oncall = OnCall(store, use_cases, self.rosters)
        known = partial(self.rosters.addresses, self._deps.check_address)
        self._unknown_addresses = UnknownAddresses(known, self._deps.clock, a_minute=unknown_addresses_a_minute)

    # Acting on incidents

    def begin_anew(self) -> None:
        """Begin anew in a forked child."""
        for each in (self._receipts, self._submissions, self.watched_jobs, self.rosters, self.list_source):
            each.begin_anew()

    def submit(
        self,
        submission: Submission,
        *,
        caller: ApiKey | None = None,
        once: Once | None = None,
        connection: object | None = None,
    ) -> Notified:
        """Store an incident and page its recipients, or count a repeated key.

        Args:
            submission: The incident, its recipients and its policy.
            caller: The API key that it came with; None for the library and the command line, which open incidents in the shared
                namespace and may bring any number of unknown addresses.
            once: Identifies a request, so that a repetition does nothing and gets the same response.
            connection: The application's connection, in whose open transaction it is stored; None for our own transaction.

        Raises:
            InvalidIncident: When it is malformed, or no recipient can be reached; nothing is stored.
            InvalidPolicy: When only the policy is wrong.
            TooManyAddresses: When it brings too many addresses unknown to the directory.
            IdempotencyMismatch: When another request came under its idempotency key.
            StorageUnavailable: When the database does not answer within 5 s, all statements included.
            UnsuitableConnection: When it cannot be stored in the transaction of this connection.
        """
        with self._store.within(SUBMIT_WITHIN_S) as deadline:
            most_faults = None if caller is None else NAMED
            checked, policy = check_submission(
                self._deps, submission, self._policies, names=self._names(submission), most_faults=most_faults
            )
            namespace = SHARED
            if caller is not None:
                namespace = caller.namespace
                later = checked.chain.people if checked.chain else ()
                self._unknown_addresses.allow(namespace, (*checked.contacts, *later))
        submitted = Submitted(checked=checked, policy=policy, namespace=namespace, once=once)
        if connection is not None:
            return self._use_cases.run(join, submitted, connection)
        return self._submissions.store(submitted, deadline)

    def _names(self, submission: Submission) -> Collection[str]:
        """Return the names that the directory knows, if a step of the chain names anybody."""
        is_needed = any(isinstance(each, str) for step in submission.then for each in getattr(step, "to", ()))
        return self.rosters.current().directory.names if is_needed else ()

    def acknowledge(self, ref: IncidentRef, *, by: str, via: Via, shown: Severity | None = None) -> Stopped:
        """Acknowledge an incident, unless it is more severe now than was shown; raise ``NotFound`` or ``AmbiguousKey``."""
        return self._use_cases.run(acknowledge, ref, by=by, via=via, shown=shown)

    def resolve(self, ref: IncidentRef, *, by: str, via: Via) -> Stopped:
        """Resolve an incident; raise ``NotFound`` or ``AmbiguousKey``."""
        return self._use_cases.run(resolve, ref, by=by, via=via)

    def page_again(self, ref: IncidentRef, recipient_id: str, *, by: str, via: Via) -> None:
        """Start a round; raise ``NotFound``, ``AmbiguousKey``, ``RecipientNotFound`` or ``IncidentResolved``."""
        self._use_cases.run(page_again, ref, recipient_id, by=by, via=via)

    # Input from providers, people and other systems

    def receive(self, receipt: Receipt, raw: str) -> HandledReply | None:
        """Apply one receipt, and keep the raw body that it was read from; what comes at once is committed together.

        Returns:
            The state of the incident if the receipt reports a pressed key; otherwise None.
        """
        stored = self._receipts.commit(Received(receipt, raw))
        fate = self._use_cases.finish(apply_to_all, stored) if isinstance(stored, Bundled) else stored
        ids = {"provider": receipt.provider, "attempt_id": receipt.attempt_id}
        _log.info("app.receipt_received", **ids, code=receipt.code, fate=fate.value)
        return describe_key(self._deps, receipt) if receipt.is_key_press else None

    def handle_reply(self, channel: str, reply: Reply, raw: str) -> HandledReply:
        """Handle a reply, and keep its raw body; the response is withheld if no message may leave for its number."""
        texting = [name for name, capabilities in self._deps.channels.items() if capabilities.has_text_replies]
        on_routes = self.rosters.on_routes(reply.number, self._deps.check_address, texting) if reply.number else ()
        handled = self._use_cases.run(handle_reply, reply, channel=channel, raw=raw, on_routes=on_routes)
        _log.info(
            "app.reply_handled",
            provider=reply.provider,
            intent=reply.intent.value,
            effect=handled.effect.value,
            incidents=[choice.incident_id for choice in (*handled.choices, *handled.still_open)],
        )
        is_withheld = handled.is_withheld or self._deps.delivery.final(channel, reply.number) != reply.number
        return replace(handled, notice=self._deps.notice, is_withheld=is_withheld)

    def handle_inbound(self, requests: Sequence[InboundRequest], caller: ApiKey, via: Via) -> None:
        """Handle the requests of an integration; see ``Integrations.handle``."""
        self._integrations.handle(requests, caller, via)

    # Display

    def status(self, ref: IncidentRef) -> IncidentStatus:
        """Return an incident with its escalations, notifications, attempts and log; raise ``NotFound`` or ``AmbiguousKey``."""
        match ref:
            case ByKey(name, namespace):
                status = self._read(lambda reads: reads.status(name, namespace=namespace))
            case ById(name):
                status, namespace = self._read(lambda reads: reads.status_by_id(name)), None
        if status is None:
            raise NotFound(name, namespace)
        return status

    def is_settled(self, ref: ByKey) -> bool:
        """Return whether every escalation of an incident is settled; raise ``NotFound`` or ``AmbiguousKey``."""
        is_settled = self._read(lambda reads: reads.is_settled(ref.key, namespace=ref.namespace))
        if is_settled is None:
            raise NotFound(ref.key, ref.namespace)
        return is_settled

    def message(self, notification_id: str) -> LoggedMessage | None:
        """Return one message of the log, or None."""
        return self._read(lambda reads: reads.messages.find(notification_id))

    def _step_time(self, incident_id: str) -> datetime | None:
        """Return when a chain goes on, as shown on the incident's page."""
        status = self._read(lambda reads: reads.status_by_id(incident_id))
        step = None if status is None else self.next_events(status).step
        return None if step is None else step.at

    def etag(self, incident_id: str) -> ETag:
        """Return an etag that differs whenever an incident has changed; raise ``NotFound``."""
        etag = self._read(lambda reads: reads.etags.of(incident_id))
        if etag is None:
            raise NotFound(incident_id)
        return etag

    def etag_of_all(self) -> str | None:
        """Return a text that changes with the database and the directory's file; None if the database has no such text.

        Later reads, including the roster's, are at least as new.
        """
        etag = self._read(lambda reads: reads.etags.of_all())
        self.rosters.read()
        return etag

    def now(self) -> datetime:
        """Return the current time of the service."""
        return self._deps.clock.now()

    def pauses(self) -> tuple[Pause, ...]:
        """Return the pauses in force, the oldest first."""
        return self._read(lambda reads: reads.system_health.pauses(self._deps.clock.now()))

    def next_events(self, status: IncidentStatus) -> NextEvents:
        """Return the next events of each escalation of an incident if no result, receipt or reply comes in."""
        self._use_cases.prepare()
        return next_events.read(self._deps, status)

    def timeline(self, status: IncidentStatus) -> tuple[TimelineEntry, ...]:
        """Return the history of an incident, by time, with the meaning of every code."""
        return timeline(status, explain=self.explain)

    def recipient(self, recipient_id: str, namespaces: frozenset[str] | None) -> KnownRecipient | None:
        """Return a recipient with the data of some namespaces' incidents (None for all), or None."""
        since = self._deps.clock.now() - RECENT
        return self._read(lambda reads: reads.listings.recipient(recipient_id, since=since, namespaces=namespaces))

    def content_for(self, status: IncidentStatus, contact: Contact) -> Incident:
        """Return an incident's content as shown to one recipient; that of operations has links to the failed incidents."""
        if not status.facts.is_operations:
            return status.content
        now = self._deps.clock.now()
        body = partial(operations.words, incident_id=status.facts.id, content=status.content, contact=contact, now=now)
        return use_case.run(self._deps, body).value

    def scrape(self, carried: frozenset[str]) -> Scrape:
        """Return the values of a scrape; ``carried`` are the channels with a provider."""
        from notifyflow.core.upkeep.duty_warnings import DutyWarningKind, gaps  # few processes are scraped

        now, people = self._deps.clock.now(), self.rosters.people(self._deps.check_address)
        findings = self.duty_warnings.read(carried)
        lost = {each for each, channels in people.items() if channels.isdisjoint(carried)}
        replica = self.list_source.state()

        def read(reads: Reads) -> Scrape:
            states = reads.watched_jobs.states(now)
            return Scrape(
                now=now,
                totals=reads.metrics.totals(),
                rolled_up_at=reads.metrics.rolled_up_at(),
                swept_at=reads.swept_at(),
                oldest_due_at=reads.scrape.oldest_due_at(self._deps.channels, now),
                oldest_unacknowledged_at=reads.scrape.oldest_unacknowledged_at(),
                oldest_untold_at=reads.scrape.oldest_untold_at(),
                storms=reads.system_health.storms(now),
                postponed=reads.system_health.postponed(self._deps.channels, now),
                silences=reads.silences.counts(now),
                operations=len(self._deps.operations),
                calendars_read_at=calendars_read_at(self.rosters.current()),
                circuits={(each.channel, each.provider): circuit(each, now) for each in reads.scrape.health()},
                unreachable=len(lost | reads.scrape.unreached(sorted(people))),
                gaps=gaps(findings, self.rosters.current().directory.schedules),
                unreachable_on_duty=len({each.person for each in findings if each.kind is DutyWarningKind.UNREACHABLE}),
                job_states={each.value: states.get(each, 0) for each in JobState},
                heartbeats={job.name: _figures(job) for job in reads.watched_jobs.brief(limit=MOST_NAMED)},
                replica_swept_at=None if replica is None else replica.swept_at,
                list_reads={} if replica is None else replica.reads,
            )

        return self._read(read)

    def find_faults(self) -> tuple[Fault, ...]:
        """Find the obstacles to delivery; see ``readiness``."""
        return find_faults(self._store, self._deps.clock)

    def _read(self, body: Callable[[Reads], T]) -> T:
        self._use_cases.prepare()
        return self._store.read(body)


def _figures(job: WatchedJob) -> HeartbeatFigures:
    is_well = job.miss is None or job.back_at is not None
    return HeartbeatFigures(succeeded_at=job.succeeded_at, is_well=is_well, misses=job.misses)


def _directory_file(use_cases: UseCases, policies: Mapping[str, Policy], path: Path | None) -> DirectoryFile:
    clock = use_cases.deps.clock
    return DirectoryFile(path, policies, clock, tell=lambda reason: use_cases.run(add_notice, reason, "the directory"))

"""People in incidents and in the directory: whether they can be reached, and tests of it."""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from notifyflow.core.delivery.model import Contact, Incident, IncidentState, Notified, Recipient, Severity, Via
from notifyflow.core.delivery.policy import Policy, Tier
from notifyflow.core.forms import MAX_KEY
from notifyflow.core.insight.people import MOST_UNREACHED, PeoplePage, Person
from notifyflow.core.insight.views import IncidentFilter, IncidentStatus, IncidentSummary
from notifyflow.core.intake.requests import Submission
from notifyflow.core.intake.validation import MAX_TITLE, check_recipients
from notifyflow.core.namespaces import SHARED
from notifyflow.core.references import ById
from notifyflow.core.text import cut
from notifyflow.errors import RecipientUnknown, TooManyTests
from notifyflow.log import get_logger
from notifyflow.pipeline.delivery.acknowledge import resolve
from notifyflow.pipeline.delivery.notify import Submitted
from notifyflow.service.delivery.submissions import Submissions, check_submission, find_policy
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.replica import ListSource
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store

T = TypeVar("T")

_log = get_logger("notifyflow.app")

TEST_EVERY = timedelta(minutes=1)
"""How often one person is sent a test at most."""
_SUBMIT_WITHIN_S = 5.0
_MOST_NEVER_PAGED = 200
_POLICY = "test"
_PREFIX = "test-"
_SEARCHED = 20
"""How many incidents of a person are searched for their last test, if another incident uses its key."""
_BODY = "This is a test, and nothing is wrong. Acknowledge it to show that it reached you."
_BODY_OF_ALL_TIERS = "This is a test, and nothing is wrong. It goes on, as an incident would, until you acknowledge it."


class People:
    """The people, as users with some namespaces may see them.

    Args:
        rosters: The roster in force; only users who see all namespaces see the people of its directory.
        submissions: Stores the tests.
        list_source: Where the list is read.
        policies: The policies by name.
    """

    def __init__(
        self,
        store: Store,
        use_cases: UseCases,
        rosters: Rosters,
        submissions: Submissions,
        list_source: ListSource,
        policies: Mapping[str, Policy],
    ) -> None:
        self._store = store
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._rosters = rosters
        self._submissions = submissions
        self._list_source = list_source
        self._policies = policies

    def page(self, namespaces: frozenset[str] | None, *, after: str, limit: int) -> PeoplePage:
        """Return a page of the people who were paged, by id; on the first page also those who need attention.

        Args:
            namespaces: Only the data of these namespaces' incidents counts; None for all.
            after: ``after`` of the page before; empty begins with the first.
            limit: How many at most.
        """
        listed = self._listed(namespaces)

        def query(reads: Reads) -> PeoplePage:
            ids = reads.people.ids(after=after, limit=limit + 1)
            shown = ids[:limit]
            unreached = () if after else reads.people.unreached_ids(namespaces, limit=MOST_UNREACHED)
            never = () if after else sorted(reads.people.never_paged(sorted(listed)))
            people = self._people(reads, {*shown, *unreached}, namespaces, listed, others=never[:_MOST_NEVER_PAGED])
            return PeoplePage(
                people=tuple(people[each] for each in shown if each in people),
                unreached=tuple(people[each] for each in unreached),
                never_paged=tuple(people[each] for each in never[:_MOST_NEVER_PAGED]),
                never_paged_count=len(never),
                after=reads.people.mark(shown[-1]) if len(ids) > limit else None,
            )

        return self._list_source.read(query)

    def find(self, recipient_id: str, namespaces: frozenset[str] | None) -> Person | None:
        """Return a person with the data of some namespaces' incidents (None for all), or None if they have none."""
        listed = self._listed(namespaces)
        return self._read(lambda reads: self._people(reads, {recipient_id}, namespaces, listed)).get(recipient_id)

    def recipient(self, recipient_id: str) -> Recipient:
        """Return a person as a recipient, from the directory, or else from their last incident.

        Raises:
            RecipientUnknown: When nobody has this id, or they have no address.
        """
        person = self.find(recipient_id, None)
        if person is None or not person.contact.addresses:
            raise RecipientUnknown(recipient_id)
        contact = person.contact
        known = Recipient(id=recipient_id, name=contact.name, addresses=contact.addresses, timezone=contact.timezone)
        return self._listed(None).get(recipient_id, known)

    def last_test(self, recipient_id: str, namespaces: frozenset[str] | None) -> IncidentStatus | None:
        """Return the last test of a person; None without one."""
        found = self._last_test(recipient_id, namespaces)
        return None if found is None else self._read(lambda reads: reads.status_by_id(found.facts.id))

    def test(
        self,
        recipient_id: str,
        channels: Collection[str],
        namespaces: frozenset[str] | None,
        *,
        sender: str,
        by: str,
        policy: str | None = None,
    ) -> Notified:
        """Send a person a test, which is an incident like any other, and end the test before it.

        Args:
            recipient_id: The person.
            channels: The channels to test, all at once; empty for all on which the person has an address.
            namespaces: What the sender sees; the incident is opened in one of them. None for all.
            sender: The sender's name, for the title.
            by: The id or name under which the sender acts.
            policy: The name of a policy whose tiers and rounds the test goes through until it is acknowledged; None for one page
                on each channel at once.

        Raises:
            RecipientUnknown: When nobody there knows the person, or has an address of theirs on the channels.
            TooManyTests: When a test was sent within the last minute.
            InvalidIncident: When none of the addresses can be used any more.
            InvalidPolicy: When there is no such policy.
            StorageUnavailable: When the database does not answer in time.
        """
        person = self.find(recipient_id, namespaces)
        tested = {} if person is None else self._chosen(person.contact.addresses, channels)
        if person is None or not tested:
            raise RecipientUnknown(recipient_id)
        steps = Policy(name=_POLICY, tiers=(Tier(name=_POLICY, channels=tuple(tested)),))
        if policy is not None:
            steps = _harmless(find_policy(policy, self._policies, self._deps.channels))
        namespace = SHARED if namespaces is None or SHARED in namespaces else min(namespaces)
        self._end_last(recipient_id, namespace, by=by)
        submission = Submission(
            incident=_incident(
                person.contact, self._free_key(recipient_id, namespace), sender, _BODY if policy is None else _BODY_OF_ALL_TIERS
            ),
            recipients=(
                Recipient(id=recipient_id, name=person.contact.name, addresses=tested, timezone=person.contact.timezone),
            ),
            policy=steps,
        )
        with self._store.within(_SUBMIT_WITHIN_S) as deadline:
            checked, steps = check_submission(self._deps, submission, {})
        notified = self._submissions.store(Submitted(checked=checked, policy=steps, namespace=namespace), deadline)
        if not notified.is_new:  # another process has just sent one
            raise TooManyTests(math.ceil(TEST_EVERY.total_seconds()))
        _log.info("app.test_sent", incident_id=notified.incident_id, recipient_id=recipient_id, channels=sorted(tested))
        return notified

    def policies_for(self, recipient_id: str) -> tuple[str, ...]:
        """Return the policies of the routes to a person, in their order; ``insistent`` without one."""
        return self._rosters.current().directory.policies_for(recipient_id)

    def _chosen(self, addresses: Mapping[str, str], channels: Collection[str]) -> dict[str, str]:
        chosen = self._deps.channels.keys() & (channels or addresses)
        return {channel: address for channel, address in addresses.items() if channel in chosen}

    def _end_last(self, recipient_id: str, namespace: str, *, by: str) -> None:
        last = self._last_test(recipient_id, frozenset({namespace}))
        if last is None:
            return
        wait = last.facts.opened_at + TEST_EVERY - self._deps.clock.now()
        if wait > timedelta(0):
            raise TooManyTests(math.ceil(wait.total_seconds()))
        if last.facts.state is not IncidentState.RESOLVED:
            self._use_cases.run(resolve, ById(last.facts.id), by=by, via=Via.DASHBOARD)

    def _last_test(self, recipient_id: str, namespaces: frozenset[str] | None) -> IncidentSummary | None:
        found = self._newest(IncidentFilter(key=_key(recipient_id), namespaces=namespaces), limit=1)
        if found and not _is_test(found[0]):  # the key belongs to another incident
            found = self._newest(IncidentFilter(recipient_id=recipient_id, text=_PREFIX, namespaces=namespaces), limit=_SEARCHED)
        return next(filter(_is_test, found), None)

    def _free_key(self, recipient_id: str, namespace: str) -> str:
        """Return the key of a person's test; an unguessable one if another incident has the usual key."""
        key = _key(recipient_id)
        found = self._newest(IncidentFilter(key=key, namespaces=frozenset({namespace})), limit=1)
        is_taken = any(each.facts.state is not IncidentState.RESOLVED and not _is_test(each) for each in found)
        return _key(f"{recipient_id}-{self._deps.ids.new()}") if is_taken else key

    def _newest(self, wanted: IncidentFilter, *, limit: int) -> Sequence[IncidentSummary]:
        return self._read(lambda reads: reads.incident_list.newest(wanted, before_id=None, limit=limit))

    def _people(
        self,
        reads: Reads,
        ids: Collection[str],
        namespaces: frozenset[str] | None,
        listed: Mapping[str, Recipient],
        *,
        others: Collection[str] = (),
    ) -> dict[str, Person]:
        """Return people by id, and others who were never paged."""
        records = reads.people.records(sorted(ids), namespaces)
        contacts = {each: record.contact for each, record in records.items()} | self._contacts({*ids, *others}, listed)
        stopped = reads.people.opt_outs({address for contact in contacts.values() for address in contact.addresses.values()})
        return {
            each: Person(
                contact=contact,
                record=records.get(each),
                opted_out_of=frozenset().union(*(stopped.get(address, ()) for address in contact.addresses.values())),
                is_in_directory=each in listed,
            )
            for each, contact in contacts.items()
        }

    def _contacts(self, ids: Collection[str], listed: Mapping[str, Recipient]) -> dict[str, Contact]:
        """Return the contacts of people in the directory, with their usable addresses."""
        recipients = [listed[each] for each in sorted(ids) if each in listed]
        contacts, _ = check_recipients(recipients, self._deps.check_address, self._deps.channels)
        return {contact.recipient_id: contact for contact in contacts}

    def _listed(self, namespaces: frozenset[str] | None) -> Mapping[str, Recipient]:
        return self._rosters.current().directory.recipients if namespaces is None else {}

    def _read(self, body: Callable[[Reads], T]) -> T:
        self._use_cases.prepare()
        return self._store.read(body)


def _key(recipient_id: str) -> str:
    """Return the key of a person's tests, so that two at once are one incident; a long id is replaced by its digest."""
    key = f"{_PREFIX}{recipient_id}"
    return key if len(key) <= MAX_KEY else f"{_PREFIX}{hashlib.sha256(recipient_id.encode()).hexdigest()}"


def _is_test(incident: IncidentSummary) -> bool:
    return incident.facts.policy.name == _POLICY


def _harmless(policy: Policy) -> Policy:
    """Return a policy for a test, which is INFO so that it alerts nobody: its tiers are open for INFO, and its rounds go on."""
    tiers = tuple(replace(tier, shut_for=()) for tier in policy.tiers)
    return replace(policy, name=_POLICY, tiers=tiers, repeat=policy.repeat and replace(policy.repeat, never_for=()))


def _incident(contact: Contact, key: str, sender: str, body: str) -> Incident:
    return Incident(
        key=key,
        title=cut(f"Test for {contact.name}, sent by {sender}", MAX_TITLE),
        body=body,
        severity=Severity.INFO,
        source="notifyflow",
    )

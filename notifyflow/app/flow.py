"""NotifyFlow: the interface for library users. It passes calls on to the parts, and decides nothing itself.

Importing it loads values only, since many programs import it long before they use it, or never use it; ``composition`` loads the
rest.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from notifyflow.app.awaiting import awaitable
from notifyflow.core.delivery.model import Incident, Notified, Recipient, Step, Stopped, Via
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.ports import Bell, Clock, Ids
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.intake.requests import Submission
from notifyflow.core.intake.validation import listed
from notifyflow.core.references import ByKey
from notifyflow.errors import NotFound
from notifyflow.version import __version__

if TYPE_CHECKING:
    from fastapi import FastAPI

    from notifyflow.app.maintenance import Maintenance
    from notifyflow.app.others import Others
    from notifyflow.app.pauses import Pauses
    from notifyflow.channels.base import Channel
    from notifyflow.engine.broker.brokers import Doorbell
    from notifyflow.service.accounts.access import Access
    from notifyflow.service.accounts.users import Users
    from notifyflow.service.oncall.duty import OnCall
    from notifyflow.service.oncall.feeds import Feeds
    from notifyflow.settings import Settings
    from notifyflow.storage.session.joined import Connection
    from notifyflow.storage.store import Store


class NotifyFlow:
    """Accepts incidents, and pages each recipient until they are reached; threads may share it, also across a fork.

    It opens nothing before its first use. On ``memory://`` the first ``notify()`` starts to deliver, inside this process.

    A key names its unresolved incident, or else the newest; an incident's id is accepted as well. ``namespace`` says where to
    look: None in all namespaces, empty in the one in which ``notify()`` opens incidents. Each method that takes a key raises
    ``NotFound`` if no incident has it. It raises ``AmbiguousKey`` and does nothing if several namespaces have an unresolved one.

    Args:
        settings: The settings.
        clock: The one owner of time; the system's, corrected to the database's, where None.
        ids: The one owner of randomness.
        store: The database.
        bell: Rings for due notifications; with a bell of your own this process delivers nothing.
        channels: The channels by name; those that are installed, where None.

    Attributes:
        warnings: Faults of the settings that stop nothing: missing providers or operations recipients, trusted endpoints.
        overview: Lists incidents and messages, tells what happened and what comes next, and finds what a mistyped name is like.
        silences: Starts, ends and lists silences.

    Raises:
        InvalidSettings: When the settings, the policies or the operations recipients do not allow a start.
    """

    def __init__(
        self,
        settings: "Settings",
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        store: "Store | None" = None,
        bell: Bell | None = None,
        channels: "Mapping[str, Channel] | None" = None,
    ) -> None:
        from notifyflow.app.composition import compose

        parts = compose(settings, clock=clock, ids=ids, store=store, bell=bell, channels=channels)
        self._settings = settings
        self._store = parts.store
        self._deps = parts.deps
        self._database = parts.database
        self._runtime = parts.runtime
        self._service = parts.service
        self._threads = parts.threads
        self.overview, self.warnings, self.silences = parts.overview, parts.warnings, parts.service.silences

    @classmethod
    def from_env(cls) -> Self:
        """Make it from ``NOTIFYFLOW_*``."""
        from notifyflow.settings import Settings

        return cls(Settings())

    @property
    def is_embedded(self) -> bool:
        """Whether this process delivers by itself."""
        return self._runtime.is_embedded

    @property
    def notice(self) -> str:
        """The mark that every message, page and response shows; empty without one while delivery is live."""
        return self._deps.notice

    @property
    def others(self) -> "Others | None":
        """What other processes did with the database until this one started to deliver; None before."""
        return self._runtime.others

    @property
    def unrung(self) -> int:
        """How many notifications were not rung for, since the broker was unavailable; the next sweep of a worker finds them."""
        return self._runtime.unrung

    def notify(
        self,
        incident: Incident,
        recipients: Sequence[Recipient],
        *,
        policy: str | Policy = "default",
        then: Sequence[Step] = (),
        over_after: timedelta | None = None,
        strict: bool = False,
        connection: "Connection[Any] | None" = None,
    ) -> Notified:
        """Accept an incident; on return it is stored, and will be delivered even if this process ends.

        With a connection it is stored in a transaction of your own: nothing is left of it if you roll back, and the first sweep
        after your commit pages.

        Args:
            incident: What happened.
            recipients: Whom to page.
            policy: The policy, by name or as a value.
            then: Who is paged next when nobody acknowledges in time, or every way to those before has failed: the later steps of
                a chain.
            over_after: The time of the chain's last step, after which operations is told; None for 15 minutes.
            strict: Whether a fault of one recipient refuses the whole.
            connection: A synchronous psycopg connection to notifyflow's own PostgreSQL database, in an open transaction at READ
                COMMITTED. If the database refuses a statement there, psycopg's error reaches you.

        Returns:
            The incident's id, the recipients added and repeated, and the faults of single recipients.

        Raises:
            InvalidIncident: When it has a wrong form, or no recipient can be reached; nothing is stored.
            InvalidPolicy: When only the policy is wrong: unknown, or it contradicts itself.
            StorageUnavailable: When the database does not answer within 5 s, in all: connecting, the check of the schema and all
                statements.
            UnsuitableConnection: When the connection or its transaction is of another kind; nothing is stored.
        """
        submission = Submission(
            incident=incident,
            recipients=listed("recipients", recipients, Recipient),
            then=listed("then", then, Step),
            over_after=over_after,
            policy=policy,
            strict=strict,
        )
        return self.submit(submission, connection=connection)

    def submit(self, submission: Submission, *, connection: "Connection[Any] | None" = None) -> Notified:
        """Store the incident of a document, as ``notify`` does, or refuse it with every fault of both."""
        notified = self._service.submit(submission, connection=connection)
        if self.is_embedded:
            self.start()
        return notified

    def wait(self, key: str, *, namespace: str | None = None, timeout_s: float | None = None) -> bool:
        """Wait until every escalation of an incident is settled and its chain is over; return whether they are.

        It waits for ``timeout_s`` seconds at most, or without an end where None.
        """
        if self.is_embedded:
            self.start()
        ref = ByKey(key, namespace)
        return self._runtime.wait_until(lambda: self._service.is_settled(ref), timeout_s)

    def status(self, key: str, *, namespace: str | None = None) -> IncidentStatus:
        """Return an incident with its escalations, notifications, attempts and log."""
        return self._service.status(ByKey(key, namespace))

    def find(self, key: str, *, namespace: str | None = None) -> IncidentStatus | None:
        """Return an incident as ``status`` does; None if no incident has the key."""
        try:
            return self.status(key, namespace=namespace)
        except NotFound:
            return None

    def acknowledge(self, key: str, *, by: str, via: Via = Via.LIBRARY, namespace: str | None = None) -> Stopped:
        """Acknowledge an incident: its queued pages are cancelled. ``by`` is a recipient's id, or any other name.

        Returns:
            The pages that are cancelled, and those that had left already; false if it was acknowledged already.
        """
        return self._service.acknowledge(ByKey(key, namespace), by=by, via=via)

    def resolve(self, key: str, *, by: str, via: Via = Via.LIBRARY, namespace: str | None = None) -> Stopped:
        """Resolve an incident; the same key then opens a new one.

        Returns:
            The pages that are cancelled, and those that had left already; false if it was resolved already.
        """
        return self._service.resolve(ByKey(key, namespace), by=by, via=via)

    def page_again(self, key: str, recipient_id: str, *, by: str, via: Via = Via.LIBRARY, namespace: str | None = None) -> None:
        """Start a new round for one recipient of an incident, also after an acknowledgement.

        Raises:
            RecipientNotFound: When it has no such recipient.
            IncidentResolved: When it is resolved.
        """
        self._service.page_again(ByKey(key, namespace), recipient_id, by=by, via=via)

    def page(self, recipient_id: str, incident: Incident, *, policy: str | None = None) -> Notified:
        """Page one person now, at the addresses that the directory has of them; see ``notify`` for what it returns and raises.

        Args:
            recipient_id: Somebody whom the directory has, or who was paged before.
            incident: What happened.
            policy: The name of the policy; by default, that of the first route that leads to them, or ``insistent`` without one.

        Raises:
            RecipientUnknown: When nobody has this id, or they have no address.
        """
        people = self._service.people
        policy = policy or people.policies_for(recipient_id)[0]
        return self.notify(incident, [people.recipient(recipient_id)], policy=policy)

    def test_page(self, recipient_id: str, *, by: str, policy: str | None = None) -> Notified:
        """Page a person, as a test that alerts nobody else, through all tiers and rounds of a policy until they acknowledge it.

        The test is an incident of the severity INFO, and ends an earlier test of this person. It heeds no quiet hours.

        Args:
            recipient_id: Somebody whom the directory has, or who was paged before.
            by: Who sends it; the title says so.
            policy: The name of the policy; by default, that of the first route that leads to them, or ``insistent`` without one.

        Raises:
            RecipientUnknown: When nobody has this id, or they have no address.
            TooManyTests: When they were sent a test within the last minute.
            InvalidPolicy: When there is no such policy.
        """
        people = self._service.people
        notified = people.test(recipient_id, (), None, sender=by, by=by, policy=policy or people.policies_for(recipient_id)[0])
        if self.is_embedded:
            self.start()
        return notified

    anotify = awaitable(notify)
    astatus = awaitable(status)
    afind = awaitable(find)
    aacknowledge = awaitable(acknowledge)
    aresolve = awaitable(resolve)
    apage_again = awaitable(page_again)

    async def await_settled(self, key: str, *, namespace: str | None = None, timeout_s: float | None = None) -> bool:
        """Do the same as ``wait``, without blocking the event loop."""
        return await self._threads.wait_until(partial(self.wait, key, namespace=namespace, timeout_s=0), timeout_s)

    def access(self) -> "Access":
        """Return the API keys: create, rotate, list and revoke them, and authorise their holders."""
        from notifyflow.app.clock_and_ids import new_secret
        from notifyflow.service.accounts.access import Access

        self._database.prepare()
        limit = self._settings.api_requests_a_minute
        return Access(self._store, self._deps.clock, self._deps.ids, new_secret=new_secret, requests_a_minute=limit)

    def users(self) -> "Users":
        """Return the users of the dashboard: make, change and remove them, and log them in and out."""
        from notifyflow.app.clock_and_ids import new_secret
        from notifyflow.service.accounts.users import Users

        self._database.prepare()
        return Users(self._store, self._deps.clock, self._deps.ids, new_secret=new_secret)

    @property
    def maintenance(self) -> "Maintenance":
        """Checks, prunes and adopts the database, and forgets people."""
        from notifyflow.app.maintenance import Maintenance

        return Maintenance(self._database, self._deps, self._settings.environment)

    @property
    def pauses(self) -> "Pauses":
        """The pauses of sending, to start, list and end them."""
        from notifyflow.app.pauses import Pauses

        self._database.prepare()
        return Pauses(self._deps, self._runtime.channels)

    @property
    def oncall(self) -> "OnCall":
        """Who is on duty, to show and to change."""
        return self._service.oncall

    def feeds(self) -> "Feeds":
        """Return the feeds of calendars: make, list and revoke them."""
        from notifyflow.app.clock_and_ids import new_secret
        from notifyflow.service.oncall.feeds import Feeds

        self._database.prepare()
        return Feeds(self._store, self._deps.clock, self._deps.ids, self._service.rosters, new_secret=new_secret)

    def asgi(self) -> "FastAPI":
        """Make the web application: callbacks, acknowledgement links, integrations, API, dashboard."""
        from notifyflow.channels.aws.sns_messages import SnsReceiver
        from notifyflow.web.application import build
        from notifyflow.web.frame.context import Context
        from notifyflow.web.frame.site import Site

        self._runtime.prepare_for_requests()
        return build(
            Context(
                service=self._service,
                access=self.access(),
                users=self.users(),
                feeds=self.feeds(),
                site=Site(
                    public_url=self._settings.public_url,
                    proxies=self._settings.trusted_proxies,
                    user_header=self._settings.proxy_user_header,
                ),
                channels=self._runtime.channels,
                sns=SnsReceiver.from_settings(self._settings, self._deps.clock),
                new_id=self._deps.ids.new,
                most_recipients=self._settings.incident_recipients,
                version=__version__,
                notice=self.notice,
                list_source=self._service.list_source if self._settings.read_url else None,
                metrics_hosts=self._settings.metrics_hosts,
            )
        )

    def start(self) -> None:
        """Start to deliver in this process, once, with what an earlier process left.

        Raises:
            InvalidSettings: When the version of the HTTP library in use does not connect to the address that was checked.
        """
        self._runtime.start()

    def make_worker(self) -> "Doorbell":
        """Make the broker of ``dramatiq notifyflow.worker`` with its actors and sweeper; wait while the database is away.

        Raises:
            InvalidSettings: When the broker is ``memory://``, whose rings no other process receives; or as ``start`` does.
            SchemaMismatch: When the database does not have the schema of this version.
            StorageUnavailable: When the server refuses the user or the database.
        """
        return self._runtime.make_worker()

    def wait_for_database(self, pause: Callable[[float], object]) -> bool:
        """Wait while the server of the database is away; an SQLite file is tried once.

        Args:
            pause: Waits for some seconds, and returns whether to give up.

        Returns:
            Whether the database can be used; False if it was given up.

        Raises:
            SchemaMismatch: When the database does not have the schema of this version.
            StorageUnavailable: When waiting does not help: for a file, or when the server refuses the user or the database.
        """
        return self._database.wait_until_prepared(pause)

    def close(self) -> None:
        """Stop: deliver due notifications for up to ``drain_s``, record running sends, log how many are left."""
        self._threads.close()
        self._runtime.close()

    async def astart(self) -> None:
        """Do the same as ``start``, without blocking the event loop."""
        import asyncio

        await asyncio.to_thread(self.start)

    async def aclose(self) -> None:
        """Do the same as ``close``, without blocking the event loop."""
        import asyncio

        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None, /
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None, /) -> None:
        self.close()

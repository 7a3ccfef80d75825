"""NotifyFlow: where everything is put together, and what users call.

It passes on what each use case led to, and decides nothing itself.
"""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import structlog

from notifyflow.app import forks  # noqa: F401 - renews in forked children what they would find locked
from notifyflow.app.api import Api
from notifyflow.app.clock_and_ids import DatabaseClock, RandomIds
from notifyflow.app.configuration import read, read_way_out
from notifyflow.app.dependencies import make_dependencies
from notifyflow.app.environment import claim_environment
from notifyflow.app.incoming import Incoming
from notifyflow.app.integrations import Integrations
from notifyflow.app.maintenance import Upkeep
from notifyflow.app.strangers import Strangers
from notifyflow.app.submissions import ANSWERS_WITHIN_S, admit
from notifyflow.channels import pinning
from notifyflow.channels.base import Channel
from notifyflow.channels.registry import load
from notifyflow.channels.sns_messages import SnsReceiver
from notifyflow.channels.sqs import FeedbackQueue
from notifyflow.core import links
from notifyflow.core.intake.requests import Submission
from notifyflow.core.model import Incident, Notified, Recipient, Stopped
from notifyflow.core.policy import Policy
from notifyflow.core.ports import Bell, Clock, Ids
from notifyflow.core.references import ByKey
from notifyflow.core.views import IncidentStatus
from notifyflow.engine.broker import BrokerBell, Doorbell, make_broker
from notifyflow.engine.engine import EmbeddedEngine, EngineMiddleware
from notifyflow.engine.recall import Recaller
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import NotFound, StorageUnavailable
from notifyflow.pipeline.acknowledge import acknowledge
from notifyflow.pipeline.notify import store_admitted
from notifyflow.pipeline.page_again import page_again
from notifyflow.pipeline.ports import NOTHING, Consequences, Dependencies
from notifyflow.pipeline.resolve import resolve
from notifyflow.settings import Settings
from notifyflow.storage.store import Store

if TYPE_CHECKING:
    from fastapi import FastAPI

_log = structlog.get_logger("notifyflow.app")

_LOOK_EVERY_S = 0.05
_SPARE_CONNECTIONS = 4


class NotifyFlow(Upkeep):
    """Takes incidents and does not let go until everybody is told; threads may share it, also across a fork.

    It opens nothing before it is used. On ``memory://`` the first ``notify()`` starts to deliver, inside this process.

    Args:
        settings: What is set.
        clock: The one owner of time; the system's, kept to the database's, where None.
        ids: The one owner of randomness.
        store: The database.
        bell: Rings for what is due; with one of your own nothing is delivered from here.
        channels: Name to channel; those that are installed where None.

    Attributes:
        warnings: What is missing or wrong and stops nothing: providers, operations recipients, trusted endpoints.

    Raises:
        InvalidSettings: When the settings, the policies or the operations recipients do not allow a start.
    """

    _lock: threading.RLock
    _engine: EmbeddedEngine | None
    _reporter: Reporter | None
    _own_bell: BrokerBell | None

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        store: Store | None = None,
        bell: Bell | None = None,
        channels: Mapping[str, Channel] | None = None,
    ) -> None:
        self._settings = settings
        self._store = store or Store(
            settings.database_url.get_secret_value(), pool_size=settings.concurrent_sends + _SPARE_CONNECTIONS
        )
        self._is_store_given = store is not None
        self._are_channels_given = channels is not None
        self._channels = load(settings) if channels is None else channels
        self._policies, operations, self.warnings = read(settings, self._channels)
        clock = clock or DatabaseClock(self._store)
        self._deps = make_dependencies(
            settings,
            self._store,
            clock,
            ids or RandomIds(clock),
            channels=self._channels,
            delivery=read_way_out(settings, self._channels),
            operations=operations,
            operations_policy=self._policies["operations"],
        )
        self._bell = bell
        self._is_prepared = False
        self._begin()
        _FLOWS.add(self)

    @classmethod
    def from_env(cls) -> Self:
        """Put it together from ``NOTIFYFLOW_*``."""
        return cls(Settings())

    @property
    def is_embedded(self) -> bool:
        """Whether this process delivers by itself."""
        return self._bell is None and self._settings.is_embedded

    def notify(
        self, incident: Incident, recipients: Sequence[Recipient], *, policy: str | Policy = "default", strict: bool = False
    ) -> Notified:
        """Store an incident; when this returns, it is stored and will be delivered, whatever happens to this process.

        Args:
            incident: What happened.
            recipients: Who has to be told.
            policy: How, by name or as a value.
            strict: Whether a fault of one recipient refuses the whole.

        Returns:
            What it led to, with the faults of single recipients.

        Raises:
            InvalidIncident: When it is of bad form, or nobody in it can be reached; nothing is stored.
            InvalidPolicy: When nothing is wrong but that there is no such policy, or that it contradicts itself.
            StorageUnavailable: When the database does not answer within 5 s, which connecting, the check of the schema and all
                statements share.
        """
        return self.submit(Submission(incident=incident, recipients=tuple(recipients), policy=policy, strict=strict))

    def submit(self, submission: Submission) -> Notified:
        """Store the incident of a document, as ``notify`` does, or refuse it with every fault of both."""
        with self._store.within(ANSWERS_WITHIN_S):
            admitted, policy = admit(self._deps, submission, self._policies)
            accepted = store_admitted(self._ready(), admitted, policy=policy)
        if self.is_embedded:
            self.start()
        self._report(accepted.consequences)
        return accepted.value

    def wait(self, key: str, *, namespace: str | None = None, timeout_s: float | None = None) -> bool:
        """Wait until nothing more happens by itself for the incident of a key: the unresolved one, or else the newest.

        Args:
            key: The incident's; or its id.
            namespace: The incident's; None looks in all, empty is where ``notify`` opens.
            timeout_s: How long to wait at most; None for as long as it takes.

        Returns:
            Whether it is settled.

        Raises:
            NotFound: When no incident has the key.
            AmbiguousKey: When several namespaces have an unresolved incident of the key.
        """
        if self.is_embedded:
            self.start()
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._is_settled(key, namespace):
            left_s = _LOOK_EVERY_S if until is None else until - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(left_s, _LOOK_EVERY_S))
        return True

    def status(self, key: str, *, namespace: str | None = None) -> IncidentStatus | None:
        """Tell all that became of the incident of a key: the unresolved one, or else the newest; None where no incident has it.

        Raises:
            AmbiguousKey: When several namespaces have an unresolved incident of the key, and ``namespace`` says none.
        """
        self._ready()
        return self._store.read(lambda reads: reads.status(key, namespace=namespace))

    def acknowledge(self, key: str, *, by: str, via: str = "library", namespace: str | None = None) -> Stopped:
        """Acknowledge an incident: what is still queued for it is cancelled.

        Args:
            key: The incident's; or its id.
            by: Who acknowledges it: a recipient's id, or any other name.
            via: On which way.
            namespace: The incident's; None looks in all.

        Returns:
            What that cancelled, and what had left already; it is false if it was acknowledged already.

        Raises:
            NotFound: When no incident has the key.
            AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
        """
        done = acknowledge(self._ready(), ByKey(key, namespace), by=by, via=via)
        self._report(done.consequences)
        return done.value

    def resolve(self, key: str, *, by: str, via: str = "library", namespace: str | None = None) -> Stopped:
        """End an incident, named as for ``acknowledge``; the same key opens a new one.

        Returns:
            What that cancelled, and what had left already; it is false when it was resolved already.

        Raises:
            NotFound: When no incident has the key.
            AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
        """
        done = resolve(self._ready(), ByKey(key, namespace), by=by, via=via)
        self._report(done.consequences)
        return done.value

    def page_again(self, key: str, recipient_id: str, *, by: str, via: str = "library", namespace: str | None = None) -> None:
        """Start a new round for one recipient of an incident, named as for ``acknowledge``; also after an acknowledgement.

        Raises:
            NotFound: When no incident has the key.
            AmbiguousKey: When several namespaces have an unresolved incident of the key; nothing is done.
            RecipientNotFound: When it has no such recipient.
            IncidentResolved: When it is resolved.
        """
        self._report(page_again(self._ready(), ByKey(key, namespace), recipient_id, by=by, via=via).consequences)

    def asgi(self) -> "FastAPI":
        """Make the web application: callbacks, acknowledgement links, API."""
        from notifyflow.web.application import build
        from notifyflow.web.services import Services

        deps = self._ready()
        integrations = Integrations(deps, self._policies, self._settings.directory, self._report)
        incoming = Incoming(deps, self._report, integrations.on_routes)
        strangers = Strangers(integrations.addresses, deps.clock, a_minute=self._settings.unknown_addresses_a_minute)
        services = Services(
            channels=self._channels,
            sns=SnsReceiver.from_settings(self._settings, self._deps.clock),
            receive=incoming.receive,
            handle_reply=incoming.handle_reply,
            check_link=lambda token: links.check(deps.secret_keys, token, deps.clock.now()),
            status=lambda incident_id: self._store.read(lambda reads: reads.status_by_id(incident_id)),
            acknowledge=incoming.acknowledge,
            admit=self.access().admit,
            handle_inbound=integrations.handle,
            new_id=deps.ids.new,
            api=Api(self._store, deps, self._policies, self._report, strangers),
            most_recipients=self._settings.incident_recipients,
            notice=deps.notice,
            word=incoming.word,
        )
        return build(services)

    def start(self) -> None:
        """Start to deliver inside this process, once; it picks up what an earlier process left.

        Raises:
            InvalidSettings: When requests do not go to the address that was checked, with the version of the library in use.
        """
        deps = self._ready()
        with self._lock:
            if self._engine is not None:
                return
            pinning.prove()
            self._say_warnings()
            self._engine = EmbeddedEngine(
                deps,
                self._channels,
                send_budget=timedelta(seconds=self._settings.send_budget_s),
                places=self._settings.concurrent_sends,
                heartbeat=self._make_heartbeat(),
                queue=FeedbackQueue.from_settings(self._settings),
            )
            self._engine.start()
            atexit.register(self.close)

    def make_worker(self) -> Doorbell:
        """Make the broker that ``dramatiq notifyflow.worker`` runs, with the actors and the sweeper on it.

        Raises:
            InvalidSettings: On ``memory://``, whose rings no other process hears; where requests cannot be pinned.
            SchemaMismatch: When the database is not of this version.
        """
        pinning.prove()
        broker = make_broker(self._settings.broker_url.get_secret_value())
        deps = self._ready()
        self._say_warnings()
        engine = EngineMiddleware(
            broker,
            deps,
            self._channels,
            send_budget=timedelta(seconds=self._settings.send_budget_s),
            places=self._settings.concurrent_sends,
            bell=self._bell,
            heartbeat=self._make_heartbeat(),
            queue=FeedbackQueue.from_settings(self._settings),
        )
        broker.add_middleware(engine)
        return broker

    def close(self) -> None:
        """Leave: give what is due up to ``drain_s``, record what runs, say what is left for the next start."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            atexit.unregister(self.close)
            try:
                self._drain()
            finally:  # also when somebody does not want to wait
                engine.stop()
            self._say_what_is_left()
        if self._reporter is not None:
            self._reporter.finish()
        if self._own_bell is not None:
            self._own_bell.close()
        if not self._are_channels_given:
            for channel in self._channels.values():
                channel.close()
        if not self._is_store_given:
            self._store.close()
        _FLOWS.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None, /) -> None:
        self.close()

    def _begin(self) -> None:
        """Begin in a process: anew in a forked child, since threads, locks and connections stay with the parent."""
        self._lock = threading.RLock()
        self._engine = None
        self._reporter = None
        self._own_bell = None

    def _begin_anew(self) -> None:
        self._begin()
        if not self._are_channels_given:
            self._channels = load(self._settings)

    def _ready(self) -> Dependencies:
        """Make sure that the database is ours and has our schema: an embedded file is upgraded, a server's is only checked."""
        if self._is_prepared:
            return self._deps
        if not self._lock.acquire(timeout=self._store.left_s):
            raise StorageUnavailable(ANSWERS_WITHIN_S, "another thread still waits for it")
        try:
            if not self._is_prepared:
                self._prepare()
                claim_environment(self._store, self._settings.environment, self._deps.clock.now())
                self._is_prepared = True
        finally:
            self._lock.release()
        return self._deps

    def _prepare(self) -> Dependencies:
        if self._store.is_embedded:
            self._store.upgrade()
        else:
            self._store.check_schema()
        return self._deps

    def _is_settled(self, key: str, namespace: str | None) -> bool:
        self._ready()
        is_settled = self._store.read(lambda reads: reads.is_settled(key, namespace=namespace))
        if is_settled is None:
            raise NotFound(key, namespace)
        return is_settled

    def _report(self, consequences: Consequences) -> None:
        """Log and ring; where nobody listens yet, start to."""
        if consequences == NOTHING:
            return
        if self.is_embedded:
            self.start()
        with self._lock:
            reporter = self._engine.reporter if self._engine else self._reporter
            if reporter is None:
                recaller = Recaller(self._channels, self._deps.delivery)
                reporter = self._reporter = Reporter(self._bell or self._make_bell(), self._store, recaller)
        reporter.report(consequences)

    def _make_bell(self) -> Bell:
        self._own_bell = BrokerBell(make_broker(self._settings.broker_url.get_secret_value()))
        return self._own_bell

    def _drain(self) -> None:
        until = time.monotonic() + self._settings.drain_s
        horizon = self._deps.clock.now() + timedelta(seconds=self._settings.drain_s)
        try:
            while time.monotonic() < until and self._store.read(lambda reads: reads.pending_count(due_by=horizon)):
                time.sleep(_LOOK_EVERY_S)
        except StorageUnavailable:
            return

    def _say_what_is_left(self) -> None:
        try:
            left = self._store.read(lambda reads: reads.pending_count())
        except StorageUnavailable:
            return
        if left:
            _log.warning("app.left_for_next_start", notifications=left)

    def _say_warnings(self) -> None:
        if self.warnings:
            _log.warning("app.settings_incomplete", where=[fault.where for fault in self.warnings], see="notifyflow config check")
        if exposed := self._store.exposed:
            file, mode = exposed
            _log.warning("app.database_file_exposed", file=file, mode=f"{mode:04o}", remedy=f"chmod 600 {file}")


_FLOWS: "weakref.WeakSet[NotifyFlow]" = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: [*map(NotifyFlow._begin_anew, list(_FLOWS))])

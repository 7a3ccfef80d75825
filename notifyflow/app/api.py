"""Behind the API: what its routes ask for, and whether this process and what it needs are well."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from notifyflow.app.strangers import Strangers
from notifyflow.app.submissions import ANSWERS_WITHIN_S, admit
from notifyflow.core.intake.requests import Submission
from notifyflow.core.model import Notified, Stopped
from notifyflow.core.outage import STANDSTILL
from notifyflow.core.policy import Policy
from notifyflow.core.references import ById
from notifyflow.core.views import IncidentFilter, IncidentSummary, KnownRecipient
from notifyflow.errors import NAMED, Fault, SchemaMismatch, StorageError, UnreleasedSchema
from notifyflow.pipeline.acknowledge import acknowledge
from notifyflow.pipeline.idempotency import Once
from notifyflow.pipeline.notify import store_admitted
from notifyflow.pipeline.page_again import page_again
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.resolve import resolve
from notifyflow.storage.store import Store

_VIA = "api"
_OF_LATE = timedelta(days=30)


class Api:
    """What the routes of the API call.

    Args:
        store: The database.
        deps: The dependencies of the use cases.
        policies: By name.
        report: Logs and rings for what a use case led to.
        strangers: Bounds how many unknown addresses may come.
    """

    def __init__(
        self,
        store: Store,
        deps: Dependencies,
        policies: Mapping[str, Policy],
        report: Callable[[Consequences], None],
        strangers: Strangers,
    ) -> None:
        self._store = store
        self._deps = deps
        self._policies = policies
        self._report = report
        self._strangers = strangers

    def submit(self, submission: Submission, once: Once | None, namespace: str) -> Notified:
        """Store an incident in a namespace, or refuse it with all its faults.

        Raises:
            InvalidIncident: When it is of bad form, or nobody in it can be reached; with all that is wrong.
            InvalidPolicy: When nothing is wrong but that there is no such policy.
            TooManyAddresses: When it brings too many that the directory does not know.
            IdempotencyMismatch: When another request came under its idempotency key.
            StorageUnavailable: When the database does not answer within 5 s, all statements included.
        """
        with self._store.within(ANSWERS_WITHIN_S):
            admitted, policy = admit(self._deps, submission, self._policies, most_faults=NAMED)
            self._strangers.admit(namespace, admitted.contacts)
            accepted = store_admitted(self._deps, admitted, policy=policy, namespace=namespace, once=once)
        self._report(accepted.consequences)
        return accepted.value

    def incidents(self, wanted: IncidentFilter, *, before_id: str | None, limit: int) -> tuple[IncidentSummary, ...]:
        """List incidents, the newest first."""
        return self._store.read(lambda reads: reads.incident_page(wanted, before_id=before_id, limit=limit))

    def acknowledge(self, incident_id: str, by: str) -> Stopped:
        """Acknowledge an incident that is known to exist; return what that stopped."""
        done = acknowledge(self._deps, ById(incident_id), by=by, via=_VIA)
        self._report(done.consequences)
        return done.value

    def resolve(self, incident_id: str, by: str) -> Stopped:
        """End an incident that is known to exist; tell what that stopped."""
        done = resolve(self._deps, ById(incident_id), by=by, via=_VIA)
        self._report(done.consequences)
        return done.value

    def page_again(self, incident_id: str, recipient_id: str, by: str) -> None:
        """Start a new round for one recipient of an incident that is known to exist.

        Raises:
            RecipientNotFound: When it has no such recipient.
            IncidentResolved: When it is resolved.
        """
        self._report(page_again(self._deps, ById(incident_id), recipient_id, by=by, via=_VIA).consequences)

    def recipients(self, namespaces: frozenset[str] | None, *, after_id: str, limit: int) -> tuple[KnownRecipient, ...]:
        """List everybody who was ever a recipient in some namespaces, or in any where it is None, by id."""
        since = self._since()
        return self._store.read(
            lambda reads: reads.recipient_page(after_id=after_id, limit=limit, since=since, namespaces=namespaces)
        )

    def recipient(self, recipient_id: str, namespaces: frozenset[str] | None) -> KnownRecipient | None:
        """Show one recipient as some namespaces, or any where it is None, know them; None where nobody has the id there."""
        since = self._since()
        return self._store.read(lambda reads: reads.recipient(recipient_id, since=since, namespaces=namespaces))

    def find_what_is_wrong(self) -> tuple[Fault, ...]:
        """Find what keeps notifyflow from delivering: the database, its schema, no sweeper; and quarantined incidents."""
        try:
            self._store.check_schema()
            swept_at, quarantined = self._store.run(lambda ledger: (ledger.swept_at(), ledger.quarantined_count()))
        except SchemaMismatch as error:
            return (Fault("schema", f"it is {error.found}, {error.wanted} is wanted", "Run `notifyflow db upgrade`"),)
        except UnreleasedSchema:
            return (Fault("schema", "an unreleased version of notifyflow made it", "Start with an empty database"),)
        except StorageError:
            return (Fault("database", "it does not answer as it should", "Look at NOTIFYFLOW_DATABASE_URL and the server"),)
        faults = []
        if swept_at is None or self._deps.clock.now() - swept_at > STANDSTILL:
            what = f"nobody has swept for more than {STANDSTILL.seconds} s"
            faults.append(Fault("sweeping", what, "Start a worker, or `notifyflow up`, and look at its log"))
        if quarantined:
            incidents = "incident is" if quarantined == 1 else "incidents are"
            what = f"{quarantined} unfinished {incidents} quarantined since the database was adopted"
            faults.append(Fault("quarantine", what, "Run `notifyflow db adopt --release`, or `--resolve`"))
        return tuple(faults)

    def _since(self) -> datetime:
        return self._deps.clock.now() - _OF_LATE

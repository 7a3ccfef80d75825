"""The errors that notifyflow raises, as one tree.

This module imports none of ours, so that every other one may import it. An error carries its facts as attributes; its text is
made of them and never holds an address, a token or a message.
"""

from collections.abc import Iterable
from dataclasses import dataclass

NAMED = 20
"""How many faults are named at most; the others are counted, for a document may have as many as it has bytes."""


class NotifyflowError(Exception):
    """Raised when notifyflow cannot do what it was asked; the root of all its errors."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with what somebody gave us: where it stands, what is wrong, what to do.

    Attributes:
        where: The field, as a path: ``recipients[2].phone``.
        what: What is wrong with it, as a sentence without its full stop.
        remedy: What to do about it, as a sentence without its full stop.
        count: How many faults it stands for; more than 1 where it only counts them.
    """

    where: str
    what: str
    remedy: str
    count: int = 1

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.remedy}."


def named(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Name the first faults, and count the others."""
    told: list[Fault] = []
    more = 0
    for fault in faults:
        if len(told) < NAMED:
            told.append(fault)
        else:
            more += fault.count
    return (*told, count_more(more)) if more else tuple(told)


def count_more(count: int) -> Fault:
    """Say how many more faults there are than are named."""
    what = "1 more thing is wrong" if count == 1 else f"{count:,} more things are wrong"
    return Fault("document", what, "Correct what is named, and try again", count)


class InvalidInput(NotifyflowError):
    """Raised when what was given is of bad form; nothing was stored.

    Attributes:
        faults: What is wrong, in the order of the input; never empty. Of a document that others send, the first 20 are named
            and the last one counts the others.
        count: How many faults there are.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
        self.count = sum(fault.count for fault in self.faults)


class InvalidIncident(InvalidInput):
    """Raised when an incident, its recipients or an incident file cannot be accepted."""


class UnreadableIncident(InvalidIncident):
    """Raised when what should hold an incident cannot even be parsed."""


class InvalidRequest(InvalidInput):
    """Raised when the API is asked for something in a form that it does not have."""


class InvalidNamespace(InvalidInput):
    """Raised when an API key cannot have the namespace that was asked for; no key was made."""


class InvalidAge(InvalidInput):
    """Raised when what is to be pruned is too young to be, or its age cannot be read."""


class InvalidPolicy(InvalidInput):
    """Raised when a policy contradicts itself or uses words that policies do not have."""


class InvalidDirectory(InvalidInput):
    """Raised when a directory file cannot be used: it is no TOML, or names what there is not."""


class InvalidSettings(InvalidInput):
    """Raised when the settings do not allow a start."""


class InvalidPause(InvalidInput):
    """Raised when nothing that there is would be paused, for no time or too long, or by nobody."""


class InvalidScript(InvalidInput):
    """Raised when a sandbox script uses words that the script language does not have."""


def _namespace(name: str) -> str:
    return f"the namespace {name!r}" if name else "the empty namespace"


class NotFound(NotifyflowError):
    """Raised when no incident has the key, or the id.

    Attributes:
        key: The key, or the id, that was asked for.
        namespace: The namespace that was asked for; None where all were.
    """

    def __init__(self, key: str, namespace: str | None = None) -> None:
        where = "" if namespace is None else f" in {_namespace(namespace)}"
        super().__init__(
            f"no incident has the key or id {key!r}{where}. Look at the key again: notifyflow keeps it as it was given."
        )
        self.key = key
        self.namespace = namespace


class AmbiguousKey(NotifyflowError):
    """Raised when unresolved incidents of several namespaces are meant; nothing was done.

    Attributes:
        key: The key, or the id, that was asked for.
        incidents: The namespace and the id of each.
    """

    def __init__(self, key: str, incidents: "tuple[tuple[str, str], ...]") -> None:
        listed = "; ".join(f"{incident_id} in {_namespace(namespace)}" for namespace, incident_id in incidents)
        super().__init__(
            f"{len(incidents)} unresolved incidents are called {key!r}, and nothing was done: {listed}. "
            "Name one by its id, or its namespace: --namespace NAME on the command line, namespace=NAME in the library."
        )
        self.key = key
        self.incidents = incidents


class RecipientNotFound(NotifyflowError):
    """Raised when the incident has no such recipient.

    Attributes:
        key: The incident's key.
        recipient_id: The recipient that was asked for.
    """

    def __init__(self, key: str, recipient_id: str) -> None:
        super().__init__(f"the incident {key!r} has no recipient {recipient_id!r}. `notifyflow status {key}` lists those it has.")
        self.key = key
        self.recipient_id = recipient_id


class RecipientInUse(NotifyflowError):
    """Raised when somebody is to be forgotten whom an incident still pages; nothing was overwritten.

    Attributes:
        recipient_id: Who.
        incidents: The namespace and the key of each incident.
    """

    def __init__(self, recipient_id: str, incidents: "tuple[tuple[str, str], ...]") -> None:
        listed = ", ".join(f"{key!r} in {_namespace(namespace)}" if namespace else repr(key) for namespace, key in incidents)
        super().__init__(f"{recipient_id!r} is still paged for {listed}. Resolve that first.")
        self.recipient_id = recipient_id
        self.incidents = incidents


class IncidentResolved(NotifyflowError):
    """Raised when somebody is to be paged again for an incident that is resolved.

    Attributes:
        key: The incident's key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"the incident {key!r} is resolved and pages nobody. Notify again under its key to open a new one.")
        self.key = key


class IllegalMove(NotifyflowError):
    """Raised when a state machine is asked for a move that its table does not have; a bug of ours.

    Attributes:
        machine: ``notification``, ``escalation`` or ``incident``.
        state: The state it was in.
        event: The event that has no place there.
    """

    def __init__(self, machine: str, state: str, event: str) -> None:
        super().__init__(
            f"the {machine} machine has no move for {event!r} in {state}. This is a bug in notifyflow; please report it."
        )
        self.machine = machine
        self.state = state
        self.event = event


class StorageError(NotifyflowError):
    """Raised when the database cannot be used as it should."""


class StorageUnavailable(StorageError):
    """Raised when the database does not answer in time; what was asked for may be asked for again.

    Attributes:
        waited_s: How long it was tried, in seconds.
        reason: What was in the way; holds nothing personal. Empty where nobody knows.
    """

    def __init__(self, waited_s: float, reason: str = "", *, file: str = "", remedy: str = "") -> None:
        because = f" ({reason})" if reason else ""
        what = f"the database file {file} could not be used" if file else "the database did not answer"
        remedy = remedy or "Look at NOTIFYFLOW_DATABASE_URL and the server"
        super().__init__(f"{what} within {waited_s:g} s{because}. {remedy}.")
        self.waited_s = waited_s
        self.reason = reason


class CommitUnknown(StorageUnavailable):
    """Raised when the answer to a commit did not come: nobody knows whether it was done.

    Attributes:
        result: What the use case returned; it stands if the commit was done.
    """

    def __init__(self, waited_s: float, result: object) -> None:
        super().__init__(waited_s, "the connection broke during the commit, which may have been done")
        self.result = result


class SchemaMismatch(StorageError):
    """Raised when the database's schema is too old or too new for this code; it was not touched.

    Attributes:
        found: The schema version the database has; 0 where it has none.
        wanted: The schema version this code was written for.
        oldest: The oldest schema version whose code may still use this database.
    """

    def __init__(self, found: int, wanted: int, oldest: int, remedy: str) -> None:
        super().__init__(f"the database has schema {found}, this notifyflow wants {wanted}. {remedy}")
        self.found = found
        self.wanted = wanted
        self.oldest = oldest


class WrongEnvironment(StorageError):
    """Raised when the database belongs to another environment than this process; nothing was read or sent.

    Attributes:
        found: The environment the database belongs to; None where it has no name.
        ours: The environment of this process; None where it has no name.
    """

    def __init__(self, found: str | None, ours: str | None) -> None:
        super().__init__(
            f"the database belongs to the environment {found or '(none)'}, and NOTIFYFLOW_ENVIRONMENT says {ours or '(none)'}. "
            "If it is a copy that is yours now, `notifyflow db adopt` takes it over and holds what is unfinished in it."
        )
        self.found = found
        self.ours = ours


class DatabaseInUse(StorageError):
    """Raised when a database is to be adopted that somebody works on, so that it is hardly a copy; nothing was held.

    Attributes:
        unfinished: How many incidents would be held.
        swept_s: How many seconds ago somebody swept it last.
    """

    def __init__(self, unfinished: int, swept_s: int) -> None:
        what = f"{unfinished} unfinished {'incident' if unfinished == 1 else 'incidents'}"
        super().__init__(
            f"somebody delivers from this database: it was swept {swept_s} s ago. Nothing was held. Adopting it stops every page "
            f"of {what}. If it is a copy, stop what runs on it and wait a minute, or give --force."
        )
        self.unfinished = unfinished
        self.swept_s = swept_s


class NotConfirmed(NotifyflowError):
    """Raised when something that needs a word of consent was asked for where nobody can be asked; nothing was done."""


class StaleRow(StorageError):
    """Raised when a guarded update matched no row: somebody else moved it first; the use case is repeated.

    Attributes:
        table: The row's table.
        row_id: The row's id.
    """

    def __init__(self, table: str, row_id: str) -> None:
        super().__init__(f"{table} {row_id} was moved by somebody else")
        self.table = table
        self.row_id = row_id


class Fenced(NotifyflowError):
    """Raised when an attempt is recorded by somebody who no longer holds its lease.

    Attributes:
        attempt_id: The attempt.
    """

    def __init__(self, attempt_id: str) -> None:
        super().__init__(f"the lease of attempt {attempt_id} was taken back; what became of it stands recorded as a doubt")
        self.attempt_id = attempt_id


class BrokerUnavailable(NotifyflowError):
    """Raised when the broker cannot be rung; what was stored is stored, and the sweeper rings later."""


class ProgramMissing(NotifyflowError):
    """Raised when a program that is needed is not installed.

    Attributes:
        program: Its name.
    """

    def __init__(self, program: str, remedy: str) -> None:
        super().__init__(f"the program {program!r} is not installed. {remedy}.")
        self.program = program


class PortTaken(NotifyflowError):
    """Raised when a server cannot listen where it was told to.

    Attributes:
        port: The port.
    """

    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"nothing can listen on port {port}: {reason}. Use another with --port; 0 takes a free one.")
        self.port = port


class ProviderError(NotifyflowError):
    """Raised when a provider did not accept an attempt.

    Attributes:
        code: The provider's own code or HTTP status, as text; empty where it gave none.
        reason: What it means, from our table; holds nothing personal.
        is_ill: Whether it tells that the provider itself is ill, whatever becomes of the message.
    """

    is_ill = False

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(f"{reason} ({code})" if code else reason)
        self.code = code
        self.reason = reason


class TemporaryProviderError(ProviderError):
    """Raised when the provider said no for now, or could not be reached at all.

    Attributes:
        retry_after_s: When it asks to be tried again, in seconds; None where it did not say.
        is_throttled: Whether it says no because we ask too often.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: str = "",
        retry_after_s: float | None = None,
        is_ill: bool = False,
        is_throttled: bool = False,
    ) -> None:
        super().__init__(reason, code=code)
        self.retry_after_s = retry_after_s
        self.is_ill = is_ill
        self.is_throttled = is_throttled


class PermanentProviderError(ProviderError):
    """Raised when the provider will never carry this to this address."""


class RefusedUsError(ProviderError):
    """Raised when the provider refuses *us*: credentials, billing, an unknown sender.

    Attributes:
        is_general: Whether it would refuse every message of ours; False where that may depend on the recipient.
    """

    def __init__(self, reason: str, *, code: str = "", is_general: bool = True) -> None:
        super().__init__(reason, code=code)
        self.is_general = is_general


class UnknownOutcomeError(ProviderError):
    """Raised when nobody can say whether the provider accepted: the request left, no answer came back."""

    is_ill = True


class RejectedCallback(NotifyflowError):
    """Raised when a request that claims to come from a provider does not carry that provider's signature.

    Attributes:
        provider: Whom it claims to come from.
    """

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"a callback in the name of {provider} was rejected: {reason}")
        self.provider = provider


class InvalidLink(NotifyflowError):
    """Raised when an acknowledgement link was not signed by us, was changed, or has expired.

    Attributes:
        is_expired: Whether it was ours, and is too old.
    """

    def __init__(self, *, is_expired: bool) -> None:
        super().__init__("the link has expired" if is_expired else "the link is not one of ours")
        self.is_expired = is_expired


class AccessDenied(NotifyflowError):
    """Raised when a request to the API is not let in."""


class InvalidApiKey(AccessDenied):
    """Raised when an API key is missing, wrong, revoked or expired.

    Attributes:
        why: What is wrong with it: ``has expired``.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"the API key {why}")
        self.why = why


class MissingScope(AccessDenied):
    """Raised when an API key is good, and not for this.

    Attributes:
        scope: What it would have to be good for.
    """

    def __init__(self, scope: str) -> None:
        super().__init__(f"the API key lacks the scope {scope}")
        self.scope = scope


class TooManyRequests(AccessDenied):
    """Raised when an API key is used more often than its limit allows.

    Attributes:
        retry_after_s: How long to wait, in whole seconds; at least 1.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests with this API key; the next one is taken in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class TooManyAddresses(NotifyflowError):
    """Raised when a request brings more addresses that the directory does not know than may come now; nothing was stored.

    Attributes:
        count: How many the request brings.
        a_minute: How many may come in a minute.
        retry_after_s: How long to wait, in whole seconds; at least 1.
    """

    def __init__(self, count: int, a_minute: int, retry_after_s: int) -> None:
        when = f"wait {retry_after_s} s" if count <= a_minute else "send fewer at once"
        super().__init__(
            f"the request brings {count} addresses that the directory does not know, and {a_minute} may come in a minute "
            f"(NOTIFYFLOW_UNKNOWN_ADDRESSES_A_MINUTE); {when}, or put the recipients into the directory"
        )
        self.count = count
        self.a_minute = a_minute
        self.retry_after_s = retry_after_s


class ApiKeyNotFound(NotifyflowError):
    """Raised when there is no such API key.

    Attributes:
        key_id: The id that was asked for.
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no API key {key_id!r}. `notifyflow keys list` shows those there are.")
        self.key_id = key_id


class ApiKeyRevoked(NotifyflowError):
    """Raised when an API key is to be rotated that was revoked; nothing was done.

    Attributes:
        key_id: Its id.
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the API key {key_id!r} was revoked. Make a new one with `notifyflow keys create`.")
        self.key_id = key_id


class IdempotencyMismatch(NotifyflowError):
    """Raised when an idempotency key comes again with another request; nothing was done."""

    def __init__(self) -> None:
        super().__init__("the idempotency key was used before, with another request. Make a new key for each request.")

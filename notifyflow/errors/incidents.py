"""Errors about incidents, recipients and notifications."""

from notifyflow.errors.root import NotifyflowError


def _namespace(name: str) -> str:
    return f"the namespace {name!r}" if name else "the empty namespace"


class NotFound(NotifyflowError):
    """Raised when no incident has the key, or the id.

    Attributes:
        key: The requested key or id.
        namespace: The requested namespace; None if all were searched.
        similar: A key that may have been meant; None if unknown.
    """

    def __init__(self, key: str, namespace: str | None = None, *, similar: str | None = None) -> None:
        where = "" if namespace is None else f" in {_namespace(namespace)}"
        remedy = f"Did you mean {similar!r}?" if similar else "Look at the key again: notifyflow never changes a key."
        super().__init__(f"no incident has the key or id {key!r}{where}. {remedy}")
        self.key = key
        self.namespace = namespace
        self.similar = similar


class AmbiguousKey(NotifyflowError):
    """Raised when several namespaces have an unresolved incident of the key; nothing was done.

    Attributes:
        key: The requested key.
        incidents: The namespace and the id of each.
    """

    def __init__(self, key: str, incidents: tuple[tuple[str, str], ...]) -> None:
        listed = "; ".join(f"{incident_id} in {_namespace(namespace)}" for namespace, incident_id in incidents)
        super().__init__(
            f"{len(incidents)} unresolved incidents are called {key!r}, and nothing was done: {listed}. "
            "Name one by its id, or its namespace: --namespace NAME on the command line, namespace=NAME in the library."
        )
        self.key = key
        self.incidents = incidents


class RecipientNotFound(NotifyflowError):
    """Raised when the incident has no such recipient."""

    def __init__(self, key: str, recipient_id: str) -> None:
        super().__init__(f"the incident {key!r} has no recipient {recipient_id!r}. `notifyflow status {key}` lists those it has.")
        self.key = key
        self.recipient_id = recipient_id


class RecipientUnknown(NotifyflowError):
    """Raised when a page or a test is for somebody unknown, or who has no address on its channels; nothing was sent."""

    def __init__(self, recipient_id: str) -> None:
        super().__init__(f"nobody called {recipient_id!r} has an address there. Add one to the directory.")
        self.recipient_id = recipient_id


class RecipientInUse(NotifyflowError):
    """Raised when a recipient to be forgotten is still paged by an incident; nothing was overwritten.

    Attributes:
        recipient_id: The recipient.
        incidents: The namespace and the key of each incident.
    """

    def __init__(self, recipient_id: str, incidents: tuple[tuple[str, str], ...]) -> None:
        listed = ", ".join(f"{key!r} in {_namespace(namespace)}" if namespace else repr(key) for namespace, key in incidents)
        super().__init__(f"{recipient_id!r} is still paged for {listed}. Resolve that first.")
        self.recipient_id = recipient_id
        self.incidents = incidents


class IncidentResolved(NotifyflowError):
    """Raised when a recipient is to be paged again for a resolved incident."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the incident {key!r} is resolved and pages nobody. Notify again under its key to open a new one.")
        self.key = key


class IllegalMove(NotifyflowError):
    """Raised when a state machine is asked for a move that its table does not have; a bug in notifyflow.

    Attributes:
        machine: ``notification``, ``escalation`` or ``incident``.
        state: The state it was in.
        event: The event that has no move in that state.
    """

    def __init__(self, machine: str, state: str, event: str) -> None:
        super().__init__(
            f"the {machine} machine has no move for {event!r} in {state}. This is a bug in notifyflow; please report it."
        )
        self.machine = machine
        self.state = state
        self.event = event


class Fenced(NotifyflowError):
    """Raised when an attempt is recorded without its lease.

    Attributes:
        is_gone: Whether its row is gone: the database has lost commits.
    """

    def __init__(self, attempt_id: str, *, is_gone: bool = False) -> None:
        is_over = f"the lease of attempt {attempt_id} has expired; its result is recorded as in doubt"
        super().__init__(f"attempt {attempt_id} has no row any more" if is_gone else is_over)
        self.attempt_id = attempt_id
        self.is_gone = is_gone


class IdempotencyMismatch(NotifyflowError):
    """Raised when an idempotency key is used again for another request; nothing was done."""

    def __init__(self) -> None:
        super().__init__("the idempotency key was used before, with another request. Make a new key for each request.")


class NotConfirmed(NotifyflowError):
    """Raised when an action needs confirmation and there is no terminal to ask on; nothing was done."""


class HeartbeatNotFound(NotifyflowError):
    """Raised when the directory declares no such heartbeat."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the directory declares no heartbeat {name}")
        self.name = name


class OverrideNotFound(NotifyflowError):
    """Raised when there is no override of an id, or it was cancelled, or it has ended."""

    def __init__(self, override_id: str) -> None:
        super().__init__(f"no override {override_id!r} is in force or to come. `notifyflow oncall show` lists them.")
        self.override_id = override_id


class SilenceNotFound(NotifyflowError):
    """Raised when there is no such silence, or none that the caller may see."""

    def __init__(self, silence_id: str) -> None:
        super().__init__(f"there is no silence {silence_id!r}. `notifyflow silence list` shows those there are.")
        self.silence_id = silence_id

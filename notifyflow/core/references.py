"""The references to an incident: by its key in a namespace, or by its id."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ByKey:
    """An incident named by its key: the unresolved one, or else the newest.

    Attributes:
        key: The incident's key; its id is accepted as well.
        namespace: The incident's namespace; None looks in all.
    """

    key: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ById:
    """An incident named by its id."""

    incident_id: str


IncidentRef = ByKey | ById

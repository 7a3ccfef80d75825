"""Rehearses the policies with the people of the directory in force, in its own thread, since that takes seconds."""

from collections.abc import Collection, Mapping
from threading import Lock, Thread
from typing import TYPE_CHECKING

from notifyflow.core.delivery.model import Contact
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.intake.policy_validation import hazards
from notifyflow.core.intake.validation import check_recipients
from notifyflow.core.oncall.directory import Directory
from notifyflow.errors import Fault
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.service.oncall.roster import Rosters

if TYPE_CHECKING:
    from notifyflow.core.upkeep.forecast import ChannelModel
    from notifyflow.core.upkeep.rehearsal import RehearsalFinding

_log = get_logger("notifyflow.app")


def rehearsed(
    policies: Mapping[str, Policy],
    people: Collection[Contact],
    operations: Collection[Contact],
    models: "Mapping[str, ChannelModel]",
    calling: frozenset[str],
) -> "tuple[RehearsalFinding, ...]":
    """Return the dangers for each policy, severity and person, and log failed rehearsals."""
    from notifyflow.core.upkeep.rehearsal import Broken, rehearse  # few processes are asked for it

    found = rehearse(policies, people, operations, models, calling)
    for each in found:
        if isinstance(each, Broken):
            _log.error("app.rehearsal_broke", policy=each.policy, error=each.name, place=source_line(each.error))
    return found


class Rehearsals:
    """The findings of the rehearsal; once for each directory.

    Attributes:
        hazards: Why the policies alone may leave a phone silent.
    """

    def __init__(self, rosters: Rosters, deps: Dependencies, policies: Mapping[str, Policy]) -> None:
        self._rosters = rosters
        self._deps = deps
        self._policies = policies
        self.hazards = tuple(fault for policy in policies.values() for fault in hazards(policy))
        self._lock = Lock()
        self._begun: Directory | None = None
        self._known: tuple[Fault, ...] | None = None

    def faults(self, models: "Mapping[str, ChannelModel]") -> tuple[Fault, ...] | None:
        """Return the dangers of a page that wakes nobody, or why they are unknown; None while the rehearsal runs.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        directory = self._rosters.current().directory
        with self._lock:
            if self._begun is not directory:
                self._begun, self._known = directory, None
                Thread(target=self._rehearse, args=(directory, models), name="rehearsal", daemon=True).start()
            return self._known

    def _rehearse(self, directory: Directory, models: "Mapping[str, ChannelModel]") -> None:
        try:
            found = rehearsed(self._policies, self._people(directory), self._deps.operations, models, self._deps.calling)
            faults = tuple(each.fault for each in found)
        except Exception as error:  # noqa: BLE001 - otherwise it would seem to go on for ever
            _log.error("app.rehearsal_broke", error=type(error).__name__, place=source_line(error))
            faults = (Fault("policies", f"the rehearsal broke: {type(error).__name__}", "Find app.rehearsal_broke in the log"),)
        with self._lock:
            if self._begun is directory:
                self._known = faults

    def _people(self, directory: Directory) -> tuple[Contact, ...]:
        recipients = list(directory.recipients.values())
        return tuple(check_recipients(recipients, self._deps.check_address, self._deps.channels)[0])

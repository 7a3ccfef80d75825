"""Rehearses the policies with the people of the roster in force, in a thread of its own, since that takes seconds."""

from collections.abc import Mapping
from threading import Lock, Thread
from typing import TYPE_CHECKING

from notifyflow.core.intake.policy_validation import hazards
from notifyflow.core.intake.validation import admit_recipients
from notifyflow.core.model import Contact
from notifyflow.core.policy import Policy
from notifyflow.core.roster import Roster
from notifyflow.pipeline.ports import Dependencies
from notifyflow.service.roster import Rosters

if TYPE_CHECKING:
    from notifyflow.core.forecast import Carrier
    from notifyflow.core.rehearsal import Weakness


class Rehearsals:
    """The weaknesses that the rehearsal finds; once for each roster.

    Attributes:
        hazards: What may leave a phone silent by the policies alone.
    """

    def __init__(self, rosters: Rosters, deps: Dependencies, policies: Mapping[str, Policy]) -> None:
        self._rosters = rosters
        self._deps = deps
        self._policies = policies
        self.hazards = tuple(fault for policy in policies.values() for fault in hazards(policy))
        self._lock = Lock()
        self._begun: Roster | None = None
        self._known: tuple[Weakness, ...] | None = None

    def weaknesses(self, carriers: "Mapping[str, Carrier]") -> "tuple[Weakness, ...] | None":
        """Return what may let a page wake nobody; None while the roster in force is being rehearsed.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        roster = self._rosters.current()
        with self._lock:
            if self._begun is not roster:
                self._begun, self._known = roster, None
                Thread(target=self._rehearse, args=(roster, carriers), name="rehearsal", daemon=True).start()
            return self._known

    def _rehearse(self, roster: Roster, carriers: "Mapping[str, Carrier]") -> None:
        from notifyflow.core.rehearsal import rehearse  # few processes are asked for it

        found = rehearse(self._policies, self._people(roster), self._deps.operations, carriers, self._deps.calling)
        with self._lock:
            if self._begun is roster:
                self._known = found

    def _people(self, roster: Roster) -> tuple[Contact, ...]:
        recipients = list(roster.directory.recipients.values())
        return tuple(admit_recipients(recipients, self._deps.check_address, self._deps.channels)[0])

"""Foreseeable faults of the duty, by the roster in force; computed once an hour, or when the roster changes."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from notifyflow.core.delivery.model import Contact
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.intake.validation import check_recipients
from notifyflow.core.oncall.reach import carried_to
from notifyflow.core.oncall.roster import Roster
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.service.oncall.roster import Rosters

if TYPE_CHECKING:
    from notifyflow.core.upkeep.duty_warnings import DutyWarning


class DutyWarnings:
    """The warnings about the roster in force; two threads may compute them at once, with the same result."""

    def __init__(self, rosters: Rosters, deps: Dependencies, policies: Mapping[str, Policy]) -> None:
        self._rosters = rosters
        self._deps = deps
        self._policies = policies
        self._known: tuple[Roster, datetime, frozenset[str], tuple[DutyWarning, ...]] | None = None

    def read(self, carried: Collection[str]) -> "tuple[DutyWarning, ...]":
        """Return the foreseeable faults within 30 days; ``carried`` are the channels with a provider.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        from notifyflow.core.upkeep.duty_warnings import duty_warnings  # few processes are asked for it

        roster, now, carried = self._rosters.current(), self._deps.clock.now(), frozenset(carried)
        hour = now.replace(minute=0, second=0, microsecond=0)
        known = self._known
        if known is None or known[0] is not roster or known[1:3] != (hour, carried):
            found = duty_warnings(roster, self._people(roster, carried), self._policies, now=now)
            known = self._known = (roster, hour, carried, found)
        return known[3]

    def _people(self, roster: Roster, carried: frozenset[str]) -> Mapping[str, Contact]:
        recipients = list(roster.directory.recipients.values())
        contacts, _ = check_recipients(recipients, self._deps.check_address, self._deps.channels)
        return {each.recipient_id: carried_to(each, carried) for each in contacts}

"""Channels that recipients of CRITICAL incidents wish for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from notifyflow.core.delivery.model import Kind, Recipient, Severity
from notifyflow.core.insight.views import IncidentStatus
from tests.simulation.database import SimulatedDatabase
from tests.simulation.outside import CHANNELS
from tests.simulation.world import World, require

_WISHING = 0.4
_KEYS = ("wishing", "wishing-not")
_MARGIN = 1.25
_AT_LEAST = timedelta(seconds=5)


class Wishes:
    """Gives recipients wishes, and pages twins of whom one has a wish: it takes nothing away, and delays nothing."""

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._database = database
        self._chance = world.apart("wishes")
        self._is_on = self._chance.random() < _WISHING
        self._by_recipient: dict[str, tuple[str, ...]] = {}

    def given(self, recipient: Recipient) -> Recipient:
        """Return a recipient with their wish, which is the same each time."""
        if not self._is_on:
            return recipient
        if recipient.id not in self._by_recipient:
            self._by_recipient[recipient.id] = tuple(self._chance.sample(CHANNELS, k=self._chance.choice((0, 1, 1, 2, 3))))
        names = self._by_recipient[recipient.id]
        return replace(recipient, channels={Severity.CRITICAL: names}) if names else recipient

    def write_twins(self, people: Callable[..., None], notify: Callable[..., object], chance: Random) -> None:
        """Plan a CRITICAL incident each for somebody with a wish, and for a twin without."""
        ways = [name for name in CHANNELS if chance.random() < 0.7] or ["email"]
        names = tuple(chance.sample(ways, k=chance.randint(1, min(3, len(ways)))))
        for key, wish in zip(_KEYS, ({Severity.CRITICAL: names}, None), strict=True):
            twin = Recipient(id=key, addresses={name: f"{key}@{name}" for name in ways}, channels=wish)
            people(0, partial(notify, key=key), Severity.CRITICAL, [twin])

    def check_twins(self, *, longest: timedelta) -> None:
        """Require that each channel of the twin without a wish was tried for the other one, and no later.

        Args:
            longest: How long a provider takes at most; so much may differ between the two for each attempt before.
        """
        wished, plain = (self._tried(key) for key in _KEYS)
        for channel, after in plain.items():
            came = wished.get(channel)
            require(came is not None, f"12: {channel} is lost to a wish")
            by = max(after * _MARGIN, after + _AT_LEAST) + 4 * longest
            require(came is None or came <= by, f"12: {channel} came {came} after the start with a wish, and {after} without")

    def _tried(self, key: str) -> dict[str, timedelta]:
        """Return how long it took until each channel was paged in the first round of an incident."""
        tried: dict[str, timedelta] = {}
        for (incident_id,) in self._database.look("SELECT id FROM notifyflow_incident WHERE key = ?", key):
            status: IncidentStatus = self._database.status(incident_id)
            first = status.escalations[0]
            for row in sorted(first.notifications, key=lambda each: each.created_at):
                if row.kind is Kind.PAGE:
                    tried.setdefault(row.channel, row.created_at - first.facts.started_at)
        return tried

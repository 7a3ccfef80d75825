"""Rehearses an incident: the real pipeline on a virtual clock, over the sandbox, while some providers fail; nothing leaves.

It plays the channels that the settings configure, each over all of its providers, and gives every recipient addresses of the
sandbox. Nobody acknowledges in it, so that it goes on until each recipient is reached or nothing more comes.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.channels.base import Channel
from notifyflow.channels.meanings import meanings
from notifyflow.core.delivery.chain import OPERATIONS
from notifyflow.core.delivery.model import Contact, Incident, Recipient, Severity, Step
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.text import listed
from notifyflow.core.upkeep.drill import rehearsed
from notifyflow.core.upkeep.drill_document import DrilledDocument
from notifyflow.core.upkeep.storm_document import Answering, StormDocument
from notifyflow.sandbox import Sandbox
from notifyflow.settings import Settings
from notifyflow.testing.clock import START
from notifyflow.testing.driver import Driver

_KEY = "drill"
_KEPT = ("connect_timeout_s", "read_timeout_s", "lease_s", "concurrent_sends")
_OPERATIONS = 50_000
_LONGEST, _LONGEST_NIGHT = timedelta(hours=6), timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A later step of a chain.

    Attributes:
        after: The time after the step before.
        people: Whom it pages; None for the operations recipients.
    """

    after: timedelta
    people: Sequence[Contact] | None


class Rehearsal:
    """Plays incidents as the settings would have them carried, one after the other, each in a world of its own.

    Args:
        settings: The settings that are rehearsed.
        channels: The channels that they make.
        operations: The operations recipients.
        failing: The names of providers and channels that respond with an error to everything.
        script: More faults, in the script language of the sandbox.
        begins_at: When each incident begins; then the quiet hours of its people count. None for a time without quiet hours.
        storm: How many incidents at once are played instead of each one; None for one.
    """

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[str, Channel],
        operations: Sequence[Contact],
        *,
        failing: Collection[str] = (),
        script: str = "",
        begins_at: datetime | None = None,
        storm: int | None = None,
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._operations = operations
        self._failing = failing
        self._script = script
        self._begins_at = begins_at
        self._storm = storm
        self._used: set[str] = set()
        self._playable = Sandbox(has_spares=True).providers
        self._quiet: dict[str, str] = {}

    def warnings(self) -> Iterator[str]:
        """Yield what was not rehearsed so far: the channels without a stand-in, and quiet hours unless a time was given."""
        yield from (
            f"{name} was left out: the sandbox has no stand-in for it" for name in sorted(self._used - self._playable.keys())
        )
        if self._quiet:
            yield f"the quiet hours of {listed(list(self._quiet.values()))} were left out: --at says when the incident begins"

    def run(
        self,
        name: str,
        people: Sequence[Contact],
        policy: Policy,
        severity: Severity,
        then: Sequence[Later] = (),
        *,
        over_after: timedelta | None = None,
    ) -> DrilledDocument:
        """Play one incident until everything has come to rest, operations included.

        Args:
            name: Whom it is for, in words.
            people: The recipients; only their ids, their names and the channels of their addresses count.
            policy: The policy.
            severity: The severity.
            then: The later steps of its chain, with those who are on duty at their times.
            over_after: The time of the last step; None for the default.
        """
        later = [each for step in then for each in step.people or ()]
        self._used.update(name for each in (*people, *later) for name in each.addresses)
        if self._begins_at is None and severity is not Severity.CRITICAL:
            self._quiet |= {each.recipient_id: each.name for each in (*people, *later) if each.quiet}
        completed = self._paged_operations
        start_at = self._begins_at or START
        with Driver(self._variables(), start_at=start_at, has_spares=True, failing=self._failing, completed=completed) as driver:
            driver.sandbox.script(self._script)
            moved = {
                each.recipient_id: self._moved(each, driver.sandbox.addresses(number))
                for number, each in enumerate((*people, *later))
            }
            steps = [Step(to=_named(each, moved), after=each.after) for each in then]
            recipients = [moved[each.recipient_id] for each in people]
            keys = [_KEY] if self._storm is None else [f"{_KEY}-{number}" for number in range(1, self._storm + 1)]
            for number, key in enumerate(keys, start=1):
                title = "A drill" if self._storm is None else f"A rehearsed incident, {number} of {self._storm}"
                incident = Incident(key=key, title=title, severity=severity)
                driver.flow.notify(incident, recipients, policy=policy, then=steps, over_after=over_after if steps else None)
                driver.deliver()
            return self._drilled(name, driver, keys)

    def _drilled(self, name: str, driver: Driver, keys: Sequence[str]) -> DrilledDocument:
        deps = driver.flow.deps
        is_settled = self._settles(driver, keys, deps.calling)
        statuses = [driver.flow.status(key) for key in keys]
        operations_key = next((each.operations_key for each in statuses if each.operations_key), None)
        operations = driver.flow.status(operations_key) if operations_key else None
        answering = Answering(has_public_url=deps.public_url is not None, calling=deps.calling, replying=deps.replying)
        return DrilledDocument.of_incidents(
            name,
            statuses,
            operations,
            calling=deps.calling,
            explain=meanings(driver.flow.channels),
            is_settled=is_settled,
            begins_at=self._begins_at,
            storm=StormDocument.of_incidents(statuses, answering) if self._storm else None,
        )

    def _variables(self) -> Mapping[str, str]:
        """Return the settings of a world: those that the rules of delivery depend on, and no provider that is not configured."""
        settings = self._settings
        ways = {(channel, name): needed for channel, each in self._playable.items() for name, needed in each.items()}
        played = {(channel, each.name) for channel in self._playable for each in self._channels[channel].providers}
        used = {name for way in played for name in ways.get(way, ())}
        names = {name for _, name in played}
        limits = {name: limit for name, limit in settings.provider_limits.items() if name in names}
        found: dict[str, object] = {
            **{name: "" for needed in ways.values() for name in needed if name not in used},
            **{name.upper(): getattr(settings, name) for name in _KEPT},
            "POLICIES": settings.policies or "",
            "PROVIDER_LIMITS": _pairs(limits),
            "PROVIDER_ORDER": ",".join(name for name in settings.provider_order if name in names),
            "RECIPIENT_CAPS": _pairs(settings.recipient_caps or {}),
            "STATUS_UPDATES": str(settings.status_updates).lower(),
            "BUNDLING": str(settings.bundling).lower(),
            **({} if settings.public_url else {"PUBLIC_URL": ""}),
        }
        return {f"NOTIFYFLOW_{name}": str(value) for name, value in found.items()}

    def _paged_operations(self, sandbox: Sandbox) -> Mapping[str, str]:
        """Return the setting of the operations recipients, at addresses of the sandbox."""
        numbered = enumerate(self._operations, start=_OPERATIONS)
        document = [self._moved(each, sandbox.addresses(number)).to_dict() for number, each in numbered]
        return {"NOTIFYFLOW_OPS_RECIPIENTS": json.dumps(document)}

    def _moved(self, person: Contact, addresses: Mapping[str, str]) -> Recipient:
        """Return a person with addresses of the sandbox on the channels on which they have some."""
        return Recipient(
            id=person.recipient_id,
            name=person.name,
            addresses={channel: address for channel, address in addresses.items() if channel in person.addresses},
            timezone=person.timezone,
            quiet=person.quiet if self._begins_at else None,
            channels=person.channels,
        )

    def _settles(self, driver: Driver, keys: Sequence[str], calling: Collection[str]) -> bool:
        """Let time pass until all has come to rest; return whether it did.

        Rounds of operations, and those of who is not reached, go on until then, and so does a chain. Where all of operations has
        failed, they would go on for ever.
        """

        def is_settled() -> bool:
            unresolved = driver.flow.overview.unresolved()
            waiting = (each.facts.round_at for each in unresolved if each.counts.failed < each.counts.recipients)
            return driver.flow.is_settled() and not any(waiting) and not any(map(has_rounds, keys))

        def has_rounds(key: str) -> bool:
            status = driver.flow.status(key)
            missed = {each.recipient_id for each in rehearsed(status, None, calling) if each.arrival is None}
            facts = (each.facts for each in status.escalations)
            return any(each.is_current and each.next_round_at is not None and each.recipient_id in missed for each in facts)

        try:
            driver.run_until(is_settled, limit=_LONGEST + (_LONGEST_NIGHT if self._begins_at else timedelta()))
        except TimeoutError:
            return False
        return True


def _named(step: Later, moved: Mapping[str, Recipient]) -> tuple[Recipient | str, ...]:
    return (OPERATIONS,) if step.people is None else tuple(moved[each.recipient_id] for each in step.people)


def _pairs(limits: Mapping[str, int]) -> str:
    return ",".join(f"{name}={limit}" for name, limit in limits.items())

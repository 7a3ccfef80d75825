"""Worlds in which no worker lives for long: phones have to ring all the same, a quarter of an hour later at most."""

from datetime import timedelta
from functools import partial

from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.model import Incident, Recipient, Result, Severity
from notifyflow.core.delivery.policy import INSISTENT, Unacknowledged
from notifyflow.core.namespaces import SHARED
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.outside import Certain
from tests.simulation.scenario import AS_IT_IS, RunResult, Scenario, Variant
from tests.simulation.world import require

_LASTS_S = 2700.0
_PUT_OFF = timedelta(minutes=15)
_GRACE = timedelta(seconds=20)
_SLACK = timedelta(seconds=5)
_KEY = "loop"


class CrashLoop(Scenario):
    """A world in which all workers die after seconds, and come back after more than a minute; nothing else goes wrong."""

    def __init__(self, seed: int, variant: Variant) -> None:
        super().__init__(seed, variant)
        chance = self.world.apart("crash loop")
        self._lives_s, self._away_s = chance.uniform(3, 9), chance.uniform(62, 120)
        receipts = chance.choice(((), (Result.ACCEPTED, Result.DELIVERED)))
        self._outside.certain = Certain(outcome="accepted", receipts=receipts, latencies_s=(0.1, 0.5))
        self._outside.dropping = {}
        self._operators.limits = {}
        self._phones.senders = {}
        self._subscribers = ()
        self._heals_s = _LASTS_S
        self.world.widest_skew_s = 0.0
        for process in self.world.processes:
            process.skew = timedelta()
        for worker in self._workers:
            worker.away_s = self._away_s

    def _draw_faults(self) -> None:
        """Draw none; the workers die all the time."""
        self.world.after(self._lives_s, self._end_lives)

    def _end_lives(self) -> None:
        if self.world.is_healed:
            return
        self.world.note(f"*** all workers die for {self._away_s:.0f} s")
        for worker in self._workers:
            worker.kill()
        self.world.after(self._away_s + self._lives_s, self._end_lives)

    def _write_script(self) -> None:
        """Notify one person, who does not react."""
        self._acknowledges_at_tier = False
        self._people(self.world.apart("people").uniform(0, 300), partial(self._notify_once))

    def _is_settled(self) -> bool:
        return self.world.now_s > _LASTS_S and super()._is_settled()

    def _notify_once(self, deps: Dependencies) -> FollowUps:
        del deps
        ivy = Recipient(id="ivy", addresses={"email": "ivy@email", "sms": "ivy@sms", "voice": "ivy@voice"})
        self._submit(Incident(key=_KEY, title="down", severity=Severity.CRITICAL), [ivy], INSISTENT, SHARED)
        return NOTHING

    def _at_end(self) -> None:
        """Require that text and call came when the policy says, a quarter of an hour and two lives later at most."""
        super()._at_end()
        ((incident_id,),) = self._database.look("SELECT id FROM notifyflow_incident WHERE key = ?", _KEY)
        first = self._database.status(incident_id).escalations[0]
        tries = {row.channel: counted(row)[0].started_at for row in first.notifications if counted(row)}
        life = timedelta(seconds=self._lives_s + self._away_s)
        for tier in INSISTENT.tiers[1:]:
            after = min(rule.after for rule in tier.rules if isinstance(rule, Unacknowledged))
            latest = first.facts.started_at + after + _PUT_OFF + 2 * life + _GRACE + _SLACK
            for channel in tier.channels:
                at = tries.get(channel)
                require(at is not None and at <= latest, f"crash loop: {channel} is tried at {at}, and was due by {latest}")


def simulate_crash_loop(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run one such world and return its result."""
    return CrashLoop(seed, variant).run()

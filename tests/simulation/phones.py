"""Texts from recipients: STOP, START, acknowledgements, and yes, which can opt in or acknowledge."""

from collections import Counter
from collections.abc import Callable
from functools import partial

from notifyflow.core.messages.replies import Effect, Intent, Reply
from notifyflow.pipeline.replies import handle_reply
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps
from tests.simulation.database import SimulatedDatabase
from tests.simulation.outside import Outside
from tests.simulation.world import Violation, World

_TEXTING = 0.25
_LATER_S = 300.0
_STOPS = 3
_IS_OUT = "SELECT 1 FROM notifyflow_opt_out WHERE number = ? AND our_number = ?"


class Phones:
    """Plans recipients' texts, and remembers who has opted out.

    Attributes:
        senders: The number that each provider texts from; empty in worlds in which nobody texts back.
        stopped: When each committed STOP was received, in seconds, by (their number, our number).
    """

    def __init__(self, world: World, database: SimulatedDatabase, outside: Outside) -> None:
        self.stopped: dict[tuple[str, str], float] = {}
        self._opt_ins: Counter[tuple[str, str]] = Counter()
        self._world = world
        self._database = database
        self._chance = chance = world.apart("phones")
        numbers = {each.name: f"+{number}" for number, each in enumerate(outside.channels["sms"].providers)}
        self.senders = numbers if chance.random() < _TEXTING else {}
        self._numbers = numbers

    def let_all_answer(self) -> None:
        """Let texts come from numbers that people can answer."""
        self.senders = self._numbers

    def write_script(self, people: Callable[..., None], *, until_s: float) -> None:
        """Plan recipients' texts; ``people`` schedules an act."""
        if not self.senders:
            return
        chance = self._chance
        for number in range(chance.choice((1, 2, 4))):
            theirs, ours = f"{chance.choice(('ada', 'ben'))}@sms", chance.choice(list(self.senders.values()))
            intent = chance.choice((Intent.STOP, Intent.STOP, Intent.ACKNOWLEDGE, Intent.YES))
            at_s = chance.uniform(0, until_s) * chance.random()
            again_s = [at_s + chance.uniform(1, _LATER_S) for _ in range(_STOPS if intent is Intent.STOP else 0)]
            for often, each_s in enumerate((at_s, *again_s)):  # only a number that got a text is known
                people(each_s, partial(self._text, f"text-{number}-{often}", intent, theirs, ours))
            if intent is Intent.STOP and chance.random() < 0.3:
                people(at_s + chance.uniform(1, _LATER_S), partial(self._text, f"start-{number}", Intent.START, theirs, ours))

    def is_stopped(self, theirs: str, provider: str, *, before_s: float) -> bool:
        """Return whether a number had certainly opted out of a provider's number by then, and still is."""
        ours = self.senders.get(provider, "")
        is_standing = self._database.look(_IS_OUT, theirs, ours)
        return bool(is_standing) and self.stopped.get((theirs, ours), before_s) < before_s

    def _text(self, event_id: str, intent: Intent, theirs: str, ours: str, deps: Dependencies) -> FollowUps:
        is_out = bool(self._database.look(_IS_OUT, theirs, ours))
        if intent in (Intent.START, Intent.YES):
            self.stopped.pop((theirs, ours), None)
            self._opt_ins[theirs, ours] += 1
        opt_ins = self._opt_ins[theirs, ours]
        handled = handle_reply(
            deps, Reply(provider="sms-a", event_id=event_id, intent=intent, number=theirs, our_number=ours), channel="sms", raw=""
        )
        self._world.note(f"a text to {ours}: {intent}, {handled.value.effect}")
        has_acknowledged = intent is Intent.YES and handled.value.effect is Effect.ACKNOWLEDGED
        if is_out and has_acknowledged and opt_ins == self._opt_ins[theirs, ours]:  # no START came in between
            raise Violation("yes: after STOP it opts in, and acknowledges nothing")
        if handled.value.effect is Effect.BLOCKED:
            self.stopped[theirs, ours] = self._world.now_s
        return handled.follow_ups

"""What people text back: STOP to one number or to all, START, that they acknowledge, and yes, which may be either."""

from collections import Counter
from collections.abc import Callable
from functools import partial

from notifyflow.core.replies import Effect, Intent, Reply
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.replies import handle_reply
from tests.simulation.database import SimulatedDatabase
from tests.simulation.outside import Outside
from tests.simulation.world import Violation, World

_TEXTING = 0.25
_LATER_S = 300.0
_IS_OUT = "SELECT 1 FROM notifyflow_opt_out WHERE number = ? AND our_number = ?"


class Phones:
    """Draws who texts what, and remembers whom nobody may text.

    Attributes:
        senders: The number that each provider texts from; empty in worlds in which nobody texts back.
        stopped: Who has said STOP to which number, by (theirs, ours), and since when that is committed.
    """

    def __init__(self, world: World, database: SimulatedDatabase, outside: Outside) -> None:
        self.stopped: dict[tuple[str, str], float] = {}
        self._wanted: Counter[tuple[str, str]] = Counter()
        self._world = world
        self._database = database
        self._chance = chance = world.apart("phones")
        numbers = {each.name: f"+{number}" for number, each in enumerate(outside.channels["sms"].providers)}
        self.senders = numbers if chance.random() < _TEXTING else {}

    def write_script(self, people: Callable[..., None], *, until_s: float) -> None:
        """Plan who texts what; ``people`` lets somebody do something later."""
        if not self.senders:
            return
        chance = self._chance
        for number in range(chance.choice((1, 2, 4))):
            theirs, ours = f"{chance.choice(('ada', 'ben'))}@sms", chance.choice(list(self.senders.values()))
            intent = chance.choice((Intent.STOP, Intent.STOP, Intent.ACKNOWLEDGE, Intent.YES))
            at_s = chance.uniform(0, until_s) * chance.random()
            people(at_s, partial(self._text, f"text-{number}", intent, theirs, ours))
            if intent is Intent.STOP and chance.random() < 0.3:
                people(at_s + chance.uniform(1, _LATER_S), partial(self._text, f"start-{number}", Intent.START, theirs, ours))

    def is_stopped(self, theirs: str, provider: str, *, before_s: float) -> bool:
        """Tell whether somebody had said STOP to a provider's number before then, for certain, and that stands."""
        ours = self.senders.get(provider, "")
        is_standing = self._database.look(_IS_OUT, theirs, ours)
        return bool(is_standing) and self.stopped.get((theirs, ours), before_s) < before_s

    def _text(self, event_id: str, intent: Intent, theirs: str, ours: str, deps: Dependencies) -> Consequences:
        is_out = bool(self._database.look(_IS_OUT, theirs, ours))
        if intent in (Intent.START, Intent.YES):
            self.stopped.pop((theirs, ours), None)
            self._wanted[theirs, ours] += 1
        wanted = self._wanted[theirs, ours]
        handled = handle_reply(
            deps, Reply(provider="sms-a", event_id=event_id, intent=intent, number=theirs, our_number=ours), channel="sms", raw=""
        )
        self._world.note(f"a text to {ours}: {intent}, {handled.value.effect}")
        has_acknowledged = intent is Intent.YES and handled.value.effect is Effect.ACKNOWLEDGED
        if is_out and has_acknowledged and wanted == self._wanted[theirs, ours]:  # nobody has lifted it meanwhile
            raise Violation("yes: whoever has said STOP is opted in again by it, and acknowledges nothing")
        if handled.value.effect is Effect.BLOCKED:
            self.stopped[theirs, ours] = self._world.now_s
        return handled.consequences

"""Answers to texts in storms: each acknowledges exactly what its message named, or what it asks for."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import Acknowledgement
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import Effect, Intent, Reply, read_text
from notifyflow.pipeline.replies import handle_reply
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.outside import Outside
from tests.simulation.phones import Phones
from tests.simulation.storms import PEOPLE, Storms
from tests.simulation.world import Task, World, require

_MOST = 8
_ANSWERING = 0.5
_PHONES = frozenset(f"{name}@sms" for name in PEOPLE)
_CARRIED = """
    SELECT n.incident_id, e.severity, a.is_named, json_extract(c.addresses, '$.' || n.channel), a.provider
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_escalation e ON e.id = n.escalation_id
    JOIN notifyflow_contact c ON c.incident_id = e.incident_id AND c.recipient_id = e.recipient_id
    WHERE COALESCE(a.sent_with, a.id) = ? AND n.channel = 'sms' AND n.kind = 'page'
"""
_NOW = "SELECT severity FROM notifyflow_incident WHERE id = ? AND state = 'OPEN'"


@dataclass(frozen=True)
class _Text:
    """A text that was sent: the severity that it showed of each incident it carried, and whether it named all of them."""

    attempt_id: str
    shown: dict[str, Severity]
    names_all: bool


class Answers:
    """Answers some texts, and checks what that acknowledges."""

    def __init__(self, world: World, database: SimulatedDatabase, outside: Outside, storms: Storms, phones: Phones) -> None:
        self._world = world
        self._database = database
        self._outside = outside
        self._storms = storms
        self._phones = phones
        self._chance = world.apart("answers")
        self._texts: dict[str, list[_Text]] = defaultdict(list)
        self._acting: dict[Task, set[str]] = {}
        self._count = 0

    def on_message(self, people: Callable[..., None], message: OutboundMessage) -> None:
        """Remember a text, and plan an answer to some."""
        reply = message.content.reply
        carried = self._database.look(_CARRIED, message.attempt_id) if self._storms.is_on and reply else ()
        if not carried:
            return
        text = _Text(message.attempt_id, {each[0]: Severity(each[1]) for each in carried}, all(each[2] for each in carried))
        number, provider = carried[0][3:]
        self._texts[number].append(text)
        if number in _PHONES and self._count < _MOST and self._chance.random() < _ANSWERING:
            self._count += 1
            code = reply.split()[-1]
            said = self._chance.choice((reply, reply, f"ALL {code}", code, "ok"))
            answer = partial(self._answer, f"answer-{self._count}", said, text, number, self._phones.senders[provider])
            people(self._chance.uniform(1, 60), answer)

    def after_commit(self, session: Session) -> None:
        """Note what an answer acknowledges."""
        acknowledged = self._acting.get(session.task)
        if acknowledged is not None:
            acknowledged |= {line["incident_id"] for line in session.lines if line["event"] == "acknowledged"}

    def _answer(self, event_id: str, said: str, text: _Text, theirs: str, ours: str, deps: Dependencies) -> FollowUps:
        if not self._outside.sends[text.attempt_id].is_accepted:  # nobody has got it
            return NOTHING
        intent, code = read_text(said)
        acknowledged = self._acting[self._world.task] = set()
        try:
            reply = Reply(provider="sms-a", event_id=event_id, intent=intent, number=theirs, our_number=ours, code=code)
            handled = handle_reply(deps, reply, channel="sms", raw="")
        finally:
            del self._acting[self._world.task]
        effect = handled.value.effect
        self._world.note(f"answered {said!r} to {len(text.shown)}: {effect}")
        what = f"answer: {said!r} to a text about {len(text.shown)}"
        asks_for_all = intent is Intent.ACKNOWLEDGE_ALL or text.names_all
        if not code:
            texts = [each for each in self._texts[theirs] if each.names_all]
            is_one = not acknowledged or any(acknowledged <= each.shown.keys() for each in texts)
            require(is_one, f"{what} acknowledges {_short(acknowledged)}, which no one text named")
            return handled.follow_ups
        others = acknowledged - (text.shown.keys() if asks_for_all else set())
        require(not others, f"{what} acknowledges {_short(others)}, too")
        require(effect is not Effect.UNKNOWN, f"{what} is not understood")
        if effect is Effect.ACKNOWLEDGED:
            left = {each for each, shown in text.shown.items() if self._is_left(each, shown)}
            require(not left, f"{what} leaves {_short(left)} open")
        return handled.follow_ups

    def _is_left(self, incident_id: str, shown: Severity) -> bool:
        """Return whether an incident is open that a person has acknowledged for all, and has not risen above what was shown."""
        is_for_all = all(
            each.facts.policy.acknowledgement is Acknowledgement.ANY for each in self._database.status(incident_id).escalations
        )
        return is_for_all and any(not Severity(now).is_above(shown) for (now,) in self._database.look(_NOW, incident_id))


def _short(incident_ids: set[str]) -> list[str]:
    return sorted(each[-4:] for each in incident_ids)

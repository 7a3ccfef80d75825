"""The claims of the demo, each with its check against the rows, the log and the inbox of the sandbox."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from notifyflow.core.delivery.facts import NotificationFacts, Transition
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import EscalationState, Evidence, IncidentState, Kind, NotificationState, Result
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.sandbox.inbox import Call, Message
from notifyflow.sandbox.script import is_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Everything that can be observed after the demo.

    Attributes:
        operations: The operations incident; None without one.
        inbox: The messages that the stand-ins received, accepted or not.
        linked_page: The page behind the link in Ada's mail, as HTML.
        log: Every log line, as JSON.
    """

    status: IncidentStatus
    operations: IncidentStatus | None
    inbox: Sequence[Message]
    linked_page: str
    log: str

    def escalation(self, who: str) -> EscalationStatus:
        """Return the escalation of a recipient."""
        return {each.facts.recipient_id: each for each in self.status.escalations}[who]

    def pages(self, who: str) -> dict[str, NotificationFacts]:
        """Return the pages of a recipient by channel."""
        return {each.channel: each for each in self.escalation(who).notifications if each.kind is Kind.PAGE}

    def states(self, who: str) -> dict[str, NotificationState]:
        """Return the states of a recipient's pages by channel."""
        return {channel: page.state for channel, page in self.pages(who).items()}

    def codes(self, who: str, channel: str) -> list[str]:
        """Return the provider's code for each attempt of a page."""
        return [attempt.code for attempt in self.pages(who)[channel].attempts]

    def messages(self, who: str, channel: str) -> list[Message]:
        """Return the messages to a recipient that the stand-in of a channel received."""
        address = self.escalation(who).contact.addresses.get(channel, "")
        return [each for each in self.inbox if each.channel == channel and is_for(address, each.to)]

    def moves(self, row_id: str) -> list[Transition]:
        """Return the log of a row, in order."""
        return sorted((move for move in self.status.transitions if move.row_id == row_id), key=lambda move: move.version)

    def opened_after_failures(self, who: str, tier: int) -> list[int]:
        """Return, for each opening of a tier, how many pages of the previous tier had FAILED by then."""
        before = [page for page in self.pages(who).values() if page.tier == tier - 1]
        failed_at = [move.at for page in before for move in self.moves(page.id) if move.target == NotificationState.FAILED]
        openings = [move for move in self.moves(self.escalation(who).facts.id) if move.event == "tier_opened"]
        return [sum(at <= move.at for at in failed_at) for move in openings if move.detail.get("tier") == str(tier)]


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence with its check."""

    sentence: str
    is_true: Callable[[Witness], bool]


@dataclass(frozen=True, slots=True)
class Scene:
    """The story of one recipient.

    Attributes:
        who: The recipient's id.
        summary: The rest of a sentence that begins with the recipient's name.
        quoted: The channel whose last message is shown; empty for none.
    """

    who: str
    summary: str
    quoted: str
    claims: tuple[Claim, ...]


S = NotificationState


_STATUS_UPDATE = "Chloe acknowledged it"


def _arrived_once(witness: Witness, who: str, *channels: str) -> bool:
    title = witness.status.content.title
    for channel in channels:
        accepted = [each.text for each in witness.messages(who, channel) if each.is_accepted and _STATUS_UPDATE not in each.text]
        if len(accepted) != 1 or title not in accepted[0] or len(witness.pages(who)[channel].attempts) != 1:
            return False
    return True


def _reactions(witness: Witness, who: str, channel: str) -> list[str]:
    return [each.reaction for each in witness.messages(who, channel)]


def _got_the_status_update(witness: Witness, who: str, channel: str) -> bool:
    updates = [
        each for each in witness.escalation(who).notifications if each.kind is Kind.STATUS_UPDATE and each.channel == channel
    ]
    return [each.state for each in updates] == [S.SENT] and any(
        _STATUS_UPDATE in each.text for each in witness.messages(who, channel)
    )


def _heard_on_the_phone(witness: Witness) -> bool:
    calls = [each.content for each in witness.messages("chloe", "voice") if isinstance(each.content, Call)]
    return len(calls) > 1 and [call.key for call in calls] == [""] * (len(calls) - 1) + ["1"]


def _was_pressed_by_a_human(witness: Witness) -> bool:
    last = witness.pages("chloe")["voice"].attempts[-1]
    return (last.result, last.evidence) == (Result.DELIVERED, Evidence.HUMAN)


def _was_acknowledged_by_chloe(witness: Witness) -> bool:
    facts = witness.status.facts
    return (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "chloe", "key")


def _operations_were_alerted(witness: Witness) -> bool:
    if witness.operations is None or witness.status.operations_key != witness.operations.facts.key:
        return False
    mails = [each for each in witness.inbox if each.channel == "email" and each.to == "operations@example.com"]
    return len(mails) == 1 and mails[0].is_accepted and "Dan was not reached" in mails[0].text


def _is_critical_alone(witness: Witness) -> bool:
    return [each.facts.recipient_id for each in witness.status.escalations if each.facts.critical_at is not None] == ["dan"]


def _rows(status: IncidentStatus) -> Iterator[tuple[str, str, str]]:
    yield "incident", status.facts.id, status.facts.state
    for escalation in status.escalations:
        yield "escalation", escalation.facts.id, escalation.facts.state
        for each in escalation.notifications:
            yield "notification", each.id, each.state


def _log_replays(witness: Witness) -> bool:
    for machine, row_id, state in _rows(witness.status):
        table, moves = MACHINES[machine].table, witness.moves(row_id)
        if not moves or moves[0].target not in table.initial_states or moves[-1].target != state:
            return False
        if any(
            this.source != last.target or this.target not in table.targets(this.source, this.event)
            for last, this in pairwise(moves)
        ):
            return False
    return True


def _providers_accepted_what_is_recorded(witness: Witness) -> bool:
    for escalation in witness.status.escalations:
        for channel in escalation.contact.addresses:
            accepted = [each for each in witness.messages(escalation.facts.recipient_id, channel) if each.is_accepted]
            rows = [each.id for each in escalation.notifications if each.channel == channel]
            if len(accepted) != sum(move.event == "accepted" for row_id in rows for move in witness.moves(row_id)):
                return False
    return True


def _log_alerts_of_dan_alone(witness: Witness) -> bool:
    lines = [json.loads(line) for line in witness.log.splitlines()]
    return [line["recipient_id"] for line in lines if line["level"] == "error"] == ["dan"]


def _log_holds_nothing_personal(witness: Witness) -> bool:
    people = [each.contact for each in witness.status.escalations]
    private = {witness.status.content.title, *(address for each in people for address in each.addresses.values())}
    return witness.log != "" and not any(each in witness.log for each in private) and "/a/" not in witness.log


SCENES = (
    Scene(
        "ada",
        "is reached at once, on every primary channel.",
        "",
        (
            Claim(
                "mail, Slack and Teams accepted the page",
                lambda w: w.states("ada") == dict.fromkeys(("email", "slack", "teams"), S.SENT),
            ),
            Claim("each at its first attempt, and it arrived once", lambda w: _arrived_once(w, "ada", "email", "slack", "teams")),
            Claim("she got no text and no call", lambda w: not w.messages("ada", "sms") and not w.messages("ada", "voice")),
            Claim("a later mail told her that Chloe acknowledged it", lambda w: _got_the_status_update(w, "ada", "email")),
            Claim(
                "the link in her mail now shows who acknowledged it, without a button",
                lambda w: "Chloe acknowledged it." in w.linked_page and "<button" not in w.linked_page,
            ),
        ),
    ),
    Scene(
        "ben",
        "gets a text, since the providers of both primary channels fail.",
        "sms",
        (
            Claim("the mail server answered 451 three times", lambda w: _reactions(w, "ben", "email") == ["451"] * 3),
            Claim("Teams answered 503 three times", lambda w: _reactions(w, "ben", "teams") == ["503"] * 3),
            Claim("the second failure opened the tier of texts, once", lambda w: w.opened_after_failures("ben", 2) == [2]),
            Claim("the text arrived once", lambda w: _arrived_once(w, "ben", "sms")),
            Claim(
                "Twilio's signed receipt made it DELIVERED",
                lambda w: (
                    [move.event for move in w.moves(w.pages("ben")["sms"].id)][-1] == "delivery_reported"
                    and w.states("ben") == {"email": S.FAILED, "teams": S.FAILED, "sms": S.DELIVERED}
                ),
            ),
        ),
    ),
    Scene(
        "chloe",
        "has unsubscribed from texts, and is called until she acknowledges.",
        "voice",
        (
            Claim(
                "Slack and Teams refused her address permanently, at the first attempt",
                lambda w: all(len(_reactions(w, "chloe", each)) == 1 for each in ("slack", "teams")),
            ),
            Claim(
                "the text was refused permanently (21610) and not retried", lambda w: _reactions(w, "chloe", "sms") == ["21610"]
            ),
            Claim("that failure opened the tier of calls, once", lambda w: w.opened_after_failures("chloe", 3) == [1]),
            Claim("the first calls were not answered; then she pressed 1", _heard_on_the_phone),
            Claim("only the key made the call DELIVERED", _was_pressed_by_a_human),
            Claim("the incident is ACKNOWLEDGED by chloe, by key", _was_acknowledged_by_chloe),
        ),
    ),
    Scene(
        "dan",
        "cannot be reached on any channel, and operations is alerted.",
        "",
        (
            Claim(
                "mail, Teams, text and call all FAILED",
                lambda w: w.states("dan") == dict.fromkeys(("email", "teams", "sms", "voice"), S.FAILED),
            ),
            Claim(
                "the text was accepted, and a later receipt (30006) reported that it failed",
                lambda w: w.codes("dan", "sms") == ["30006"],
            ),
            Claim("his escalation was EXHAUSTED", lambda w: _was_in(w, "dan", EscalationState.EXHAUSTED)),
            Claim("it is the only critical failure", _is_critical_alone),
            Claim("operations got one mail that names him", _operations_were_alerted),
            Claim("and the log has one ERROR line", _log_alerts_of_dan_alone),
        ),
    ),
    Scene(
        "eve",
        "is still waiting for a busy Slack when Chloe acknowledges it.",
        "",
        (
            Claim("Slack asked for a minute, once (429)", lambda w: _reactions(w, "eve", "slack") == ["429 retry after 60 s"]),
            Claim("the acknowledgement cancelled the queued page", lambda w: w.states("eve") == {"slack": S.CANCELLED}),
        ),
    ),
)
"""The five scenes."""

WHOLE = (
    Claim("every row's log, replayed through its machine, ends in the row's state", _log_replays),
    Claim("the providers accepted exactly the messages that are recorded as accepted", _providers_accepted_what_is_recorded),
    Claim("the log holds ids only: no addresses, titles or links", _log_holds_nothing_personal),
)
"""The claims about the whole demo."""


def _was_in(witness: Witness, who: str, state: EscalationState) -> bool:
    return any(move.target == state for move in witness.moves(witness.escalation(who).facts.id))

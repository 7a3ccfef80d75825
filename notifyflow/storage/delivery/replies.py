"""Stores reply codes, which acknowledge incidents by text message, opt-outs, and known numbers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from peewee import SQL, CompoundSelectQuery, Expression, Select

from notifyflow.core.delivery.model import EscalationState, IncidentState, Severity
from notifyflow.core.messages.carried import CodedMessage
from notifyflow.storage.delivery.carried import CURRENT, CarriedReads, coded, coded_alone
from notifyflow.storage.session.conditions import QUEUED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.tables import (
    AttemptRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    NumberRow,
    OptOutRow,
    ReplyCodeRow,
)

_UNUSED_FOR = timedelta(days=7)
_FIRST = 10  # a single digit is too easily sent for another reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCode:
    """A reply code of a number.

    Attributes:
        code: Two digits or more.
        is_shown: Whether the text shows it, since other incidents were open for the number when it was issued.
    """

    code: str
    is_shown: bool


_FORGET_CODES = Statement(lambda param: ReplyCodeRow.delete().where(ReplyCodeRow.issued_at <= param(ReplyCodeRow.issued_at)))
_KNOWN = ("number", "incident_id", "recipient_id", "severity", "sent_with")
_CODE = Statement(
    lambda param: ReplyCodeRow.select(ReplyCodeRow.code, ReplyCodeRow.is_shown).where(
        *(getattr(ReplyCodeRow, name) == param(getattr(ReplyCodeRow, name)) for name in _KNOWN)
    )
)
_OPEN = (ReplyCodeRow.code, ReplyCodeRow.sent_with, ReplyCodeRow.issued_at)


def _open_codes(param: Parameters) -> CompoundSelectQuery:
    """Select the codes of a number with an incident that their recipient can still acknowledge."""
    parts = [
        query.where(
            ReplyCodeRow.number == param(ReplyCodeRow.number),
            ReplyCodeRow.issued_at > param(ReplyCodeRow.issued_at),
            IncidentRow.state == SQL(f"'{IncidentState.OPEN}'"),
            CURRENT.state != SQL(f"'{EscalationState.ACKNOWLEDGED}'"),
        )
        for query in (coded_alone(*_OPEN), coded(*_OPEN))
    ]
    return parts[0] | parts[1]


_OPEN_CODES = Statement(_open_codes, columns=_OPEN)
_TEXTED = Statement(
    lambda param: NumberRow.update({each: param(each) for each in (NumberRow.recipient_id, NumberRow.texted_at)}).where(
        NumberRow.number == param(NumberRow.number)
    )
)


class Replies(Repository):
    """Reply codes, opt-outs, and known numbers."""

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit)
        self._carried = CarriedReads(unit)

    def give_code(
        self,
        number: str,
        incident_id: str,
        recipient_id: str,
        *,
        severity: Severity,
        sent_with: str = "",
        now: datetime,
    ) -> ReplyCode:
        """Issue a reply code for a number, or keep the existing one for another week.

        If another transaction has just issued the same code, the whole use case is repeated and finds it.

        Args:
            number: The number.
            incident_id: The incident that it acknowledges; empty for a bundle.
            recipient_id: Whose acknowledgement it is.
            severity: The severity that the text shows: a code acknowledges nothing that has risen above it.
            sent_with: The attempt that makes the call with the bundle; empty for an incident.
            now: The time.
        """
        self.forget_codes(now=now)
        names = dict(zip(_KNOWN, (number, incident_id, recipient_id, severity, sent_with), strict=True))
        if known := self._unit.rows(_CODE(*names.values())):
            is_it = [getattr(ReplyCodeRow, name) == value for name, value in names.items()]
            self._unit.execute(ReplyCodeRow.update(issued_at=now).where(*is_it))
            return ReplyCode(**known[0])
        used = {
            row["code"] for row in self._unit.rows(ReplyCodeRow.select(ReplyCodeRow.code).where(ReplyCodeRow.number == number))
        }
        code = ReplyCode(
            code=next(str(next_code) for next_code in count(_FIRST) if str(next_code) not in used),
            is_shown=bool(sent_with) or bool(self._open_codes(number, now)),
        )
        self._unit.insert(ReplyCodeRow, [names | {"code": code.code, "is_shown": code.is_shown, "issued_at": now}])
        return code

    def forget_codes(self, *, now: datetime) -> None:
        """Delete the codes that were not used for a week."""
        self._unit.execute(_FORGET_CODES(now - _UNUSED_FOR))

    def message(self, number: str, code: str, *, now: datetime) -> CodedMessage | None:
        """Return the message of a number's reply code if it was issued within the last week, else None."""
        return self._first(number, self._issued(number, since=now - _UNUSED_FOR).where(ReplyCodeRow.code == code))

    def last_message(self, number: str, *, now: datetime) -> CodedMessage | None:
        """Return the message of a number's newest reply code, if it was issued within the last week, else None."""
        newest = (ReplyCodeRow.issued_at.desc(), ReplyCodeRow.code.desc())
        return self._first(number, self._issued(number, since=now - _UNUSED_FOR).order_by(*newest))

    def open_messages(self, number: str, *, now: datetime) -> tuple[CodedMessage, ...]:
        """Return the messages to a number that carried an incident which their recipient can still acknowledge, newest first."""
        return self._messages(number, self._open_codes(number, now))

    def has_bundle(self, number: str, *, since: datetime) -> bool:
        """Return whether a bundle was sent to a number since an instant."""
        return self._unit.first(self._issued(number, since=since).where(ReplyCodeRow.sent_with != "")) is not None

    def _issued(self, number: str, *, since: datetime) -> Select:
        return ReplyCodeRow.select(ReplyCodeRow.code, ReplyCodeRow.sent_with).where(_is_issued(number, since))

    def _first(self, number: str, query: Select) -> CodedMessage | None:
        found = self._unit.first(query)
        return next(iter(self._messages(number, [found])), None) if found else None

    def _open_codes(self, number: str, now: datetime) -> list[dict[str, Any]]:
        since = now - _UNUSED_FOR
        found = self._unit.rows(_OPEN_CODES(number, since, number, since))
        return sorted(found, key=lambda row: (row["issued_at"], row["code"]), reverse=True)

    def _messages(self, number: str, codes: Sequence[Mapping[str, Any]]) -> tuple[CodedMessage, ...]:
        alone, bundles = ([row["code"] for row in codes if bool(row["sent_with"]) is is_bundle] for is_bundle in (False, True))
        pages = self._carried.of_codes(number, alone, bundles)
        return tuple(CodedMessage(code=row["code"], pages=pages[row["code"]]) for row in codes if row["code"] in pages)

    def opt_out(self, our_number: str, number: str, *, at: datetime) -> bool:
        """Store that our number may no longer text a number.

        Returns:
            Whether it was allowed until now.
        """
        self._unit.unlocked.clear()
        return self._unit.insert_once(OptOutRow, {"our_number": our_number, "number": number, "at": at})

    def opt_in(self, our_number: str, number: str) -> None:
        """Store that our number may text a number again."""
        self._unit.unlocked.clear()
        self._unit.execute(OptOutRow.delete().where(OptOutRow.our_number == our_number, OptOutRow.number == number))

    def opt_outs(self, number: str, our_numbers: Collection[str]) -> frozenset[str]:
        """Return our numbers that may not text a number."""
        key = "opt-outs", number, *sorted(our_numbers)
        if key not in self._unit.unlocked:
            query = OptOutRow.select(OptOutRow.our_number).where(
                OptOutRow.number == number, OptOutRow.our_number.in_(list(our_numbers))
            )
            self._unit.unlocked[key] = frozenset(row["our_number"] for row in self._unit.rows(query))
        found: frozenset[str] = self._unit.unlocked[key]
        return found

    def note_texted(self, number: str, recipient_id: str, *, at: datetime) -> None:
        """Store that a text goes to a number: from then on the number is known, and its replies count."""
        row = {"recipient_id": recipient_id, "texted_at": at}
        if self._unit.execute(_TEXTED(recipient_id, at, number)) == 0:
            self._unit.insert(NumberRow, [row | {"number": number, "responded_at": ()}])

    def is_known(self, number: str) -> bool:
        """Return whether a number is known: a text went to it (as far as that is kept), or STOP came from it."""
        texted = NumberRow.select(NumberRow.number).where(NumberRow.number == number)
        has_code = ReplyCodeRow.select(ReplyCodeRow.number).where(ReplyCodeRow.number == number)
        is_out = OptOutRow.select(OptOutRow.number).where(OptOutRow.number == number)
        return any(self._unit.first(query) is not None for query in (texted, has_code, is_out))

    def count_response(self, number: str, *, at_most: int, within: timedelta, now: datetime) -> bool:
        """Count a response to a number, unless the number has reached its limit.

        Returns:
            Whether the response may be sent.
        """
        self._unit.insert_once(NumberRow, {"number": number, "recipient_id": "", "texted_at": now, "responded_at": ()})
        (row,) = self._unit.rows(self._unit.locked(NumberRow.select(NumberRow.responded_at).where(NumberRow.number == number)))
        lately = [at for at in row["responded_at"] if at > now - within]
        if len(lately) >= at_most:
            return False
        self._unit.execute(NumberRow.update(texted_at=now, responded_at=(*lately, now)).where(NumberRow.number == number))
        return True

    def queued_for(self, number: str, channel: str, *, now: datetime) -> tuple[tuple[str, str], ...]:
        """Return the queued notifications of a channel for a number, as (escalation id, notification id); not locked."""
        is_wanted = (_is_issued(number, now - _UNUSED_FOR), NotificationRow.channel == channel, QUEUED)
        columns = (NotificationRow.escalation_id, NotificationRow.id)
        alone = (
            NotificationRow.select(*columns)
            .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
            .join(
                ReplyCodeRow,
                on=(
                    (ReplyCodeRow.incident_id == EscalationRow.incident_id)
                    & (ReplyCodeRow.recipient_id == EscalationRow.recipient_id)
                ),
            )
            .where(*is_wanted)
        )
        carried = (
            NotificationRow.select(*columns)
            .join(AttemptRow, on=(AttemptRow.notification_id == NotificationRow.id))
            .join(ReplyCodeRow, on=(ReplyCodeRow.sent_with == AttemptRow.sent_with))
            .where(*is_wanted)
        )
        return tuple((row["escalation_id"], row["id"]) for row in self._unit.rows(alone | carried))


def _is_issued(number: str, since: datetime) -> Expression:
    return (ReplyCodeRow.number == number) & (ReplyCodeRow.issued_at > since)

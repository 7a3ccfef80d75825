"""Stores reply codes, which acknowledge incidents by text message, opt-outs, and known numbers."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from peewee import Expression

from notifyflow.core.delivery.model import EscalationState, IncidentState
from notifyflow.storage.session.conditions import QUEUED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import EscalationRow, IncidentRow, NotificationRow, NumberRow, OptOutRow, ReplyCodeRow

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
    incident_id: str
    recipient_id: str
    is_shown: bool


_COLUMNS = tuple(getattr(ReplyCodeRow, name) for name in ReplyCode.__dataclass_fields__)
_FORGET_CODES = Statement(lambda param: ReplyCodeRow.delete().where(ReplyCodeRow.issued_at <= param(ReplyCodeRow.issued_at)))
_TEXTED = Statement(
    lambda param: NumberRow.update({each: param(each) for each in (NumberRow.recipient_id, NumberRow.texted_at)}).where(
        NumberRow.number == param(NumberRow.number)
    )
)


class Replies(Repository):
    """Reply codes, opt-outs, and known numbers."""

    def give_code(self, number: str, incident_id: str, recipient_id: str, *, now: datetime) -> ReplyCode:
        """Issue an incident's reply code for a number, or keep the existing one for another week.

        If another transaction has just issued the same code, the whole use case is repeated and finds it.
        """
        self.forget_codes(now=now)
        is_it = (
            (ReplyCodeRow.number == number)
            & (ReplyCodeRow.incident_id == incident_id)
            & (ReplyCodeRow.recipient_id == recipient_id)
        )
        known = self._unit.first(ReplyCodeRow.select(*_COLUMNS).where(is_it))
        if known is not None:
            self._unit.execute(ReplyCodeRow.update(issued_at=now).where(is_it))
            return ReplyCode(**known)
        used = {
            row["code"] for row in self._unit.rows(ReplyCodeRow.select(ReplyCodeRow.code).where(ReplyCodeRow.number == number))
        }
        code = ReplyCode(
            code=next(str(next_code) for next_code in count(_FIRST) if str(next_code) not in used),
            incident_id=incident_id,
            recipient_id=recipient_id,
            is_shown=bool(self.open_codes(number, now=now)),
        )
        row = {name: getattr(code, name) for name in ReplyCode.__dataclass_fields__}
        self._unit.insert(ReplyCodeRow, [row | {"number": number, "issued_at": now}])
        return code

    def forget_codes(self, *, now: datetime) -> None:
        """Delete the codes that were not used for a week."""
        self._unit.execute(_FORGET_CODES(now - _UNUSED_FOR))

    def code(self, number: str, code: str, *, now: datetime) -> ReplyCode | None:
        """Return a number's reply code if it was issued within the last week, else None."""
        found = self._unit.first(ReplyCodeRow.select(*_COLUMNS).where(self._good(number, now), ReplyCodeRow.code == code))
        return None if found is None else ReplyCode(**found)

    def last_code(self, number: str, *, now: datetime) -> ReplyCode | None:
        """Return the newest reply code of a number, if it was issued within the last week, else None."""
        newest = (
            ReplyCodeRow.select(*_COLUMNS)
            .where(self._good(number, now))
            .order_by(ReplyCodeRow.issued_at.desc(), ReplyCodeRow.code.desc())
        )
        found = self._unit.first(newest)
        return None if found is None else ReplyCode(**found)

    def open_codes(self, number: str, *, now: datetime) -> tuple[ReplyCode, ...]:
        """Return the reply codes of a number whose incidents its owner can still acknowledge, the oldest first."""
        open_for = (
            ReplyCodeRow.select(*_COLUMNS)
            .join(IncidentRow, on=(IncidentRow.id == ReplyCodeRow.incident_id))
            .join(
                EscalationRow,
                on=(
                    (EscalationRow.incident_id == ReplyCodeRow.incident_id)
                    & (EscalationRow.recipient_id == ReplyCodeRow.recipient_id)
                ),
            )
            .where(
                self._good(number, now),
                IncidentRow.state == IncidentState.OPEN,
                EscalationRow.is_current,
                EscalationRow.state != EscalationState.ACKNOWLEDGED,
            )
            .order_by(ReplyCodeRow.issued_at, ReplyCodeRow.code)
        )
        return tuple(ReplyCode(**row) for row in self._unit.rows(open_for))

    def opt_out(self, our_number: str, number: str, *, at: datetime) -> bool:
        """Store that our number may no longer text a number.

        Returns:
            Whether it was allowed until now.
        """
        return self._unit.insert_once(OptOutRow, {"our_number": our_number, "number": number, "at": at})

    def opt_in(self, our_number: str, number: str) -> None:
        """Store that our number may text a number again."""
        self._unit.execute(OptOutRow.delete().where(OptOutRow.our_number == our_number, OptOutRow.number == number))

    def opt_outs(self, number: str, our_numbers: Collection[str]) -> frozenset[str]:
        """Return our numbers that may not text a number."""
        query = OptOutRow.select(OptOutRow.our_number).where(
            OptOutRow.number == number, OptOutRow.our_number.in_(list(our_numbers))
        )
        return frozenset(row["our_number"] for row in self._unit.rows(query))

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
        query = (
            NotificationRow.select(NotificationRow.escalation_id, NotificationRow.id)
            .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
            .join(
                ReplyCodeRow,
                on=(
                    (ReplyCodeRow.incident_id == EscalationRow.incident_id)
                    & (ReplyCodeRow.recipient_id == EscalationRow.recipient_id)
                ),
            )
            .where(self._good(number, now), NotificationRow.channel == channel, QUEUED)
        )
        return tuple((row["escalation_id"], row["id"]) for row in self._unit.rows(query))

    def _good(self, number: str, now: datetime) -> Expression:
        return (ReplyCodeRow.number == number) & (ReplyCodeRow.issued_at > now - _UNUSED_FOR)

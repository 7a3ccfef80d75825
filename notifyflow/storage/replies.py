"""Who may answer what: short codes by which incidents are acknowledged, and who wants no texts from whom."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from peewee import Expression

from notifyflow.core.model import EscalationState, IncidentState
from notifyflow.storage.models import CodeRow, EscalationRow, IncidentRow, NotificationRow, NumberRow, OptOutRow
from notifyflow.storage.moves import Moves
from notifyflow.storage.statements import Statement
from notifyflow.storage.turns import QUEUED

_UNUSED_FOR = timedelta(days=7)
_FIRST = 10  # one digit alone is too easily meant otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A short code that somebody was given.

    Attributes:
        code: Two digits or more.
        incident_id: What it acknowledges.
        recipient_id: For whom.
        is_shown: Whether it stands in the text, since other incidents were open for the number when it was given.
    """

    code: str
    incident_id: str
    recipient_id: str
    is_shown: bool


_COLUMNS = tuple(getattr(CodeRow, name) for name in Code.__dataclass_fields__)
_FORGET_CODES = Statement(lambda given: CodeRow.delete().where(CodeRow.given_at <= given(CodeRow.given_at)))


class Replies(Moves):
    """Codes, opt-outs, and whose numbers are known."""

    def give_code(self, address: str, incident_id: str, recipient_id: str, *, now: datetime) -> Code:
        """Give an incident its short code for a number; the one it has already is kept, and is good for another week.

        Where another transaction has just given the same code, the whole use case is repeated, and finds that one.
        """
        self.forget_codes(now=now)
        is_it = (CodeRow.address == address) & (CodeRow.incident_id == incident_id) & (CodeRow.recipient_id == recipient_id)
        known = self._first(CodeRow.select(*_COLUMNS).where(is_it))
        if known is not None:
            CodeRow.update(given_at=now).where(is_it).execute(self._db)
            return Code(**known)
        used = {row["code"] for row in self._rows(CodeRow.select(CodeRow.code).where(CodeRow.address == address))}
        code = Code(
            code=next(str(number) for number in count(_FIRST) if str(number) not in used),
            incident_id=incident_id,
            recipient_id=recipient_id,
            is_shown=bool(self.open_codes(address, now=now)),
        )
        row = {name: getattr(code, name) for name in Code.__dataclass_fields__}
        self._insert(CodeRow, [row | {"address": address, "given_at": now}])
        return code

    def forget_codes(self, *, now: datetime) -> None:
        """Delete the codes that have not been used for a week."""
        _FORGET_CODES(now - _UNUSED_FOR).execute(self._db)

    def code(self, address: str, code: str, *, now: datetime) -> Code | None:
        """Find what a code means that was given to a number within the last week; None for nothing."""
        found = self._first(CodeRow.select(*_COLUMNS).where(self._good(address, now), CodeRow.code == code))
        return None if found is None else Code(**found)

    def last_code(self, address: str, *, now: datetime) -> Code | None:
        """Find the code that a number was given last, within the last week; None for none."""
        newest = CodeRow.select(*_COLUMNS).where(self._good(address, now)).order_by(CodeRow.given_at.desc(), CodeRow.code.desc())
        found = self._first(newest)
        return None if found is None else Code(**found)

    def open_codes(self, address: str, *, now: datetime) -> tuple[Code, ...]:
        """Find the codes of a number whose incidents its owner can still take, the oldest first."""
        open_for = (
            CodeRow.select(*_COLUMNS)
            .join(IncidentRow, on=(IncidentRow.id == CodeRow.incident_id))
            .join(
                EscalationRow,
                on=((EscalationRow.incident_id == CodeRow.incident_id) & (EscalationRow.recipient_id == CodeRow.recipient_id)),
            )
            .where(
                self._good(address, now),
                IncidentRow.state == IncidentState.OPEN,
                EscalationRow.is_current,
                EscalationRow.state != EscalationState.ACKNOWLEDGED,
            )
            .order_by(CodeRow.given_at, CodeRow.code)
        )
        return tuple(Code(**row) for row in self._rows(open_for))

    def opt_out(self, ours: str, theirs: str, *, at: datetime) -> bool:
        """Note that one number may not text another any more.

        Returns:
            Whether it might until now.
        """
        return self._insert_once(OptOutRow, {"ours": ours, "theirs": theirs, "at": at})

    def opt_in(self, ours: str, theirs: str) -> None:
        """Note that it may again."""
        OptOutRow.delete().where(OptOutRow.ours == ours, OptOutRow.theirs == theirs).execute(self._db)

    def opt_outs(self, theirs: str, ours: Collection[str]) -> frozenset[str]:
        """Find which numbers of ours may not text a number."""
        query = OptOutRow.select(OptOutRow.ours).where(OptOutRow.theirs == theirs, OptOutRow.ours.in_(list(ours)))
        return frozenset(row["ours"] for row in self._rows(query))

    def note_texted(self, theirs: str, recipient_id: str, *, at: datetime) -> None:
        """Note that a text goes to a number: from then on it is known, and heard."""
        row = {"recipient_id": recipient_id, "texted_at": at}
        if NumberRow.update(row).where(NumberRow.theirs == theirs).execute(self._db) == 0:
            self._insert(NumberRow, [row | {"theirs": theirs, "answered": ()}])

    def is_known(self, theirs: str) -> bool:
        """Return whether a text ever went to a number, as far as that is kept, or its owner has said STOP to one."""
        texted = NumberRow.select(NumberRow.theirs).where(NumberRow.theirs == theirs)
        has_code = CodeRow.select(CodeRow.address).where(CodeRow.address == theirs)
        is_out = OptOutRow.select(OptOutRow.theirs).where(OptOutRow.theirs == theirs)
        return any(self._first(query) is not None for query in (texted, has_code, is_out))

    def count_response(self, theirs: str, *, at_most: int, within: timedelta, now: datetime) -> bool:
        """Count an answer to a number, unless it has had as many as it may.

        Returns:
            Whether it may have this one.
        """
        self._insert_once(NumberRow, {"theirs": theirs, "recipient_id": "", "texted_at": now, "answered": ()})
        (row,) = self._rows(self._locked(NumberRow.select(NumberRow.answered).where(NumberRow.theirs == theirs)))
        lately = [at for at in row["answered"] if at > now - within]
        if len(lately) >= at_most:
            return False
        NumberRow.update(texted_at=now, answered=(*lately, now)).where(NumberRow.theirs == theirs).execute(self._db)
        return True

    def queued_for(self, address: str, channel: str, *, now: datetime) -> tuple[tuple[str, str], ...]:
        """Find what is queued on a channel for a number, as (escalation id, notification id); not locked."""
        query = (
            NotificationRow.select(NotificationRow.escalation_id, NotificationRow.id)
            .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
            .join(
                CodeRow,
                on=((CodeRow.incident_id == EscalationRow.incident_id) & (CodeRow.recipient_id == EscalationRow.recipient_id)),
            )
            .where(self._good(address, now), NotificationRow.channel == channel, QUEUED)
        )
        return tuple((row["escalation_id"], row["id"]) for row in self._rows(query))

    def _good(self, address: str, now: datetime) -> Expression:
        return (CodeRow.address == address) & (CodeRow.given_at > now - _UNUSED_FOR)

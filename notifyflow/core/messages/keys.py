"""A key that was pressed on a call: which of the call's titles it covers; pure.

Receipts are stored with their code only, so the code says both: ``key 1 at 3`` is a 1 that was pressed when three titles had been
said or begun. In a call about one incident it is ``key 1``.
"""

import re
from dataclasses import dataclass

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls
from notifyflow.core.delivery.model import Evidence, Receipt

ACKNOWLEDGE, REPEAT, ALL = "1", "2", "4"
"""What keys do: acknowledge what was said, say it again, acknowledge everything. Any other key confirms what was said."""

_CODE = re.compile(r"key (?P<digit>\S)(?: at (?P<said>\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A pressed key.

    Attributes:
        digit: The key.
        said: How many titles had been said or begun; None in a call about one incident.
    """

    digit: str
    said: int | None = None

    @property
    def code(self) -> str:
        """The code of its receipt."""
        return f"key {self.digit}" if self.said is None else f"key {self.digit} at {self.said}"

    def covers(self, position: int | None, *, is_named: bool) -> bool:
        """Return whether it was pressed after a title had been begun.

        Args:
            position: The title's place in the call, from 0; None in a call about one incident.
            is_named: Whether the call has time for the title.
        """
        return is_named and (self.said is None or position is None or position < self.said)


def read_key(code: str) -> Key | None:
    """Return the key of a receipt's code; None if it is another code."""
    match = _CODE.fullmatch(code)
    return match and Key(digit=match["digit"], said=None if match["said"] is None else int(match["said"]))


def for_title(receipt: Receipt, position: int | None, *, is_named: bool) -> Receipt:
    """Return a receipt of a call as it applies to one of the attempts that the call carried.

    A key delivers the titles that were said or begun. For the others it only shows how far the call was heard; key 4 acknowledges
    them, too, where it was offered. A key of a provider that does not say how far its call was delivers what the call names. Any
    other receipt applies to all alike.
    """
    key = read_key(receipt.code) or Key(digit="")
    if not receipt.is_key_press or key.covers(position, is_named=is_named):
        return receipt
    return replace(
        receipt,
        result=None,
        evidence=Evidence.CARRIER,
        code=calls.UNSAID,
        reason=calls.UNSAID_REASON,
        is_acknowledgement=receipt.is_acknowledgement and key.digit == ALL,
        is_key_press=False,
    )

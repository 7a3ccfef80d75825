"""The meaning of providers' refusals and receipts, as data: one row per code, with its meaning and source.

The tables themselves stand beside their channels (``http``, ``smtp_codes``, ``aws_codes``, ``aws_events``, ``twilio_codes``,
``slack_codes``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from notifyflow.core.model import Evidence, Result
from notifyflow.errors import PermanentProviderError, ProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError


class Verdict(StrEnum):
    """What a refusal says about trying again."""

    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    OURS = "fault of ours"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """One code of one provider.

    Attributes:
        code: As the provider gives it, as text.
        verdict: What it says about trying again.
        meaning: In words; nothing personal.
        source: Where that is documented: title or page.
        is_general: For a fault of ours, whether every message would be refused, whomever it is for.
    """

    code: str
    verdict: Verdict
    meaning: str
    source: str
    is_general: bool = False

    def error(
        self, *, code: str = "", retry_after_s: float | None = None, is_unhealthy: bool = False, is_throttled: bool = False
    ) -> ProviderError:
        """Make the error to raise; ``code`` replaces the row's own where the row stands for many."""
        code = code or self.code
        match self.verdict:
            case Verdict.TEMPORARY:
                return TemporaryProviderError(
                    self.meaning, code=code, retry_after_s=retry_after_s, is_unhealthy=is_unhealthy, is_throttled=is_throttled
                )
            case Verdict.PERMANENT:
                return PermanentProviderError(self.meaning, code=code)
            case Verdict.OURS:
                return RefusedUsError(self.meaning, code=code, is_general=self.is_general)
            case Verdict.UNKNOWN:
                return UnknownOutcomeError(self.meaning, code=code)
        assert_never(self.verdict)


Table = Mapping[str, Row]


def table(*rows: Row) -> Table:
    """Index rows by their code.

    Raises:
        ValueError: When a code has two rows.
    """
    indexed = {row.code: row for row in rows}
    if len(indexed) != len(rows):
        raise ValueError("a code stands twice in a table")
    return indexed


@dataclass(frozen=True, slots=True)
class Status:
    """One status that a provider reports later.

    Attributes:
        result: What it means for the attempt; None where the error code decides.
        evidence: Who vouches for it.
        meaning: In words.
        source: Where it is documented.
        is_our_fault: Whether it blames us, and not the recipient.
    """

    result: Result | None
    evidence: Evidence | None
    meaning: str
    source: str
    is_our_fault: bool = False

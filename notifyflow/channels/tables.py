"""The meaning of providers' refusals and receipts, as data: one row per code, with its meaning and source.

The tables themselves stand beside their channels (``http``, ``smtp_codes``, ``aws_codes``, ``aws_events``, ``twilio_codes``,
``slack_codes``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from notifyflow.core.delivery.model import Evidence, Result
from notifyflow.errors import PermanentProviderError, ProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError


class Verdict(StrEnum):
    """Whether and when to retry after a refusal."""

    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    OURS = "fault of ours"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """One code of one provider.

    Attributes:
        code: As the provider gives it, as text.
        verdict: Whether and when to retry.
        meaning: In words, without personal data.
        source: The document: its title or page.
        is_general: For a fault of ours, whether it affects messages to all recipients.
        is_about_content: For a refusal for good or a fault of ours, whether another message might be accepted in its place; then
            one of several notifications is halved.
    """

    code: str
    verdict: Verdict
    meaning: str
    source: str
    is_general: bool = False
    is_about_content: bool = False

    def error(
        self, *, code: str = "", retry_after_s: float | None = None, is_unhealthy: bool = False, is_throttled: bool = False
    ) -> ProviderError:
        """Make the error to raise; ``code`` replaces the row's own if the row stands for many codes."""
        code = code or self.code
        match self.verdict:
            case Verdict.TEMPORARY:
                return TemporaryProviderError(
                    self.meaning, code=code, retry_after_s=retry_after_s, is_unhealthy=is_unhealthy, is_throttled=is_throttled
                )
            case Verdict.PERMANENT:
                return PermanentProviderError(self.meaning, code=code, is_about_content=self.is_about_content)
            case Verdict.OURS:
                return RefusedUsError(self.meaning, code=code, is_general=self.is_general, is_about_content=self.is_about_content)
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
        raise ValueError("a table has two rows for one code")
    return indexed


@dataclass(frozen=True, slots=True)
class Status:
    """One status that a provider reports later.

    Attributes:
        result: The attempt's result; None if the error code decides.
        evidence: The source of the evidence.
        source: The document: its title or page.
        is_our_fault: Whether the fault is ours, and not the recipient's.
        is_about_content: As in ``Row``.
    """

    result: Result | None
    evidence: Evidence | None
    meaning: str
    source: str
    is_our_fault: bool = False
    is_about_content: bool = False


Statuses = Mapping[str, Status]

"""The page of providers' codes says what the tables say; ``python -m tests.unit.channels.test_codes_page`` writes it anew."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from notifyflow.channels.aws.codes import SQS
from notifyflow.channels.aws.events import MAIL_EVENTS
from notifyflow.channels.http import STATUSES
from notifyflow.channels.registry import GROUP
from notifyflow.channels.tables import Row, Status

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "provider-codes.rst"
INTRODUCTION = """\
:nosearch:

Providers' codes
================

How notifyflow classifies the providers' codes. A *temporary* failure is retried, a *permanent* one is not. A *fault of ours* is
retried, suspected at once, and reported to operations. *Unknown* means that the provider may have accepted the message: the
attempt is in doubt and is retried. The HTTP status classifies a code that is in no table. A code that blames our request is a
fault of ours; only a code that blames the address concerns the recipient. A code means the same in a response and in a receipt.
A code with *(content)* may concern only a part of a message that carries several notifications: its two halves are sent in its
place, until what is refused alone has failed.

The *evidence* of a receipt says who confirms it, from weak to strong: *accepted* (the provider), *carrier* (the network, or the
recipient's server), *device*, *human*. The strongest evidence of an attempt is shown. A status that is in no table is stored, and
proves only that the provider has the message.

``notifyflow code 30006`` explains one of them on the command line, so a search of these pages leaves them out.

The source of each row is a page of the provider or a standard. For two codes we found none: Twilio's 30018, a warning that says
nothing about delivery (the error that it warns of is 30040), and Exchange's 5.7.54, which counts as ``5.7.x``.
"""
OTHERS = {"HTTP statuses, for every provider over HTTP": STATUSES, "SQS": SQS}


def sections() -> Iterator[tuple[str, Mapping[str, Row | Status]]]:
    """Yield a title and a table: those of all, then those of each built-in channel."""
    points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
    channels = [point.load() for point in points if point.value.startswith("notifyflow.")]
    yield from {**OTHERS, **{title: codes for channel in channels for title, codes in channel.codes}}.items()


def page() -> str:
    parts = [INTRODUCTION]
    for title, codes in sections():
        rows = [(f"``{row.code}``", _verdict(row), row.meaning, row.source) for row in codes.values() if isinstance(row, Row)]
        receipts = [
            (
                f"``{status}``",
                _result(about, "noted" if codes is MAIL_EVENTS else "by the error code"),
                str(about.evidence),
                about.meaning,
                about.source,
            )
            for status, about in codes.items()
            if isinstance(about, Status)
        ]
        if receipts:
            parts.append(_section(title, ("status", "result", "evidence", "meaning", "source"), receipts, "15 12 12 36 25"))
        else:
            parts.append(_section(title, ("code", "counts as", "meaning", "source"), sorted(rows), "15 15 40 30"))
    return "\n".join(parts)


def _verdict(row: Row) -> str:
    return f"{row.verdict} (content)" if row.is_about_content else str(row.verdict)


def _result(about: Status, otherwise: str) -> str:
    result = "fault of ours" if about.is_our_fault else str(about.result or otherwise)
    return f"{result} (content)" if about.is_about_content else result


def _section(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]], widths: str) -> str:
    lines = [title, "-" * len(title), "", ".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for first, *rest in (head, *rows):
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in rest)]
    return "\n".join([*lines, ""])


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == page()


if __name__ == "__main__":
    PAGE.write_text(page())

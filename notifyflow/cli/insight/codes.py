"""The command that explains a provider's code, from the code tables of the installed channels."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, assert_never

import typer
from rich.text import Text

from notifyflow.channels.aws.codes import SQS
from notifyflow.channels.http import STATUSES
from notifyflow.channels.registry import load
from notifyflow.channels.tables import Row, Status, Statuses, Table, Verdict
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import AsJson
from notifyflow.errors import Fault, InvalidRequest
from notifyflow.settings import Settings

app = typer.Typer()

_OF_SEVERAL = re.compile(r"[0-9x.]*x[0-9x.]*")
"""The code of a row that stands for several codes: ``5xx``, ``5.7.x``."""


_HALVED = "A message that carries several notifications leaves again in two halves before any of them fails."


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The entry of one table for a code.

    Attributes:
        table: The title of the table: whose code it is.
    """

    table: str
    code: str
    about: Row | Status

    @property
    def counts_as(self) -> str:
        """How it counts, in one word or a few."""
        if isinstance(self.about, Row):
            return str(self.about.verdict)
        return "fault of ours" if self.about.is_our_fault else str(self.about.result or "as its error code says")

    @property
    def consequence(self) -> str:
        """What notifyflow does about it, in a sentence."""
        about = self.about
        if isinstance(about, Status):
            evidence = f", with the {about.evidence} as evidence" if about.evidence else ""
            said = f"A report that comes after a send; it counts as {about.result or 'its error code says'}{evidence}."
        else:
            said = self._retried(about.verdict)
        return f"{said} {_HALVED}" if about.is_about_content else said

    @staticmethod
    def _retried(verdict: Verdict) -> str:
        match verdict:
            case Verdict.TEMPORARY:
                return "A temporary failure: it is tried again while attempts last."
            case Verdict.PERMANENT:
                return "A permanent failure: it is not tried again, and counts for the next tier."
            case Verdict.OURS:
                return "A fault of ours: it is tried again, counts for the next tier at once, and operations is told."
            case Verdict.UNKNOWN:
                return "Nobody knows whether the message left: it is tried again, and may come twice."
        assert_never(verdict)


@app.command()
def code(
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="The code, as `status` and `log` show it: 30006, 5.1.1.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Explain a provider's code: what it means, and what notifyflow does about it."""
    tables = tables_by_title()
    found = explain(code, tables)
    if not found:
        raise InvalidRequest((_unknown(code, tables),))
    if as_json:
        screen.print_json([_document(each) for each in found])
        return
    for each in found:
        screen.out.print(Text.assemble((each.code, "bold"), f"  {each.table}: {each.about.meaning}."), soft_wrap=True)
        screen.out.print(Text(f"  {each.consequence} Source: {each.about.source}."), soft_wrap=True)


def tables_by_title() -> Mapping[str, Table | Statuses]:
    """Return the tables of all installed channels by title, each once, then those shared by several channels."""
    settings, _ = Settings.tolerant()
    channels = load(settings)
    for channel in channels.values():
        channel.close()
    of_channels = {title: codes for channel in channels.values() for title, codes in channel.codes}
    return {**of_channels, "SQS": SQS, "HTTP": STATUSES}


def explain(code: str, tables: Mapping[str, Table | Statuses]) -> list[Explained]:
    """Return each table's entry for a code, or, if no table has it, the entries for codes of its kind."""
    return [*_exactly(code, tables)] or [*_among_several(code, tables)]


def _exactly(code: str, tables: Mapping[str, Table | Statuses]) -> Iterator[Explained]:
    for title, codes in tables.items():
        for known, about in codes.items():
            if known.casefold() == code.casefold():
                yield Explained(table=title, code=known, about=about)


def _among_several(code: str, tables: Mapping[str, Table | Statuses]) -> Iterator[Explained]:
    for title, codes in tables.items():
        for known, about in codes.items():
            if _OF_SEVERAL.fullmatch(known) and re.fullmatch(re.escape(known).replace("x", "[0-9]+"), code):
                yield Explained(table=title, code=known, about=about)


def _unknown(code: str, tables: Mapping[str, Iterable[str]]) -> Fault:
    near = get_close_matches(code, sorted({each for codes in tables.values() for each in codes}), n=1)
    remedy = f"Use {near[0]}, if that was meant" if near else "Look it up at the provider; it counts as its HTTP status says"
    return Fault("CODE", f"{code!r} is in no table of the installed channels", remedy)


def _document(each: Explained) -> Mapping[str, object]:
    evidence = each.about.evidence if isinstance(each.about, Status) else None
    return {
        "code": each.code,
        "table": each.table,
        "counts_as": each.counts_as,
        "evidence": evidence,
        "meaning": each.about.meaning,
        "source": each.about.source,
    }

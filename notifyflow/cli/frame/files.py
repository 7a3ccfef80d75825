"""Reads incident files: JSON with its recipients inside, or in a second file; reports the faults of both at once. Reads logs."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from notifyflow.core.delivery.model import Incident
from notifyflow.core.intake.requests import Submission, add_recipients, read_incident
from notifyflow.errors import Fault, InvalidIncident

LIMIT_BYTES = 4 * 1024 * 1024
_NOTHING = Submission(incident=Incident(key="", title=""))


def read(incident_file: str, recipients_file: str | None, *, policy: str = "default", strict: bool = False) -> Submission:
    """Read an incident file (``-`` is standard input) and more recipients; the faults of single recipients go along.

    Raises:
        InvalidIncident: When the file holds no valid incident; it lists the faults of both files.
    """
    faults: tuple[Fault, ...] = ()
    submission = _NOTHING
    try:
        submission = read_incident(text(incident_file))
    except InvalidIncident as error:
        faults = error.faults
    if recipients_file is not None:
        submission = _add(submission, recipients_file)
    if faults:
        raise InvalidIncident((*faults, *submission.unread))
    return replace(submission, policy=policy, strict=strict)


def _add(submission: Submission, recipients_file: str) -> Submission:
    try:
        return add_recipients(submission, text(recipients_file))
    except InvalidIncident as error:
        lost = tuple(Fault("--recipients", f"{recipients_file}: {fault.what}", fault.remedy) for fault in error.faults)
        return replace(submission, unread=(*submission.unread, *lost))


def lines(names: Iterable[str]) -> Iterator[str]:
    """Yield the lines of files one after the other (``-`` is standard input); what is not UTF-8 is replaced."""
    for name in names:
        try:
            with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as file:
                yield from (line.decode(errors="replace") for line in file)
        except OSError as error:
            raise _unreadable(
                name, f"cannot be read: {error.strerror}", "Name a file that exists and that you may read"
            ) from None


def text(name: str) -> str:
    """Return the text of a file; ``-`` is standard input."""
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(LIMIT_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise _unreadable(name, f"cannot be read: {error.strerror}", "Name a file that exists and that you may read") from None
    if len(raw) > LIMIT_BYTES:
        raise _unreadable(
            name, f"is larger than {LIMIT_BYTES // 1024 // 1024} MB", "Shorten the texts, and link to details with `url`"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(name, "is not UTF-8 text", "Save it as UTF-8") from None


def _unreadable(name: str, what: str, remedy: str) -> InvalidIncident:
    return InvalidIncident((Fault("standard input" if name == "-" else name, what, remedy),))

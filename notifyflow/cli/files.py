"""Reads incident files: JSON with its recipients inside, or in a second file; all that is wrong with both is said at once."""

import sys
from collections.abc import Sequence
from pathlib import Path

from notifyflow.core.documents import read_incident, read_recipients
from notifyflow.core.model import Incident, Recipient
from notifyflow.errors import Fault, InvalidIncident, InvalidInput

LIMIT_BYTES = 4 * 1024 * 1024


def read(incident_file: str, recipients_file: str | None) -> tuple[Incident, Sequence[Recipient]]:
    """Read what is to be sent.

    Args:
        incident_file: A path, or ``-`` for standard input.
        recipients_file: A path with more recipients; None for none.

    Raises:
        InvalidIncident: With every fault of both files.
    """
    faults: list[Fault] = []
    incident: Incident | None = None
    recipients: list[Recipient] = []
    try:
        incident, inside = read_incident(_text(incident_file))
        recipients.extend(inside)
    except InvalidInput as error:
        faults.extend(error.faults)
    if recipients_file is not None:
        try:
            recipients.extend(read_recipients(_text(recipients_file)))
        except InvalidInput as error:
            faults.extend(error.faults)
    if incident is None or faults:
        raise InvalidIncident(tuple(faults))
    return incident, recipients


def _text(name: str) -> str:
    try:
        if name == "-":
            raw = sys.stdin.buffer.read(LIMIT_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                raw = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise _unreadable(name, f"cannot be read: {error.strerror}", "Give a file that exists and that you may read") from None
    if len(raw) > LIMIT_BYTES:
        raise _unreadable(name, f"is larger than {LIMIT_BYTES // 1024 // 1024} MB", "Link to long material with `url` instead")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(name, "is not UTF-8 text", "Save it as UTF-8") from None


def _unreadable(name: str, what: str, remedy: str) -> InvalidIncident:
    return InvalidIncident((Fault("standard input" if name == "-" else name, what, remedy),))

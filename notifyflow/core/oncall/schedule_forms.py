"""Reads the schedules of a directory file, and checks them."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, time
from functools import partial
from types import MappingProxyType
from typing import Any

from notifyflow.core import text
from notifyflow.core.forms import FLAG, TEXT, Codec, Node, length_faults, listed, record, unknown
from notifyflow.core.hours import EARLIEST, LATEST, Hours
from notifyflow.core.intake.validation import MAX_URL, is_time_zone
from notifyflow.core.messages.addresses import is_web_address
from notifyflow.core.oncall.schedules import Every, Layer, Schedule, Unit
from notifyflow.errors import Fault

MARK = "@"
"""Begins the name of a schedule among names of recipients and groups."""

_DAYS = tuple(day[:3].casefold() for day in text.DAYS)
_EVERY = re.compile(r"(\d{1,4}) ?(h|d|w|mo)", re.ASCII)
_EVERY_REMEDY = 'Write a number and h, d, w or mo, such as "12h", "1d", "1w" or "1mo"'
_MOST: Mapping[Unit, int] = MappingProxyType({Unit.HOURS: 24, Unit.DAYS: 3_660, Unit.WEEKS: 520, Unit.MONTHS: 120})
_HOURS = re.compile(r"(?:(?P<days>[a-z -]+?) ?)?(?:(?P<begins>\d\d:\d\d) ?- ?(?P<ends>\d\d:\d\d))?", re.ASCII)
_ONLY_REMEDY = 'Write days, hours or both, as in "Mon-Fri 09:00-18:00, Sat 10:00-14:00"'
_MIDNIGHT = time(0)


def _turn(node: Node) -> tuple[str, ...]:
    return (TEXT.read(node),) if isinstance(node.value, str) else listed(TEXT).read(node)


def _local(node: Node) -> datetime:
    if not isinstance(node.value, datetime):
        what = "has no time" if isinstance(node.value, date) else "is not a date and time"
        raise node.refuse(what, "Write both, without quotes, as in 2026-12-07T09:00:00")
    if node.value.tzinfo is not None:
        raise node.refuse("has an offset from UTC", "Leave it out; it is a local time of the schedule's time zone")
    if not EARLIEST.year <= node.value.year < LATEST.year:
        raise node.refuse("is not a plausible time", "Say when the first turn begins")
    return node.value


def _every(node: Node) -> Every:
    match = _EVERY.fullmatch(node.value) if isinstance(node.value, str) else None
    if match is None:
        raise node.refuse("is not the length of a turn", _EVERY_REMEDY)
    every = Every(count=int(match[1]), unit=Unit(match[2]))
    if every.unit is Unit.HOURS and (every.count == 0 or 24 % every.count):
        raise node.refuse("does not divide a day", "Use 1, 2, 3, 4, 6, 8, 12 or 24 hours, or whole days")
    if not 1 <= every.count <= _MOST[every.unit]:
        raise node.refuse("is not a plausible length of a turn", "Use at least one day, and at most ten years")
    return every


def _only(node: Node) -> tuple[Hours, ...]:
    parts = [_hours(each.strip()) for each in node.value.casefold().split(",")] if isinstance(node.value, str) else [None]
    found = tuple(each for each in parts if each is not None)
    if len(found) < len(parts):
        raise node.refuse("does not name hours of the week", _ONLY_REMEDY)
    return found


def _hours(written: str) -> Hours | None:
    """Read ``mon-fri 09:00-18:00``; without days it means every day, and without hours the whole day."""
    match = _HOURS.fullmatch(written)
    if match is None or not written:
        return None
    days = frozenset(range(7)) if match["days"] is None else _days(match["days"])
    begins, ends = (_MIDNIGHT, _MIDNIGHT) if match["begins"] is None else (_time(match["begins"]), _end(match["ends"]))
    return None if not days or begins is None or ends is None else Hours(days=days, begins=begins, ends=ends)


def _days(written: str) -> frozenset[int]:
    """Read ``mon-fri sun``; return no days if that is something else."""
    found: set[int] = set()
    for span in re.sub(" ?- ?", "-", written).split():
        names = span.split("-")
        if len(names) > 2 or not all(name in _DAYS for name in names):
            return frozenset()
        first, last = _DAYS.index(names[0]), _DAYS.index(names[-1])
        found.update((first + day) % 7 for day in range((last - first) % 7 + 1))
    return frozenset(found)


def _time(written: str) -> time | None:
    hour, minute = map(int, written.split(":"))
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _end(written: str) -> time | None:
    return _MIDNIGHT if written == "24:00" else _time(written)


def _layer(**fields: Any) -> Layer:
    return Layer(first=fields.pop("from"), **fields)


_LAYER: Mapping[str, Codec[Any]] = {
    "who": listed(Codec(_turn, list), placeholder=("",)),
    "from": Codec(_local, datetime.isoformat),
    "every": Codec(_every, str),
    "only": Codec(_only, str),
}
_NO_LAYER = Layer(who=(), first=datetime.combine(EARLIEST.date(), _MIDNIGHT), every=Every(count=1, unit=Unit.WEEKS))
_PLACEHOLDERS: Mapping[str, object] = {"who": (), "from": _NO_LAYER.first, "every": _NO_LAYER.every}
_SCHEDULE: Mapping[str, Codec[Any]] = {
    "timezone": TEXT,
    "layers": listed(record(_layer, _LAYER, placeholders=_PLACEHOLDERS), placeholder=_NO_LAYER),
    "ical": TEXT,
    "may_have_gaps": FLAG,
    "handover": FLAG,
}


def schedule_codec(name: str) -> Codec[Schedule]:
    """Return the codec of the table of a schedule."""
    table = record(partial(no_schedule, name), _SCHEDULE, placeholders={})

    def read(node: Node) -> Schedule:
        found = table.read(node)
        if found.layers and "timezone" not in node.fields():
            node.field("timezone", None).refuse_whole(
                "it is missing", "Say where the layers' times are local, such as Europe/Berlin"
            )
        return found

    return Codec(read, table.write)


def no_schedule(name: str, **fields: Any) -> Schedule:
    """Return a schedule with these fields, in which otherwise nobody is on duty."""
    return Schedule(name=name, **{"timezone": "UTC", **fields})


def schedule_faults(where: str, schedule: Schedule, recipients: Collection[str], groups: Collection[str]) -> Iterator[Fault]:
    """Yield the faults of a schedule, also those that follow from a value that could not be read."""
    yield from _source_faults(where, schedule)
    if not is_time_zone(schedule.timezone):
        yield Fault(
            f"{where}.timezone", f"{text.quoted(schedule.timezone)} is not a time zone", "Use an IANA name such as Europe/Berlin"
        )
    for index, layer in enumerate(schedule.layers):
        yield from _layer_faults(f"{where}.layers[{index}].who", layer, recipients, groups)


def _source_faults(where: str, schedule: Schedule) -> Iterator[Fault]:
    if schedule.ical is not None and schedule.layers:
        yield Fault(f"{where}.ical", "it has layers, too", "Keep one of them; an override changes the duty of either")
    elif schedule.ical is not None:
        yield from length_faults(f"{where}.ical", schedule.ical, MAX_URL, "Shorten it")
        if not is_web_address(schedule.ical):
            yield Fault(
                f"{where}.ical", f"{text.masked(schedule.ical)} is not a web address", "Give one that begins with https://"
            )
    elif not schedule.layers:
        yield Fault(where, "it has neither layers nor a calendar", "Add a layer, or `ical` with the URL of a calendar")


def _layer_faults(where: str, layer: Layer, recipients: Collection[str], groups: Collection[str]) -> Iterator[Fault]:
    if not layer.who:
        yield Fault(where, "it is empty", "Name who takes turns")
    for index, turn in enumerate(layer.who):
        if not turn:
            yield Fault(f"{where}[{index}]", "it is empty", "Name at least one recipient, or leave the turn out")
        for name in turn:
            if name in groups and name not in recipients:
                yield Fault(f"{where}[{index}]", f"{text.quoted(name)} is a group", "Name its members; those in [ ] share a turn")
            elif name not in recipients:
                yield unknown(f"{where}[{index}]", "recipient", name, recipients)

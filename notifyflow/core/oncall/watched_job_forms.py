"""Reads the watched jobs of a directory file, and checks them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from notifyflow.core import namespaces
from notifyflow.core.delivery.model import Severity
from notifyflow.core.forms import DURATION, TEXT, Codec, choice, listed, mapped, record
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.oncall.timetables import Timetable, timetable_faults
from notifyflow.errors import Fault

if TYPE_CHECKING:
    from notifyflow.core.oncall.directory import Route

LABEL = "heartbeat"
"""The label with the name of the job, by which a route may match it."""
METHODS = ("GET", "HEAD", "POST")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_RESERVED = re.compile(r"start|fail|log|\d{1,3}|nf_.*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredJob:
    """A watched job as the directory declares it.

    Attributes:
        labels: The labels of its incidents, by which a route is found.
        route: Its own route; None uses the directory's.
        severity: The severity of its incidents.
        methods: The HTTP methods with which it pings; empty for any.
        namespace: The namespace of its incidents.
    """

    name: str
    timetable: Timetable
    labels: Mapping[str, str] = FrozenDict()
    route: "Route | None" = None
    severity: Severity = Severity.ERROR
    methods: tuple[str, ...] = ()
    namespace: str = namespaces.SHARED

    @property
    def all_labels(self) -> Mapping[str, str]:
        """Its labels, and its name."""
        return {**self.labels, LABEL: self.name}


def no_job(name: str, **fields: Any) -> DeclaredJob:
    """Return a job with these fields of its table."""
    times = {each: fields.pop(each) for each in ("every", "cron", "timezone", "grace") if each in fields}
    return DeclaredJob(name=name, timetable=Timetable(**times), **fields)


def job_codec(name: str, route: "Codec[Route]") -> Codec[DeclaredJob]:
    """Return the codec of the table of a job.

    Args:
        name: Its name.
        route: The codec of its own route.
    """
    table: Mapping[str, Codec[Any]] = {
        "every": DURATION,
        "cron": TEXT,
        "timezone": TEXT,
        "grace": DURATION,
        "labels": mapped(TEXT),
        "route": route,
        "severity": choice("severity", Severity),
        "methods": listed(TEXT),
        "namespace": TEXT,
    }
    return record(partial(no_job, name), table, placeholders={})


def job_faults(where: str, job: DeclaredJob) -> Iterator[Fault]:
    """Yield the faults of a job."""
    if not _NAME.fullmatch(job.name):
        yield Fault(where, "its name cannot be part of a URL", "Use letters, digits, dots, hyphens and underscores")
    elif _RESERVED.fullmatch(job.name):
        yield Fault(where, "its name is a part of the URLs of pings", "Choose another name")
    yield from timetable_faults(where, job.timetable)
    if job.route is not None and job.labels:
        yield Fault(f"{where}.labels", "it has a route of its own, too", "Keep one of them")
    for method in job.methods:
        if method not in METHODS:
            yield Fault(f"{where}.methods", f"{method!r} is not a method of a ping", "Use GET, HEAD or POST")
    yield from namespaces.faults(f"{where}.namespace", job.namespace, may_be_all=False)

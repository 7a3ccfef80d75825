"""Silences: matching incidents page nobody for a while, because somebody wants it so; pure.

A silence is a hold on single incidents: what they would send waits for its end, and their clocks stop. It ends for an incident
when its time is over, when somebody ends it, when the incident's severity rises above it, when the incident's labels no longer
match, when somebody is paged again, or when its author may no longer operate. It does not come back to that incident.
"""

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum

from notifyflow.core import text
from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.forms import id_faults
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.namespaces import ALL, OPERATIONS, SHARED
from notifyflow.core.patterns import fits
from notifyflow.errors import Fault, InvalidSilence

LONGEST = timedelta(hours=24)
"""No silence is longer; who needs more starts another one."""
FURTHEST = timedelta(days=30)
"""No silence is planned further ahead."""
AGAIN_WITHIN = timedelta(hours=1)
"""Operations is told of a silence that begins this soon after another one with the same matchers has ended."""
CARRIED_OUT_WITHIN = timedelta(seconds=10)
"""How long after a silence's end pages wait at most for it to be carried out, so that they leave together."""
LONGEST_REASON = 200
MOST_PATTERNS = 20
LONGEST_PATTERN = 200
_KEY, _SEVERITY = "key", "severity"
_QUOTED = frozenset(" '\"\\")
_SPELLED = "Write label=value, key=value or severity<=ERROR; * stands for any text"
_SOMETHING = "Name a label, as in team=orders, or a key; `notifyflow pause --all` stops everything"
_NO_NAME = "* stands for any value of a label, not for its name: write team=* for all that have a team"
_BY_KEY = "Name the incidents with key=, without * and without labels"


class AuthorKind(StrEnum):
    """How somebody came to start a silence."""

    USER = "user"
    KEY = "key"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who starts or ends a silence.

    Attributes:
        name: The name that people read.
        kind: A user of the dashboard, an API key, or the command line or library, which need no permission but the host's.
        id: The id of the user or key, whose permission is checked while the silence lasts; empty for the command line.
        namespaces: The namespaces in which they may operate now; None for all.
    """

    name: str
    kind: AuthorKind = AuthorKind.COMMAND
    id: str = ""
    namespaces: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matchers:
    """Which incidents a silence covers: all matchers must match.

    Attributes:
        labels: Label to patterns, as in a route: its value must match one of them.
        keys: Patterns, one of which an incident's key must match; empty for any key.
        severity: The highest severity that is covered.
    """

    labels: Mapping[str, tuple[str, ...]] = FrozenDict()
    keys: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        labels = [f"{label}={value}" for label, values in sorted(self.labels.items()) for value in values]
        words = (*labels, *(f"{_KEY}={each}" for each in self.keys), f"{_SEVERITY}<={self.severity}")
        return " ".join(shlex.quote(each) if _QUOTED & set(each) else each for each in words)

    def match(self, content: Incident) -> bool:
        """Return whether an incident's content, with its highest severity so far, matches."""
        is_covered = not (content.severity or Severity.ERROR).is_above(self.severity)
        return is_covered and (not self.keys or fits(self.keys, content.key)) and self.match_labels(content.labels or {})

    def match_labels(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels match."""
        return all(label in labels and fits(patterns, labels[label]) for label, patterns in self.labels.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A silence as stored.

    Attributes:
        namespaces: The namespaces on whose incidents it acts; None for all but that of notifyflow's own incidents.
        begins_at: When it begins.
        ends_at: When it ends unless somebody ends it sooner.
        created_at: When it was asked for.
        author_kind: As ``Author``; with ``author_id`` and ``author``, the author's name.
        ended_at: When it was ended early; None if it was not.
        ended_by: Who ended it early; empty if nobody did.
        marked_to: The id of the last incident that was looked at when it began.
        due_at: When its begin or its end is to be carried out; None once its end has been.
        is_begun: Whether all incidents were looked at.
    """

    id: str
    matchers: Matchers
    reason: str
    begins_at: datetime
    ends_at: datetime
    created_at: datetime
    author_kind: AuthorKind
    author_id: str
    author: str
    namespaces: frozenset[str] | None = None
    ended_at: datetime | None = None
    ended_by: str = ""
    marked_to: str = ""
    due_at: datetime | None = None
    is_begun: bool = False

    @property
    def is_for_critical(self) -> bool:
        """Whether it covers CRITICAL incidents."""
        return self.matchers.severity is Severity.CRITICAL

    @property
    def until(self) -> datetime:
        """When it ends, or ended."""
        return self.ends_at if self.ended_at is None else min(self.ended_at, self.ends_at)

    def is_in_force(self, now: datetime) -> bool:
        """Return whether it has begun and not ended."""
        return self.begins_at <= now < self.until

    def is_ending(self, now: datetime) -> bool:
        """Return whether it has just ended, and pages that came before wait for its end to be carried out."""
        return self.due_at is not None and self.begins_at < self.until <= now < self.until + CARRIED_OUT_WITHIN

    def reaches(self, namespace: str) -> bool:
        """Return whether it acts on the incidents of a namespace; never on notifyflow's own."""
        return namespace != OPERATIONS and (self.namespaces is None or namespace in self.namespaces)

    def covers(self, namespace: str, content: Incident) -> bool:
        """Return whether it covers an incident of a namespace with this content."""
        return self.reaches(namespace) and self.matchers.match(content)


@dataclass(frozen=True, slots=True, kw_only=True)
class SilencedInterval:
    """The time in which a silence holds one incident.

    Attributes:
        ended_at: When it ended, or will end by itself.
    """

    incident_id: str
    silence_id: str
    began_at: datetime
    ended_at: datetime


def may_act(namespaces: Collection[str] | None, allowed: Collection[str] | None) -> bool:
    """Return whether somebody who may operate in some namespaces (None for all) may act on others (None for all)."""
    return allowed is None or (namespaces is not None and set(namespaces) <= set(allowed))


def read_matchers(words: Iterable[str]) -> Matchers:
    """Read matchers such as ``team=orders``, ``key=db-1`` and ``severity<=ERROR``.

    Raises:
        InvalidSilence: With every fault.
    """
    labels: dict[str, tuple[str, ...]] = {}
    keys: list[str] = []
    severity, faults = Severity.ERROR, list[Fault]()
    for word in words:
        name, sign, value = _parts(word)
        if not (name and sign and value):
            faults.append(Fault("match", f"{text.quoted(word)} is no matcher", _SPELLED))
        elif name == _SEVERITY:
            try:
                severity = Severity(value if sign == "<=" else "")
            except ValueError:
                faults.append(Fault("match", f"{text.quoted(word)} names no severity", "Write one such as severity<=WARNING"))
        elif sign == "<=":
            faults.append(Fault("match", f"{text.quoted(word)} compares something else than the severity", _SPELLED))
        elif name == _KEY:
            keys.append(value)
        else:
            labels[name] = (*labels.get(name, ()), value)
    if faults:
        raise InvalidSilence(tuple(faults))
    return Matchers(labels=FrozenDict(labels), keys=tuple(keys), severity=severity)


def read_line(line: str) -> Matchers:
    """Read matchers from one line, as a shell splits it: ``team=orders 'service=orders db'``.

    Raises:
        InvalidSilence: With every fault.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        raise InvalidSilence((Fault("match", "a quotation mark has no other", _SPELLED),)) from None
    return read_matchers(words)


def like(content: Incident) -> Matchers:
    """Return matchers of what looks like an incident: its labels; its key if it is CRITICAL, or if no label can be matched."""
    severity = content.severity or Severity.ERROR
    labels = {} if severity is Severity.CRITICAL else dict(filter(_is_readable, (content.labels or {}).items()))
    patterns = {name: (value,) for name, value in list(labels.items())[:MOST_PATTERNS]}
    return Matchers(labels=FrozenDict(patterns), keys=() if patterns else (content.key,), severity=severity)


def _is_readable(label: tuple[str, str]) -> bool:
    """Return whether a label can be written as a matcher: one named ``severity`` cannot, for instance."""
    name, value = label
    wanted = Matchers(labels=FrozenDict({name: (value,)}))
    try:
        return max(len(name), len(value)) <= LONGEST_PATTERN and read_line(str(wanted)) == wanted
    except InvalidSilence:
        return False


def _parts(word: str) -> tuple[str, str, str]:
    """Return the name, the sign and the value of a matcher; empty texts if it has none."""
    before, equals, after = word.partition("=")
    name, value = text.one_line(before), text.one_line(after)
    if name.endswith("<"):
        return text.one_line(name[:-1]), f"<{equals}", value
    return name, equals, value


def validate_silence(
    matchers: Matchers,
    namespaces: Collection[str] | None,
    *,
    author: str,
    reason: str,
    begins_at: datetime,
    span: timedelta,
    now: datetime,
) -> None:
    """Validate a requested silence.

    Raises:
        InvalidSilence: With every fault.
    """
    faults = (*_match_faults(matchers), *_time_faults(begins_at, span, now), *_reason_faults(reason))
    if namespaces is not None:
        faults = (*faults, *_namespace_faults(namespaces))
    if not text.one_line(author):
        faults = (*faults, Fault("by", "it is empty", "Say who silences, for those who look at a silenced incident"))
    if faults:
        raise InvalidSilence(faults)


def _match_faults(matchers: Matchers) -> Iterator[Fault]:
    patterns = [*matchers.keys, *(each for values in matchers.labels.values() for each in values)]
    if not all(matchers.labels.values()) or not (matchers.labels or any(set(each) - {"*"} for each in matchers.keys)):
        yield Fault("match", "it would match every incident", _SOMETHING)
    yield from (Fault("match", f"{text.quoted(each)} names no label", _NO_NAME) for each in matchers.labels if "*" in each)
    if len(patterns) > MOST_PATTERNS:
        yield Fault("match", f"it has more than {MOST_PATTERNS} patterns", "Start several silences")
    if any(not each or len(each) > LONGEST_PATTERN for each in (*patterns, *matchers.labels)):
        yield Fault("match", f"a label or pattern is empty, or has more than {LONGEST_PATTERN} characters", _SPELLED)
    if matchers.severity is Severity.CRITICAL and (matchers.labels or not matchers.keys or any("*" in each for each in patterns)):
        yield Fault("match", "CRITICAL incidents are only silenced by their keys", _BY_KEY)


def label_warnings(matchers: Matchers, known: Collection[str]) -> Iterator[str]:
    """Yield a warning for each label that nothing is known to have had, with the nearest one that something had."""
    for label in sorted(matchers.labels.keys() - set(known)):
        near = get_close_matches(label, known, n=1, cutoff=0.0)
        what = f"no route, recent incident or watched job has the label {text.quoted(label)}"
        yield f"{what}; the nearest is {text.quoted(near[0])}" if near else what


def _namespace_faults(namespaces: Collection[str]) -> Iterator[Fault]:
    if OPERATIONS in namespaces or ALL in namespaces or not namespaces:
        what = f"{text.listed(sorted(namespaces)) or 'nothing'} cannot be silenced"
        yield Fault("namespace", what, "Name namespaces of incidents; notifyflow's own incidents always page")
    for each in sorted(set(namespaces) - {SHARED}):
        yield from id_faults("namespace", each)


def _time_faults(begins_at: datetime, span: timedelta, now: datetime) -> Iterator[Fault]:
    if not timedelta() < span <= LONGEST:
        yield Fault("for", f"{text.duration(span)} is not a valid length for a silence", "Give up to 24h, such as 2h")
    if not now <= begins_at <= now + FURTHEST:
        yield Fault("at", "it does not begin now, nor within the next 30 days", "Give a time that is to come")


def _reason_faults(reason: str) -> Iterator[Fault]:
    if not reason.strip():
        yield Fault("why", "it is empty", "Say why, for those who look at a silenced incident")
    elif len(reason) > LONGEST_REASON:
        yield Fault("why", f"it has more than {LONGEST_REASON} characters", "Shorten it")


def is_again(new: Silence, earlier: Iterable[Silence]) -> bool:
    """Return whether a silence begins while another one with the same matchers lasts, or within an hour of its end."""
    return any(
        (each.matchers, each.namespaces) == (new.matchers, new.namespaces)
        and each.id != new.id
        and each.until > each.begins_at
        and each.begins_at <= new.begins_at <= each.until + AGAIN_WITHIN
        for each in earlier
    )

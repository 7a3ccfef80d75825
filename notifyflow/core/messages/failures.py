"""The text of operations incidents: the people who were not reached, the incident, and the reason; pure.

Titles and names are personal: they appear in messages, never in a log.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import chain

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import DeferralReason, Kind, NotificationState, Severity
from notifyflow.core.delivery.series import FLAPPING
from notifyflow.core.delivery.series_carried import Series
from notifyflow.core.messages.ways import way

IN_FULL = 3
"""Number of failures described in full; the others get one line each."""
AT_MOST = 20
"""Number of failures, and of notices, that are listed: the newest."""

_NAME_LIMIT = 60
_TITLE_LIMIT = 80
DAMAGED = "damaged"
"""The reason of a failure that is a row set aside."""
UNWATCHED = "unwatched"
"""The reason of a failure that is a watched job whose row is set aside: nobody would learn that it does not ping."""
_NOT_ANSWERED = ("unanswered", "chain_over")
_EXPLAINED: Mapping[str, str] = {
    "exhausted": "Every channel failed:",
    "unreachable": "There is no address to send anything to.",
    "critical_channels_failed": "Every critical channel failed:",
    "unproven": "Nothing shows that any page arrived, and nothing is left to try:",
    "unconfirmed": "Nothing shows that any page arrived:",
    "held_up": "Every way that is left is held up:",
    FLAPPING: "The outcome of the latest pages:",
    UNWATCHED: "`notifyflow status --broken` names the row. No incident is opened or resolved for it until that is mended.",
    DAMAGED: "`notifyflow status --broken` names the row. The outcome of the pages that can be read:",
    "unanswered": "The last round is over, and nobody has acknowledged:",
    "chain_over": "The chain is over, and nobody has acknowledged. The last person's pages:",
}
_WHY: Mapping[str, str] = {
    "exhausted": "every channel failed",
    "unreachable": "there is no address",
    "critical_channels_failed": "every critical channel failed",
    "unproven": "nothing shows that a page arrived",
    "unconfirmed": "nothing shows that a page arrived",
    "unanswered": "nobody acknowledged the last round",
    "chain_over": "the chain is over, and nobody has acknowledged",
}
_STANDS: Mapping[NotificationState, str] = {
    NotificationState.SENDING: "being sent",
    NotificationState.SENT: "sent",
    NotificationState.DELIVERED: "delivered",
}
_DEFERRED: Mapping[DeferralReason, str] = {
    DeferralReason.LIMIT: "a limit is used up",
    DeferralReason.RETRY_AFTER: "the provider asked to wait",
    DeferralReason.CIRCUIT: "the provider seems to be down",
    DeferralReason.SUSPENSION: "the provider refuses us",
    DeferralReason.PAUSE: "paused",
    DeferralReason.QUIET: "quiet hours",
    DeferralReason.SILENCE: "silenced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The outcome of a page on one channel.

    Attributes:
        what: The outcome, in plain words.
    """

    channel: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A critical failure: a recipient who was not reached.

    Attributes:
        at: When it became a critical failure.
        reason: Why it is one, as in ``AlertOperations``.
        who: The recipient's name; personal.
        title: The incident's title; personal.
        severity: The severity of the round.
        url: The incident's URL, if it has one.
        ways: The outcome on each channel, if the failure is described in full.
        link: The link that acknowledges the incident; None without a public URL.
    """

    escalation_id: str
    incident_id: str
    at: datetime
    reason: str
    who: str
    title: str
    severity: Severity
    key: str
    url: str | None
    series: Series | None = None
    ways: Sequence[Way] = ()
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A problem, other than a critical failure, that operations is told about.

    Attributes:
        at: When it was noticed.
        provider: The provider that it is about.
        reason: What is wrong.
    """

    at: datetime
    provider: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentPath:
    """A seemingly broken callback path, as one failure for all rounds that it alone leaves unproven.

    Attributes:
        provider: The provider of the path.
        rounds: Number of these rounds.
        uncounted: Number of these rounds that operations has not been paged about.
        at: When the newest of them became unproven.
    """

    provider: str
    rounds: int
    uncounted: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """The number of failures and notices since operations was last paged.

    Attributes:
        paging: Number of failures that are not only linked.
    """

    failures: int = 0
    paging: int = 0
    notices: int = 0


def critical_failure(reason: str) -> str:
    """Return the words for a critical failure, with its reason, as in ``AlertOperations``."""
    return f"critical failure: {_WHY[reason]}" if reason in _WHY else "critical failure"


def ways(notifications: Sequence[NotificationFacts], *, now: datetime) -> tuple[Way, ...]:
    """Return the outcome of each page of a round so far; cancelled pages are left out."""
    pages = [row for row in notifications if row.kind is Kind.PAGE and row.state is not NotificationState.CANCELLED]
    return tuple(Way(channel=row.channel, what=_what(row, now)) for row in pages)


def headline(
    failures: Sequence[Failure], notices: Sequence[Notice], uncounted: Uncounted, paths: Sequence[SilentPath] = ()
) -> str:
    """Return the title: the news in one line; all arguments are the newest first, with at least one item in all.

    If none is new, the title names the newest failure. A callback path is one failure, and named if no other is new.
    """
    new_paths = [each for each in paths if each.uncounted]
    singles = uncounted.failures - sum(each.uncounted for each in new_paths)
    if paths and (not failures or (new_paths and not singles)):
        return _silent(paths[0])
    uncounted = replace(uncounted, failures=singles + len(new_paths))
    if failures and (uncounted.failures or not uncounted.notices):
        count, kind, newest = uncounted.failures, "failures", _not_reached(failures[0])
    else:
        count, kind, newest = uncounted.notices, "notices", _noticed(notices[0])
    return f"{count} {kind}, the newest: {newest}" if count > 1 else newest


def body(failures: Sequence[Failure], notices: Sequence[Notice], zone: tzinfo = UTC, *, paths: Sequence[SilentPath] = ()) -> str:
    """Return the body: paths, the newest failures in full, the others and the notices in one line each, the newest first.

    Times are in the reader's zone, and in UTC.
    """
    silent = [f"{_silent(path)}. The newest: {text.moment(path.at, zone)}." for path in paths]
    full = ["\n".join(_in_full(failure, zone)) for failure in failures[:IN_FULL]]
    before = [f"{text.moment(failure.at, zone)}: {_not_reached(failure)}" for failure in failures[IN_FULL:]]
    others = [f"{text.moment(notice.at, zone)}: {_noticed(notice)}" for notice in notices]
    earlier = ["\n".join(("Earlier:", *before))] if before else []
    also = ["\n".join((*(("Also:",) if failures else ()), *others))] if others else []
    return "\n\n".join(chain(silent, full, earlier, also))


def unwatched(name: str, at: datetime) -> Failure:
    """Return the failure for a watched job that is set aside; its severity is in the directory, and here the worst."""
    return Failure(
        escalation_id="",
        incident_id="",
        at=at,
        reason=UNWATCHED,
        who="",
        title=name,
        severity=Severity.CRITICAL,
        key="",
        url=None,
    )


def damage(
    *, escalation_id: str, incident_id: str, at: datetime, severity: str, who: str, title: str, key: str, url: str | None
) -> Failure:
    """Return the failure for a row that is set aside; if its severity is damaged, too, it is the worst."""
    known = next((each for each in Severity if each == severity), Severity.CRITICAL)
    return Failure(
        escalation_id=escalation_id,
        incident_id=incident_id,
        at=at,
        reason=DAMAGED,
        who=who or "somebody",
        title=title,
        severity=known,
        key=key,
        url=url,
    )


def links(failures: Sequence[Failure]) -> Mapping[str, str]:
    """Return the links of the failures that are described in full, as labels, which every message shows as links."""
    found: dict[str, str] = {}
    for failure in failures[:IN_FULL]:
        for what, url in (("Acknowledge", failure.link), ("Look at", failure.url)):
            if url:
                found.setdefault(text.cut(f"{what} {failure.key}", _NAME_LIMIT), url)
    return found


def url(failures: Sequence[Failure]) -> str | None:
    """Return the link to the incident of the newest failure, or else its own URL."""
    return (failures[0].link or failures[0].url) if failures else None


def _in_full(failure: Failure, zone: tzinfo) -> Iterator[str]:
    is_flapping = failure.series is not None and failure.series.flapping_at is not None and failure.reason != FLAPPING
    yield f"{_not_reached(failure)}.{' The alert comes and goes.' if is_flapping else ''}"
    yield _EXPLAINED.get(failure.reason, "The outcome on each channel:")
    if failure.reason != "unreachable":
        yield from (f"- {way(each.channel)}: {each.what}" for each in failure.ways)
    yield f"Since {text.moment(failure.at, zone)}.{f' Key: {failure.key}' if failure.key else ''}"


def _not_reached(failure: Failure) -> str:
    who, title = text.cut(text.one_line(failure.who), _NAME_LIMIT), text.cut(text.one_line(failure.title), _TITLE_LIMIT)
    if failure.reason == FLAPPING:
        return f'"{title}" comes and goes, and {who} has not acknowledged ({failure.severity})'
    if failure.reason == UNWATCHED:
        return f'Nobody watches the heartbeat "{title}": a damaged row is set aside ({failure.severity})'
    if failure.reason == DAMAGED:
        return f'A damaged row is set aside, and may keep {who} from being paged about "{title}" ({failure.severity})'
    what = "has not answered" if failure.reason in _NOT_ANSWERED else "was not reached"
    return f'{who} {what} about "{title}" ({failure.severity})'


def _silent(path: SilentPath) -> str:
    pages = "a round" if path.rounds == 1 else f"{path.rounds} rounds"
    return f"{path.provider}: its callback path seems broken, and nothing shows that the pages of {pages} arrived"


def _noticed(notice: Notice) -> str:
    return f"{notice.provider}: {notice.reason}"


def _what(row: NotificationFacts, now: datetime) -> str:
    tries = len(counted(row))
    match row.state:
        case NotificationState.FAILED:
            said = f"failed: {row.reason or 'the reason is unknown'}"
        case NotificationState.QUEUED:
            said = _waits(row, now)
        case _:
            said = _STANDS[row.state]
    return f"{said} ({tries} attempts)" if tries > 1 else said


def _waits(row: NotificationFacts, now: datetime) -> str:
    """Return why a page has not left; it may leave while this is read, so the words do not exclude that."""
    last = counted(row)[-1:]
    if last and row.deferred_by is None:
        return f"failed for now: {last[0].reason or last[0].code or 'the reason is unknown'}; it is tried again"
    if row.deferred_by is not None:
        return f"waits: {_DEFERRED[row.deferred_by]}"
    return "waits for its turn" if row.due_at is None or row.due_at > now else "about to be sent"

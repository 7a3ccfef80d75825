"""The figures as they are stored, and as they follow from the rows and from the log, counted in another way."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from peewee import Database

from notifyflow.core.metrics.rollup import roll_up
from notifyflow.storage.metrics.rollup import RollupPosition, Rollups
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.store import Store

Counts = Mapping[tuple[str, ...], int]
"""How often, by the name of a figure and its labels; failures without their reason."""

_ALL = 1 << 40
_OUTCOMES = {
    "accepted": "accepted",
    "refused": "temporary_failure",
    "refused_for_good": "permanent_failure",
    "doubted": "in_doubt",
    "lease_expired": "in_doubt",
    "released": "not_sent",
}
_RESULTS = {
    "acceptance_reported": "accepted",
    "temporary_failure_reported": "temporary_failure",
    "delivery_reported": "delivered",
    "permanent_failure_reported": "permanent_failure",
}
_ENDED = ("expired", "beyond_retry_window", "no_provider", "capped", "opted_out")
_STARTS = ("opened", "severity_raised", "paged_again")
_SETTLED = ("REACHED", "EXHAUSTED", "ACKNOWLEDGED", "CANCELLED")
_LINES = """
    SELECT machine, row_id, version, event, source, target, detail FROM notifyflow_transition
    WHERE machine <> 'step' ORDER BY row_id, version
"""
_ROWS = "SELECT id, channel, kind, severity FROM notifyflow_notification"
_COUNTED = {
    "incident": "SELECT id, severity FROM notifyflow_incident WHERE is_operations OR namespace <> 'notifyflow'",
    "escalation": "SELECT id, severity FROM notifyflow_escalation WHERE round > 0",
}
_ATTEMPTS = "SELECT id, notification_id, provider, state, took_s, receipt_due_at, sent_with FROM notifyflow_attempt"
_RANGES = {"1": range(1, 2), "2-5": range(2, 6), "6-20": range(6, 21), "21-100": range(21, 101), "over 100": range(101, 10_000)}
_CRITICAL = """
    SELECT e.severity, COUNT(*) FROM notifyflow_critical c JOIN notifyflow_escalation e ON e.id = c.escalation_id GROUP BY 1
"""


def stored(store: Store) -> Counts:
    """Return what the metrics have counted."""
    return flat(store.read(lambda reads: reads.metrics.totals()).items())


def flat(values: Any) -> Counts:
    """Return how often each metric was counted; failures without their reason."""
    found: Counter[tuple[str, ...]] = Counter()
    for (name, labels), value in values:
        found[name, *map(str, labels[:2] if name == "notifyflow_failures" else labels)] += value.count
    return dict(found)


def rolled_up(db: Database) -> Counts:
    """Return what the whole log of an embedded database counts, from its first line on; nothing is stored."""
    place = RollupPosition(xid=0, line_id=0, after_id=0, rolled_up_at=None, until=_ALL)
    return flat(roll_up(Rollups(UnitOfWork(db)).read(place, limit=_ALL).logged).total.items())


def differences(one: Counts, other: Counts) -> Mapping[tuple[str, ...], tuple[int, int]]:
    """Return what was counted differently, with both counts."""
    keys = sorted(one.keys() | other.keys())
    return {key: (one.get(key, 0), other.get(key, 0)) for key in keys if one.get(key, 0) != other.get(key, 0)}


def recounted(look: Callable[[str], Sequence[Any]]) -> Counts:
    """Count the rows and the lines of the log; ``look`` runs a query."""
    found: Counter[tuple[str, ...]] = Counter()
    pages = {row_id: tuple(labels) for row_id, *labels in look(_ROWS)}
    severities = {machine: dict(map(tuple, look(query))) for machine, query in _COUNTED.items()}
    attempts = {attempt_id: tuple(rest) for attempt_id, *rest in look(_ATTEMPTS)}
    logs: dict[tuple[str, str], list[Any]] = defaultdict(list)
    counted = pages.keys() | severities["incident"].keys() | severities["escalation"].keys()
    for machine, row_id, *rest in [line for line in look(_LINES) if line[1] in counted]:
        logs[machine, row_id].append(rest)
    for (machine, row_id), log in logs.items():
        if machine == "notification":
            _count_page(found, pages[row_id], log, attempts)
        elif machine == "escalation":
            moves = [target for _, _, source, target, _ in log if source != target and target in _SETTLED]
            found.update(("notifyflow_escalations", severities[machine][row_id], target) for target in moves)
        else:
            _count_incident(found, severities[machine][row_id], [event for _, event, *_ in log])
    for notification_id, provider, _, took_s, *_ in attempts.values():
        if took_s is not None:
            found["notifyflow_provider_request_seconds", pages[notification_id][0], provider] += 1
    for severity, count in look(_CRITICAL):
        found["notifyflow_critical_failures", severity] += count
    _agree(found, pages, attempts)
    return {key: count for key, count in found.items() if count}


def _count_page(
    found: Counter[tuple[str, ...]], labels: Sequence[str], log: Sequence[Any], attempts: Mapping[str, Sequence[Any]]
) -> None:
    channel, kind, severity = labels
    repeats = {detail["attempt"] for *_, text in log if "after_doubt" in (detail := json.loads(text))}
    sizes = Counter(call or attempt_id for attempt_id, (*_, call) in attempts.items())
    for _, event, source, target, text in log:
        if source == "" or (source != target and target not in ("QUEUED", "SENDING")):
            found["notifyflow_notifications", channel, kind, severity, target] += 1
        if event in _ENDED:
            found["notifyflow_failures", channel, "none"] += 1
        if event in _OUTCOMES or event in _RESULTS:
            attempt_id = json.loads(text)["attempt"]
            _, provider, _, _, receipt_due_at, call = attempts[attempt_id]
            if event == "accepted" and call in (None, attempt_id):
                (carried,) = (each for each, sizes_of in _RANGES.items() if sizes[attempt_id] in sizes_of)
                found["notifyflow_messages", channel, provider, carried] += 1
            is_awaited, is_repeat = receipt_due_at is not None, attempt_id in repeats
            found.update(_of_call(event, (channel, provider), severity, is_awaited=is_awaited, is_repeat=is_repeat))
    targets = {target for _, _, _, target, _ in log} if kind == "page" else set()
    found["notifyflow_accepted_seconds", channel, severity] += bool(targets & {"SENT", "DELIVERED"})
    found["notifyflow_delivered_seconds", channel, severity] += "DELIVERED" in targets


def _of_call(
    event: str, carrier: tuple[str, str], severity: str, *, is_awaited: bool, is_repeat: bool
) -> Iterator[tuple[str, ...]]:
    outcome, result = _OUTCOMES.get(event, ""), _RESULTS.get(event, "")
    if outcome:
        yield ("notifyflow_attempts", *carrier, severity, outcome)
    if result:
        yield ("notifyflow_receipts", *carrier, result)
    if outcome == "in_doubt":
        yield ("notifyflow_doubts", *carrier)
    if outcome == "in_doubt" or (outcome or result).endswith("failure"):
        yield ("notifyflow_failures", *carrier)
    if outcome == "accepted" and is_repeat:
        yield ("notifyflow_possible_duplicates", *carrier)
    if outcome == "accepted" and is_awaited:
        yield ("notifyflow_receipts_awaited", *carrier)


def _count_incident(found: Counter[tuple[str, ...]], severity: str, events: Sequence[str]) -> None:
    is_waited_for = False
    for event in events:
        found["notifyflow_incident_events", event, severity] += 1
        if event == "acknowledged" and is_waited_for:
            found["notifyflow_human_seconds", severity] += 1
        is_waited_for = event in _STARTS or (is_waited_for and event != "acknowledged")


def _agree(found: Counter[tuple[str, ...]], pages: Mapping[str, Sequence[str]], attempts: Mapping[str, Sequence[Any]]) -> None:
    """Require that every call that has ended has its one line in the log."""
    ended: Counter[tuple[str, ...]] = Counter()
    for notification_id, provider, state, *_ in attempts.values():
        channel, _, severity = pages[notification_id]
        if state != "RUNNING":
            ended[channel, provider, severity, str(state == "NOT_SENT")] += 1
    logged: Counter[tuple[str, ...]] = Counter()
    for (name, *labels), count in found.items():
        if name == "notifyflow_attempts":
            logged[*labels[:3], str(labels[3] == "not_sent")] += count
    assert logged == ended, f"the log has {logged - ended} calls too many and {ended - logged} too few"

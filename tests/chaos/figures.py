"""Renders the figures as reStructuredText, for docs/explanation/chaos.rst."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def render(figures: Mapping[str, Any]) -> str:
    """Return the page's tables for the sections that ran."""
    parts = [".. Made by scripts/chaos; do not edit.\n"]
    verdicts = [each for name in ("kills", "faults") for each in figures.get(name, {}).get("verdicts", [])]
    if verdicts:
        parts += _verdicts(verdicts)
    if "recovery" in figures:
        parts += _recovery(figures["recovery"]["recovery"])
    if "flood" in figures:
        flood = figures["flood"]["flood"]
        parts.append(
            f"``FLUSHALL`` with {flood['notifications']:,} notifications queued: all delivered, {flood['lost']} lost, "
            f"{flood['duplicates']} duplicates; the last {flood['last_after_s']:.0f} s later.\n"
        )
    if "many" in figures:
        parts += _many(figures["many"]["told"])
    if "silence" in figures:
        parts += _released(figures["silence"]["released"])
    if "heartbeats" in figures:
        parts += _watched(figures["heartbeats"]["watched"])
    parts.append(f"Measured on two cores ({figures['machine']}), servers and providers' stand-ins on the same machine.\n")
    return "\n".join(parts)


def _verdicts(verdicts: Sequence[Mapping[str, Any]]) -> list[str]:
    total = {
        name: sum(each[name] for each in verdicts) for name in ("notifications", "lost", "duplicates", "doubts", "unexplained")
    }
    rows = [
        (
            each["what"],
            each["setup"],
            each["notifications"],
            each["lost"],
            each["doubts"],
            each["duplicates"],
            each["unexplained"],
        )
        for each in verdicts
    ]
    rows.append(("**all**", "", *(total[name] for name in ("notifications", "lost", "doubts", "duplicates", "unexplained"))))
    head = ("What was done", "To what", "Notifications", "Lost", "In doubt", "Duplicates", "without a doubt")
    rate = 10_000 * total["duplicates"] / total["notifications"]
    return [_table(head, rows), f"That is {rate:.0f} duplicates per 10,000 notifications, under constant fire.\n"]


def _recovery(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    names = {
        "scaled redis": "lease {lease_s} s, time-outs 1 s + 2 s, PostgreSQL + Redis",
        "scaled rabbitmq": "lease {lease_s} s, time-outs 1 s + 2 s, PostgreSQL + RabbitMQ",
        "defaults": "as it comes: lease 60 s, PostgreSQL + Redis or RabbitMQ",
        "stock": "dramatiq on Redis as it comes, without notifyflow",
    }

    def seconds(value: float | None) -> str:
        return "not within 120 s" if value is None else f"{value:.1f} s"

    rows = [
        (title.format_map(found[name]), found[name]["sends"], seconds(found[name]["p50"]), seconds(found[name]["p99"]))
        for name, title in names.items()
        if name in found
    ]
    return [_table(("After kill -9 of a worker", "Sends in flight", "p50", "p99"), rows)]


def _many(found: Sequence[Mapping[str, Any]]) -> list[str]:
    head = (
        *("500 CRITICAL incidents in a minute, mail refused", "Workers killed", "Lone page after", "First page after"),
        *(
            "Each told within",
            "Texts, calls in 3 min",
            "Most in one message",
            "Lost",
            "Duplicates",
            "without a doubt",
            "Open after ALL",
        ),
    )
    rows = [
        (
            each["setup"],
            each["kills"],
            f"{each['alone_s']} s",
            f"{each['first_s']} s",
            f"{each['latest_s']:.0f} s",
            f"{each['texts']}, {each['calls']}",
            *(each[name] for name in ("most_in_one", "lost", "duplicates", "unexplained", "left_open")),
        )
        for each in found
    ]
    return [_table(head, rows)]


def _released(found: Sequence[Mapping[str, Any]]) -> list[str]:
    head = (
        *("A silence over incidents, PostgreSQL + Redis", "People", "Workers killed", "Messages while it lasted"),
        *("Messages a person, at most", "Incidents in each first message", "Pages lost", "Pages sent again", "without a doubt"),
    )
    names = ("incidents", "people", "kills", "early", "messages", "said", "lost", "duplicates", "unexplained")
    return [_table(head, [[each[name] for name in names] for each in found])]


def _watched(found: Mapping[str, Any]) -> list[str]:
    head = ("Heartbeats, PostgreSQL + Redis", "Found")
    rows = [
        (f"web processes, workers killed -9 while {found['jobs']} jobs ping", f"{found['web_kills']}, {found['worker_kills']}"),
        ("PostgreSQL crashes, and is away for", "25 s"),
        ("pings stored; requests that got no 200", f"{found['pings']:,}; {found['refused']:,}"),
        ("pings that got 200 and were not stored", found["lost"]),
        ("jobs that died; of these found", f"{found['dead']}; {found['dead'] - found['unfound']}"),
        ("from a first missed deadline to the accepted page, at most", f"{found['latest_s']} s"),
        ("misses told; of these false", f"{found['missed']}; {found['false']}"),
        ("misses or pages told twice, or not counted", found["twice"]),
        ("times in which nobody could listen; jobs unknown after", f"{found['absences']}; {found['unknown']}"),
    ]
    return [_table(head, rows)]


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        cells = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        lines += [f"   {'*' if number == 0 else ' '} - {cell}".rstrip() for number, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"

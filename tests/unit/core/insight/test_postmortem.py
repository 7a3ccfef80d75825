"""The document for the post-mortem has the facts, who was paged and what happened, and shows every text as it is."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.model import EscalationState, Kind, NotificationState
from notifyflow.core.insight.postmortem import markdown
from notifyflow.core.insight.timeline import timeline
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import IncidentStatus
from tests.facts import inbound_entry
from tests.statuses import ACKNOWLEDGED, AT, OPEN, escalation, notification


def here(at: datetime) -> str:
    return Times(ZoneInfo("Europe/Berlin"), None).local(at)


def written(status: IncidentStatus) -> str:
    return markdown(status, timeline(status, explain=lambda channel, code: ""), here=here)


def line(machine: str, row_id: str, event: str, target: str, **detail: str) -> Transition:
    return Transition(machine=machine, row_id=row_id, version=1, event=event, source="", target=target, at=AT, detail=detail)


def test_it_begins_with_the_facts_in_both_zones() -> None:
    status = replace(
        ACKNOWLEDGED,
        facts=replace(
            ACKNOWLEDGED.facts,
            namespace="shop",
            times_seen=1200,
            acknowledged_at=AT + timedelta(minutes=2),
            resolved_at=AT + timedelta(hours=2),
            resolved_by="eve",
        ),
    )
    assert written(status).startswith("""\
# orders db is down

- Key: db-1
- Namespace: shop
- Source: grafana
- Link: https://grafana.example/d/orders
- Severity: CRITICAL
- Policy: default
- Labels: team=orders
- Opened: Wed 25 Nov 2026 02:14:03 UTC (Wed 25 Nov 2026 03:14:03 CET)
- Reported: 1,200 times
- Acknowledged: Wed 25 Nov 2026 02:16:03 UTC (Wed 25 Nov 2026 03:16:03 CET) by Ada, 2 m after it was opened
- Resolved: Wed 25 Nov 2026 04:14:03 UTC (Wed 25 Nov 2026 05:14:03 CET) by eve, 2 h 00 m after it was opened
""")


def test_each_recipient_has_their_outcome_and_their_pages() -> None:
    failed = replace(notification("sms", NotificationState.FAILED), reason="a | b")
    update = replace(notification("slack", NotificationState.SENT), kind=Kind.STATUS_UPDATE)
    lost = escalation("cy", failed, notification("voice", NotificationState.SENT), update, state=EscalationState.EXHAUSTED)
    lost = replace(lost, facts=replace(lost.facts, critical_at=AT))
    bare = replace(escalation("di", state=EscalationState.EXHAUSTED))
    bare = replace(bare, facts=replace(bare.facts, reason="no address"))
    text = written(replace(OPEN, escalations=(*OPEN.escalations, lost, bare), content=replace(OPEN.content, labels=None)))
    assert "| Ada | 1 | reached | mail: sent |" in text
    assert "| Ben | 1 | being paged | Slack: failed |" in text
    assert "| Cy | 1 | not reached, a critical failure | text: failed (a \\| b); call: sent |" in text
    assert "| Di | 1 | not reached | no address |" in text
    assert "Labels" not in text


def test_what_happened_and_what_came_in_have_both_times_and_no_minor_steps() -> None:
    lines = (
        line("incident", OPEN.facts.id, "opened", "OPEN"),
        line("notification", "n-slack", "queued", "QUEUED"),
        line("notification", "n-slack", "deferred", "QUEUED", why="limit", provider="slack", until=AT.isoformat()),
    )
    text = written(replace(OPEN, transitions=lines, arrivals=(inbound_entry(first_at=AT, last_at=AT),)))
    at = "| Wed 25 Nov 2026 02:14:03 | Wed 25 Nov 2026 03:14:03 CET |"
    assert text.endswith(f"""\
## What came in

| UTC | Local time | Request |
| --- | --- | --- |
{at} through Alertmanager with the key prometheus, by routes\\[0\\]: opened it |

## Timeline

| UTC | Local time | What happened |
| --- | --- | --- |
{at} opened as CRITICAL |
{at} Slack message to Ben deferred by a limit until Wed 25 Nov 2026 02:14:03 UTC (slack) |
""")


def test_no_text_breaks_the_document() -> None:
    content = replace(OPEN.content, title="# <b>*x*</b> |\n\n`y`")
    text = written(replace(OPEN, content=content, facts=replace(OPEN.facts, key="a_b")))
    assert text.startswith("# \\# \\<b\\>\\*x\\*\\</b\\> \\| \\`y\\`\n\n- Key: a\\_b\n")

"""The command that lists the watched jobs."""

from datetime import datetime
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import AsJson
from notifyflow.core.oncall import watched_jobs
from notifyflow.core.oncall.pings import Mark, read_entries
from notifyflow.core.oncall.watched_job_documents import HeartbeatDocument
from notifyflow.core.oncall.watched_job_words import expected
from notifyflow.core.oncall.watched_jobs import WatchedJob
from notifyflow.core.text import instant

app = typer.Typer()

SIGNS = {
    Mark.ON_TIME: ".",
    Mark.LATE: "L",
    Mark.STARTED: ">",
    Mark.FAILED: "F",
    Mark.LOGGED: "i",
    Mark.MISSED: "M",
    Mark.UNKNOWN: "?",
}
_SHOWN = 20
_NONE = "No heartbeat is declared in the directory."


@app.command()
def heartbeats(as_json: AsJson = False) -> None:
    """List the watched jobs of the directory, and their last pings: . on time, L late, M missed, F failed, ? unknown."""
    with notifyflow.NotifyFlow.from_env() as flow:
        jobs, now = flow.overview.heartbeats()
    if as_json:
        screen.print_json([HeartbeatDocument.at(job, now) for job in jobs])
        return
    table = Table("Heartbeat", "State", "Expected", "Last success", "Next deadline", "Last pings", box=None, pad_edge=False)
    for job in jobs:
        table.add_row(*map(Text, _row(job, now)))
    screen.out.print(table if jobs else _NONE)


def _row(job: WatchedJob, now: datetime) -> tuple[str, ...]:
    strip = "".join(SIGNS[mark] for _, mark in read_entries(job.pings[-_SHOWN:]))
    zone = ZoneInfo(job.timetable.timezone)
    succeeded, due = (at and instant(at.astimezone(zone), now=now) for at in (job.succeeded_at, job.due_at))
    state = watched_jobs.state(job, now).value
    return screen.plain(job.name), state, expected(job.timetable), succeeded or "never", due or "", strip

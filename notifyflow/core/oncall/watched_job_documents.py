"""The JSON document of a watched job, which the REST API and ``--json`` share."""

from datetime import datetime
from typing import Self

from pydantic import Field

from notifyflow.core.document import Document
from notifyflow.core.oncall import watched_jobs
from notifyflow.core.oncall.pings import Mark, read_entries
from notifyflow.core.oncall.watched_job_words import expected
from notifyflow.core.oncall.watched_jobs import JobState, WatchedJob


class PingDocument(Document):
    """A ping, or a deadline that passed without one."""

    at: datetime = Field(description="When, to the second.")
    mark: Mark = Field(description="What it was.")


class HeartbeatDocument(Document):
    """A watched job with its last pings."""

    name: str
    namespace: str = Field(description="The namespace of its incidents.")
    state: JobState = Field(description="How it is now.")
    expected: str = Field(description="Its timetable and grace, in words.")
    expected_at: datetime = Field(description="When its next success is expected.")
    due_at: datetime = Field(description="When it is missed without one.")
    succeeded_at: datetime | None = Field(description="When it last succeeded; null if it never has.")
    silent_since: datetime | None = Field(description="Its last success before it was missed or failed; null while it is well.")
    incident_id: str | None = Field(description="The incident that was opened for it; null while it is well.")
    misses: int = Field(description="How often it was missed or has failed.")
    pings: list[PingDocument] = Field(description="The last hundred pings and missed deadlines, the oldest first.")
    output: str = Field(description="The beginning of the last body that came with a ping.")

    @classmethod
    def at(cls, job: WatchedJob, now: datetime) -> Self:
        """Return the document of a job at an instant."""
        return cls(
            name=job.name,
            namespace=job.namespace,
            state=watched_jobs.state(job, now),
            expected=expected(job.timetable),
            expected_at=job.expected_at,
            due_at=job.due_at,
            succeeded_at=job.succeeded_at,
            silent_since=job.silent_since,
            incident_id=job.incident_id,
            misses=job.misses,
            pings=[PingDocument(at=at, mark=mark) for at, mark in read_entries(job.pings)],
            output=job.output,
        )

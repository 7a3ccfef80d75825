"""The simplest receiver of receipts and pings: FastAPI and psycopg, which write one row and commit it for each request.

No signature, no key, no attempt, no move. ``python -m tests.bench.bare URL`` serves it as ``notifyflow web`` is served, and says
where.
"""

import queue
import sys
from typing import Annotated
from urllib.parse import parse_qsl

import psycopg
from fastapi import Depends, FastAPI, Request, Response

from notifyflow.cli.frame import serving

_CONNECTIONS = 14  # as many as notifyflow opens
_TABLE = (
    "CREATE TABLE bare (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, attempt_id TEXT, sid TEXT, status TEXT, body TEXT)"
)
_JOBS = "CREATE TABLE bare_job (name TEXT PRIMARY KEY, pinged_at TIMESTAMPTZ, pings BIGINT NOT NULL DEFAULT 0)"
_FILL = "INSERT INTO bare_job SELECT 'job-' || lpad(number::text, 5, '0') FROM generate_series(0, 9999) AS number"
_UPDATE = "UPDATE bare_job SET pinged_at = now(), pings = pings + 1 WHERE name = %s"
_INSERT = "INSERT INTO bare (attempt_id, sid, status, body) VALUES (%s, %s, %s, %s)"


async def read_body(request: Request) -> bytes:
    return await request.body()


def build(url: str) -> FastAPI:
    """Build the application over a database, and create its tables."""
    with psycopg.connect(url) as connection:
        for statement in (_TABLE, _JOBS, _FILL):
            connection.execute(statement)
    connections: queue.SimpleQueue[psycopg.Connection] = queue.SimpleQueue()
    for _ in range(_CONNECTIONS):
        connections.put(psycopg.connect(url))
    application = FastAPI()

    def write(statement: str, values: tuple[str, ...]) -> Response:
        connection = connections.get()
        try:
            connection.execute(statement, values)
            connection.commit()
        finally:
            connections.put(connection)
        return Response()

    @application.post("/callbacks/twilio/sms/{attempt_id}")
    def receive(attempt_id: str, body: Annotated[bytes, Depends(read_body)]) -> Response:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=200))
        return write(_INSERT, (attempt_id, form["MessageSid"], form["MessageStatus"], body.decode()))

    @application.post("/v1/heartbeats/{key}/{name}")
    def ping(name: str) -> Response:
        return write(_UPDATE, (name,))

    return application


if __name__ == "__main__":
    with serving.listen("127.0.0.1", 0) as listening, serving.served(build(sys.argv[1]), listening):
        sys.stdout.write(f"Listening on {serving.url_of(listening)}\n")
        sys.stdout.flush()
        serving.expect_signal().wait()

"""The simplest receiver of receipts: FastAPI and psycopg, which insert one row and commit it for each request.

No signature, no attempt, no move. ``python -m tests.bench.bare URL`` serves it as ``notifyflow web`` is served, and says where.
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
_INSERT = "INSERT INTO bare (attempt_id, sid, status, body) VALUES (%s, %s, %s, %s)"


async def read_body(request: Request) -> bytes:
    return await request.body()


def build(url: str) -> FastAPI:
    """Build the application over a database, and create its table."""
    with psycopg.connect(url) as connection:
        connection.execute(_TABLE)
    connections: queue.SimpleQueue[psycopg.Connection] = queue.SimpleQueue()
    for _ in range(_CONNECTIONS):
        connections.put(psycopg.connect(url))
    application = FastAPI()

    @application.post("/callbacks/twilio/sms/{attempt_id}")
    def receive(attempt_id: str, body: Annotated[bytes, Depends(read_body)]) -> Response:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=200))
        connection = connections.get()
        try:
            connection.execute(_INSERT, (attempt_id, form["MessageSid"], form["MessageStatus"], body.decode()))
            connection.commit()
        finally:
            connections.put(connection)
        return Response()

    return application


if __name__ == "__main__":
    with serving.listen("127.0.0.1", 0) as listening, serving.served(build(sys.argv[1]), listening):
        sys.stdout.write(f"Listening on {serving.url_of(listening)}\n")
        sys.stdout.flush()
        serving.expect_signal().wait()

"""Moto's server as SES, SNS and SQS: a real peer over HTTP, alone on a port of its own."""

import contextlib
from collections.abc import Iterator
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


class Moto:
    """One server, and clients of its services as an operator would use them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._clients: dict[str, Any] = {}

    @property
    def endpoint(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def settings(self) -> dict[str, str]:
        """What leads a flow here."""
        return {
            "NOTIFYFLOW_AWS_REGION": REGION,
            "NOTIFYFLOW_AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
            "NOTIFYFLOW_AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
            "NOTIFYFLOW_AWS_ENDPOINT_URL": self.url,
            "NOTIFYFLOW_TRUSTED_ENDPOINTS": self.endpoint,
        }

    def client(self, service: str) -> Any:
        """Give the one client of a service; to make one takes longer than a hundred calls."""
        if service not in self._clients:
            session = boto3.session.Session(region_name=REGION, **KEYS)
            self._clients[service] = session.client(service, endpoint_url=self.url)  # type: ignore[call-overload]
        return self._clients[service]

    def make_topic_with_queue(self, name: str, *, is_raw: bool = False) -> tuple[str, str]:
        """Make a topic, and a queue that it fills; give the topic's ARN and the queue's URL."""
        topic: str = self.client("sns").create_topic(Name=name)["TopicArn"]
        queues = self.client("sqs")
        url: str = queues.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "2"})["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes = {"RawMessageDelivery": "true"} if is_raw else {}
        self.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        return topic, url

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@contextlib.contextmanager
def moto() -> Iterator[Moto]:
    """Run one until the block is left."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    running = Moto(f"http://{host}:{port}")
    try:
        yield running
    finally:
        running.close()
        server.stop()
        server._server.server_close()

"""Tests the channel by the contract of all channels: ``pytest`` in the folder of the package, where it is installed."""

import json
from collections.abc import Mapping

from pager_channel import CODES, PagerChannel

from notifyflow.testing.channel_contract import Bench, ChannelContract, Response

SECRET = "the secret of the pagers"
JSON = {"Content-Type": "application/json"}


def configured(url: str) -> Mapping[str, str]:
    """Return the environment of the channel."""
    return {"PAGER_URL": url, "PAGER_SECRET": SECRET}


def refused(status: int, code: str) -> Response:
    """Return how the pager service responds when it refuses a page."""
    return status, json.dumps({"code": code}).encode(), JSON


PAGERS = Bench(
    name="pager",
    channel=PagerChannel,
    codes=CODES,
    variables=configured,
    address="4711",
    host="pagers.example.com",
    accepted=(201, json.dumps({"id": "m-1"}).encode(), JSON),
    refused=refused,
    provider_ref="m-1",
    has_receipts=True,
)


class TestPagers(ChannelContract):
    """The contract."""

    benches = (PAGERS,)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from fastapi import FastAPI

from notifyflow.channels.base import Accepted, Callback, Capabilities, Channel, Letter, Provider, Reply
from notifyflow.core.links import LinkClaim, check, sign
from notifyflow.core.model import Receipt, Word
from notifyflow.core.views import IncidentStatus
from notifyflow.errors import Fault, RejectedCallback
from notifyflow.settings import Settings
from notifyflow.web.application import build
from notifyflow.web.services import Services
from tests.asgi import Client
from tests.stories import AT, INCIDENT_ID, OPEN, TAKEN

KEYS = ("k" * 32,)


class Pigeon(Provider):
    """A provider that signs with the word `coo`."""

    name = "pigeon"
    capabilities = Capabilities(has_receipts=True)

    def send(self, letter: Letter) -> Accepted:
        return Accepted(provider_ref=letter.attempt_id)

    def read_callback(self, callback: Callback) -> Reply:
        if callback.headers.get("x-signature") != "coo":
            raise RejectedCallback(self.name, "no coo")
        heard = callback.body.decode()
        receipt = Receipt(
            provider=self.name, event_id=heard, word=Word.DELIVERED, attempt_id=callback.attempt_id, reason=callback.path
        )
        return Reply(receipts=(receipt,), content_type="application/xml", body="<coo/>")


class Loft(Channel):
    name = "post"
    providers: Sequence[Provider] = (Pigeon(),)
    faults: Sequence[Fault] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> "Loft":
        del settings
        return cls()

    def check_address(self, address: str) -> str:
        return address


@dataclass
class House:
    """What stands behind the pages, as far as they can tell."""

    incidents: dict[str, IncidentStatus] = field(default_factory=lambda: {INCIDENT_ID: OPEN})
    received: list[tuple[Receipt, str]] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    trouble: Exception | None = None

    def receive(self, receipt: Receipt, raw: str) -> None:
        self._stumble()
        self.received.append((receipt, raw))

    def check_link(self, token: str) -> LinkClaim:
        return check(KEYS, token, AT)

    def status(self, incident_id: str) -> IncidentStatus | None:
        self._stumble()
        return self.incidents.get(incident_id)

    def acknowledge(self, incident_id: str, recipient_id: str) -> None:
        self._stumble()
        self.taken.append((incident_id, recipient_id))
        self.incidents[incident_id] = TAKEN

    def channels(self) -> Mapping[str, Channel]:
        return {"post": Loft()}

    def _stumble(self) -> None:
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def application(house: House) -> FastAPI:
    services = Services(
        channels=house.channels(),
        receive=house.receive,
        check_link=house.check_link,
        status=house.status,
        acknowledge=house.acknowledge,
    )
    return build(services)


@pytest.fixture
def client(application: FastAPI) -> Client:
    return Client(application)


def link(who: str = "ada", *, days: int = 1, incident_id: str = INCIDENT_ID) -> str:
    return "/a/" + sign(KEYS, incident_id, who, AT + timedelta(days=days))

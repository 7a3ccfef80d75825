from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import pytest
from fastapi import FastAPI

from notifyflow.channels.base import Accepted, Callback, CallbackResponse, Channel, Provider, ProviderCapabilities
from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.accounts.users import CurrentUser
from notifyflow.core.delivery.model import Contact, Incident, Receipt, Result, Severity, Stopped
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.timeline import TimelineEntry, timeline
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.intake.integrations.inbound import InboundRequest
from notifyflow.core.messages.carried import CarriedPage
from notifyflow.core.messages.links import LinkClaim, Subject, check, read_subject_id, sign
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.messages.replies import Effect, HandledReply, Intent, Reply
from notifyflow.core.references import ById, ByKey
from notifyflow.errors import Fault, InvalidApiKey, NotFound, NotLoggedIn, RejectedCallback
from notifyflow.service.accounts.access import Access
from notifyflow.service.accounts.users import Users
from notifyflow.service.delivery.links import Bundle
from notifyflow.service.oncall.feeds import Feeds
from notifyflow.service.service import Service
from notifyflow.settings import Settings
from notifyflow.web.application import build
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.site import Site
from tests.asgi import Client
from tests.statuses import ACKNOWLEDGED, AT, INCIDENT_ID, OPEN

KEYS = ("k" * 32,)
RECIPIENTS = ("ada", "ben", "ops", "eve")
API_KEY = "nf_1_secret"
BUNDLE_ID = "0192f0c4a1b27c3d8e4f5a6b7c8d9eff"


class Pigeon(Provider):
    """A provider that signs with the word `coo`."""

    name = "pigeon"
    capabilities = ProviderCapabilities(has_receipts=True)

    def send(self, message: OutboundMessage) -> Accepted:
        return Accepted(provider_ref=message.attempt_id)

    def read_callback(self, callback: Callback) -> CallbackResponse:
        if callback.headers.get("x-signature") != "coo":
            raise RejectedCallback(self.name, "no coo")
        event_id = callback.body.decode()
        receipt = Receipt(
            provider=self.name, event_id=event_id, result=Result.DELIVERED, attempt_id=callback.attempt_id, reason=callback.path
        )
        return CallbackResponse(receipts=(receipt,), content_type="application/xml", body="<coo/>")

    def read_reply(self, callback: Callback) -> Reply | None:
        if callback.headers.get("x-signature") != "coo":
            raise RejectedCallback(self.name, "no coo")
        return Reply(provider=self.name, event_id=callback.body.decode(), intent=Intent.ACKNOWLEDGE)

    def respond(self, handled: HandledReply) -> CallbackResponse:
        return CallbackResponse(receipts=(), content_type="application/xml", body=f"<{handled.effect}/>")


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
class Backend:
    """Stands in for the service and the API keys: it records its calls, and fails on demand."""

    incidents: dict[str, IncidentStatus] = field(default_factory=lambda: {INCIDENT_ID: OPEN})
    received: list[tuple[Receipt, str]] = field(default_factory=list)
    replies: list[tuple[Reply, str]] = field(default_factory=list)
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    shown: list[Severity | None] = field(default_factory=list)
    carried: tuple[CarriedPage, ...] = ()
    chosen: list[Mapping[str, Severity]] = field(default_factory=list)
    requests: list[tuple[InboundRequest, ApiKey, str]] = field(default_factory=list)
    faults: tuple[Fault, ...] = ()
    refusal: Exception | None = None
    trouble: Exception | None = None
    hang: Callable[[], object] = lambda: None

    def receive(self, receipt: Receipt, raw: str) -> None:
        self._stumble()
        self.received.append((receipt, raw))

    def handle_reply(self, channel: str, reply: Reply, raw: str) -> HandledReply:
        self._stumble()
        self.replies.append((reply, raw))
        return HandledReply(effect=Effect.ACKNOWLEDGED)

    @property
    def links(self) -> "Backend":
        return self

    def check(self, token: str) -> LinkClaim:
        subject = Subject.BUNDLE if read_subject_id(token) == BUNDLE_ID else Subject.INCIDENT
        return check(KEYS, token, RECIPIENTS, AT, subject=subject)

    def bundle(self, claim: LinkClaim) -> Bundle:
        self._stumble()
        contact = Contact(recipient_id=claim.recipient_id, name="Ada", addresses={}, timezone="Europe/Berlin")
        return Bundle(contact=contact, pages=self.carried, tokens={page.incident_id: f"t-{page.title}" for page in self.carried})

    def status(self, ref: ById | ByKey) -> IncidentStatus:
        self._stumble()
        if isinstance(ref, ByKey):
            return next(each for each in self.incidents.values() if each.facts.key == ref.key)
        if ref.incident_id not in self.incidents:
            raise NotFound(ref.incident_id)
        return self.incidents[ref.incident_id]

    def now(self) -> datetime:
        return AT

    def next_events(self, status: IncidentStatus) -> NextEvents:
        return NextEvents(escalations={each.facts.id: () for each in status.escalations}, now=AT)

    def timeline(self, status: IncidentStatus) -> tuple[TimelineEntry, ...]:
        return timeline(status, explain=lambda channel, code: "")

    def content_for(self, status: IncidentStatus, contact: Contact) -> Incident:
        del contact
        return status.content

    def acknowledge(
        self,
        ref: ById | LinkClaim,
        chosen: Mapping[str, Severity] | None = None,
        *,
        by: str = "",
        via: str = "",
        shown: Severity | None = None,
    ) -> Stopped:
        del via
        self._stumble()
        if isinstance(ref, LinkClaim):
            self.chosen.append(dict(chosen or {}))
            return Stopped(has_changed=True)
        self.shown.append(shown)
        self.acknowledged.append((ref.incident_id, by))
        self.incidents[ref.incident_id] = ACKNOWLEDGED
        return Stopped(has_changed=True)

    def find_faults(self) -> tuple[Fault, ...]:
        return self.faults

    def handle_inbound(self, requests: Sequence[InboundRequest], caller: ApiKey, via: str) -> None:
        self.hang()
        self._stumble()
        self.requests += [(request, caller, via) for request in requests]

    def authorise(self, presented: str, scope: KeyScope) -> ApiKey:
        if self.refusal is not None:
            raise self.refusal
        if presented != API_KEY:
            raise InvalidApiKey("is not valid")
        return ApiKey(id="1", name="prometheus", scopes=frozenset((scope,)), digest="", created_at=AT)

    def of_session(self, token: str) -> CurrentUser:
        raise NotLoggedIn

    def new_token(self) -> str:
        return "t"

    def channels(self) -> Mapping[str, Channel]:
        return {"post": Loft()}

    def _stumble(self) -> None:
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def backend() -> Backend:
    return Backend()


def application_of(backend: Backend, *, notice: str = "", site: Site | None = None) -> FastAPI:
    context = Context(
        service=cast(Service, backend),
        access=cast(Access, backend),
        users=cast(Users, backend),
        feeds=cast(Feeds, backend),
        site=site or Site(),
        channels=backend.channels(),
        sns=None,
        new_id=lambda: "new-id",
        most_recipients=100,
        version="1.2.3",
        notice=notice,
    )
    return build(context)


@pytest.fixture
def application(backend: Backend) -> FastAPI:
    return application_of(backend)


@pytest.fixture
def client(application: FastAPI) -> Client:
    return Client(application)


def client_of(backend: Backend, *, notice: str = "", site: Site | None = None) -> Client:
    return Client(application_of(backend, notice=notice, site=site))


def link(who: str = "ada", *, days: int = 1, incident_id: str = INCIDENT_ID) -> str:
    return "/a/" + sign(KEYS, incident_id, who, AT + timedelta(days=days))


def bundle_link(*, days: int = 1) -> str:
    return "/a/" + sign(KEYS, BUNDLE_ID, "ada", AT + timedelta(days=days), subject=Subject.BUNDLE)

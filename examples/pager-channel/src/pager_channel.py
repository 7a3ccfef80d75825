"""A channel to pagers, over the JSON interface of a made-up pager service."""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from typing import Any

from notifyflow.plugin import (
    Accepted,
    Callback,
    CallbackResponse,
    Channel,
    ChannelCapabilities,
    Content,
    Evidence,
    Fault,
    HandledReply,
    Http,
    HttpResponse,
    Intent,
    Kind,
    OutboundMessage,
    Provider,
    ProviderCapabilities,
    Receipt,
    RejectedCallback,
    Reply,
    Result,
    Row,
    Settings,
    Table,
    UnknownOutcomeError,
    Verdict,
    refusal,
    table,
    write_response,
)

_MANUAL = "Pager service manual"

CODES: Table = table(
    Row("no_such_pager", Verdict.PERMANENT, "no pager has this number", f"{_MANUAL}, Error codes"),
    Row("out_of_range", Verdict.TEMPORARY, "the pager is switched off or out of range", f"{_MANUAL}, Error codes"),
    Row("account_closed", Verdict.OURS, "the account is closed", f"{_MANUAL}, Error codes", is_general=True),
)
STATUSES: Mapping[str, tuple[Result, str]] = {
    "sent": (Result.ACCEPTED, "the page was transmitted"),
    "shown": (Result.DELIVERED, "the pager shows the page"),
    "out_of_range": (Result.TEMPORARY_FAILURE, "the pager is switched off or out of range"),
    "no_such_pager": (Result.PERMANENT_FAILURE, "no pager has this number"),
}


class Pagers(Provider):
    """Sends pages over one account of the pager service."""

    name = "pagers.example"

    def __init__(self, settings: Settings, url: str, secret: str) -> None:
        """Take the service's base URL, and the secret that it signs with."""
        self._url = url.rstrip("/")
        self._secret = secret.encode()
        self._public_url = settings.public_url.rstrip("/") if settings.public_url else None
        self._http = Http(settings)
        self.clients = (self._http,)

    def send(self, message: OutboundMessage) -> Accepted:
        """Send a page, or replace the text of an earlier one."""
        page = {"to": message.address, "text": _text(message.content), "reference": message.attempt_id}
        if message.replaces and message.content.kind is Kind.STATUS_UPDATE:
            return Accepted(provider_ref=_id(self._post(f"/pages/{message.replaces}", page)))
        if self._public_url:
            page["callback_url"] = f"{self._public_url}/callbacks/{self.name}/pager/{message.attempt_id}"
            page["reply_url"] = f"{self._public_url}/callbacks/{self.name}/pager"
        if message.content.link:
            page["reply_token"] = message.content.link.rpartition("/")[2]
        return Accepted(provider_ref=_id(self._post("/pages", page)))

    def _post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return _fields(self._http.post(self._url + path, json=body))

    def _get(self, path: str, **query: str) -> Mapping[str, Any]:
        return _fields(self._http.get(self._url + path, query=query))

    @property
    def capabilities(self) -> ProviderCapabilities:
        """Results and replies come in where there is a public URL for them."""
        return ProviderCapabilities(has_receipts=self._public_url is not None, has_replies=self._public_url is not None)

    def read_callback(self, callback: Callback) -> CallbackResponse:
        """Read the status of a page."""
        match self._verify(callback):
            case {"id": str(page_id), "status": str(status)}:
                return CallbackResponse(receipts=(self._receipt(callback.attempt_id, page_id, status),))
        raise RejectedCallback(self.name, "it names no page or no status")

    def _verify(self, callback: Callback) -> Mapping[str, Any]:
        """Check the signature of a callback, then parse its body."""
        signature = hmac.digest(self._secret, callback.body, hashlib.sha256).hex()
        if not hmac.compare_digest(callback.headers.get("x-pager-signature", "").encode(), signature.encode()):
            raise RejectedCallback(self.name, "its signature was not made with our secret")
        try:
            fields = json.loads(callback.body)
        except ValueError:
            raise RejectedCallback(self.name, "its body is not JSON") from None
        return fields if isinstance(fields, dict) else {}

    def _receipt(self, attempt_id: str, page_id: str, status: str) -> Receipt:
        result, meaning = STATUSES.get(status, (None, "a status that is not in our table"))
        return Receipt(
            provider=self.name,
            event_id=f"{page_id}:{status}",
            result=result,
            attempt_id=attempt_id,
            provider_ref=page_id,
            evidence=Evidence.DEVICE if result is Result.DELIVERED else Evidence.CARRIER,
            code=status,
            reason=meaning,
        )

    def read_reply(self, callback: Callback) -> Reply | None:
        """Read a press of the pager's button."""
        match self._verify(callback):
            case {"event": str(event_id), "button": "ok", "token": str(token)}:
                return Reply(provider=self.name, event_id=event_id, intent=Intent.ACKNOWLEDGE, token=token)
        return None

    def respond(self, handled: HandledReply) -> CallbackResponse:
        """Return what the pager shows after a reply."""
        return CallbackResponse(receipts=(), body=write_response(handled))

    def fetch_status(self, attempt_id: str, provider_ref: str) -> Receipt:
        """Fetch the status of a page."""
        return self._receipt(attempt_id, provider_ref, str(self._get(f"/pages/{provider_ref}").get("status", "")))

    def find_sent_message(self, message: OutboundMessage) -> Receipt | None:
        """Find the page of an attempt by the reference that it was sent with."""
        match self._get("/pages", reference=message.attempt_id):
            case {"pages": [{"id": str(page_id), "status": str(status)}, *_]}:
                return self._receipt(message.attempt_id, page_id, status)
            case {"pages": []}:
                return None
        raise UnknownOutcomeError("the pager service responded without a list", code="garbage")

    def recall(self, attempt_id: str, provider_ref: str) -> None:
        """Delete a page from the pager."""
        self._post(f"/pages/{provider_ref}/recall", {"reference": attempt_id})


def _text(content: Content) -> str:
    return f"{content.title}: {content.status_update}" if content.status_update else content.title


def _fields(response: HttpResponse) -> Mapping[str, Any]:
    """Return the fields of a response, or raise what its refusal means."""
    if not response.is_success:
        code = response.fields.get("code", "")
        raise refusal(response.status, CODES, code=code, retry_after_s=response.retry_after_s)
    return response.fields


def _id(fields: Mapping[str, Any]) -> str:
    match fields:
        case {"id": str(page_id)}:
            return page_id
    raise UnknownOutcomeError("the pager service responded without an id", code="garbage")


class PagerChannel(Channel):
    """Pages on a pager."""

    name = "pager"
    capabilities = ChannelCapabilities(gets_status_updates=True, is_edited_in_place=True, hourly_cap=30, how="on the pager")
    provider_names = ("pagers.example",)

    @classmethod
    def from_settings(cls, settings: Settings) -> "PagerChannel":
        """Build it from ``PAGER_URL`` and ``PAGER_SECRET``; what is missing is a fault."""
        values = {name: os.environ.get(name, "") for name in ("PAGER_URL", "PAGER_SECRET")}
        is_unused = not any(values.values())
        missing = [name for name, value in values.items() if not value]
        faults = [Fault(name, "is not set", f"Set {name} to page pagers", is_unset=is_unused) for name in missing]
        return cls((), faults) if faults else cls([Pagers(settings, values["PAGER_URL"], values["PAGER_SECRET"])])

    def check_address(self, address: str) -> str:
        """Validate the number of a pager."""
        if not (address.isascii() and address.isdecimal()):
            raise ValueError("is not the number of a pager: it has other characters than digits")
        return address

"""Twilio's SDK over our own HTTP. Imported only where a Twilio provider sends: the SDK loads slowly."""

import logging
from typing import Any

from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from notifyflow.channels.http import Http, refusal
from notifyflow.channels.twilio.codes import TWILIO
from notifyflow.errors import UnknownOutcomeError
from notifyflow.settings import Settings

_silent = logging.getLogger("notifyflow.channels.twilio.account")  # the SDK's own would record numbers and texts


class OurHttpClient(HttpClient):  # type: ignore[misc]  # the SDK is not typed
    """Sends the SDK's requests with our time-outs, proxy and CA bundle, without redirects or repeats.

    It classifies the responses and raises our errors itself, because the SDK's exception does not keep the Retry-After header.
    """

    def __init__(self, http: Http) -> None:
        super().__init__(_silent, False)
        self._http = http

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Post a message or get a list, once; besides a refusal it raises what ``Http.post`` raises."""
        del timeout, allow_redirects
        if method == "GET":
            response = self._http.get(uri, query=params or {}, headers=headers, auth=auth)
            is_complete = isinstance(response.fields.get("messages"), list) or isinstance(response.fields.get("sid"), str)
        else:
            response = self._http.post(uri, form=data, headers=headers, auth=auth)
            is_complete = isinstance(response.fields.get("sid"), str)
        if not response.is_success:
            raise refusal(response.status, TWILIO, code=response.fields.get("code", ""), retry_after_s=response.retry_after_s)
        if not is_complete:
            raise UnknownOutcomeError("Twilio responded with something else than what was requested", code="garbage")
        return Response(response.status, response.text, dict(response.headers))


def connect(settings: Settings, http: Http) -> Any:
    """Make the SDK's client (``twilio.rest.Client``) for the account and base URL of the settings; nothing is sent."""
    token = settings.twilio_auth_token[0].get_secret_value()
    client = Client(
        settings.twilio_account_sid,
        token,
        http_client=OurHttpClient(http),
        environment={"TWILIO_EDGE": ""},  # an empty mapping would make the SDK read the environment
    )
    client.api.base_url = settings.twilio_base_url.rstrip("/")
    return client

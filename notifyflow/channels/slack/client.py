"""Slack's SDK over our own HTTP. Imported only where the bot sends."""

from typing import Any

from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from notifyflow.channels.http import Http, refusal
from notifyflow.channels.slack.codes import SLACK
from notifyflow.errors import UnknownOutcomeError


class OurWebClient(WebClient):
    """Calls the Web API with our time-outs, proxy and CA bundle, and classifies the responses.

    The SDK's own transport follows redirects with the token in hand, repeats by itself and reads without end.
    """

    def __init__(self, http: Http, token: str, base_url: str) -> None:
        super().__init__(token=token, base_url=base_url)
        self._http = http

    def api_call(self, api_method: str, *, json: dict[str, Any] | None = None, **unused: Any) -> SlackResponse:
        """Call a method that takes JSON; besides a refusal it raises what ``Http.post`` raises."""
        del unused
        url = self.base_url + api_method
        response = self._http.post(url, json=json, headers={"Authorization": f"Bearer {self.token}"})
        fields = response.fields
        if not response.is_success or fields.get("ok") is False:
            status = 400 if response.is_success else response.status
            raise refusal(status, SLACK, code=fields.get("error", ""), retry_after_s=response.retry_after_s)
        if fields.get("ok") is not True:
            raise UnknownOutcomeError("Slack responded with something that its API does not have", code="garbage")
        return SlackResponse(
            client=self,
            http_verb="POST",
            api_url=url,
            req_args={},
            data=dict(fields),
            headers=dict(response.headers),
            status_code=response.status,
        )

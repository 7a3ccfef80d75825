"""Unsigned messages for a known topic, each with another certificate URL."""

import json
from pathlib import Path

from notifyflow.core.delivery.model import NotificationState
from tests.mails import event
from tests.security.conftest import targeted
from tests.servers.sns import CERTIFICATE_PATH, HOST, body_of, sns


def test_a_flood_of_unsigned_messages_causes_one_request_to_amazon_and_moves_nothing(tmp_path: Path):
    with sns(tmp_path) as amazon:
        proxied = {name.removeprefix("NOTIFYFLOW_"): value for name, value in amazon.settings.items()}
        with targeted(tmp_path, **proxied) as target:
            document = json.dumps(
                {"key": "k", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
            ).encode()
            response = target.request(
                "POST", "/v1/incidents", document, authorization=f"Bearer {target.key}", content_type="application/json"
            )
            assert response[0] in (200, 201)
            target.sandbox.inbox.wait_for(lambda message: message.to == "ada@example.com")
            attempt = target.status("k").escalations[0].notifications[0].attempts[0].id
            for number in range(200):
                url = f"https://{HOST}/SimpleNotificationService-{number:032x}.pem"
                forged = amazon.message(event("Bounce Permanent", attempt), SigningCertURL=url) | {"Signature": "AAAA"}
                status, _ = target.request("POST", "/callbacks/sns", body_of(forged), content_type="text/plain")
                assert status in (403, 503)
            assert len(amazon.requests) == 1
            assert amazon.requests[0] == (f"{HOST}:443", CERTIFICATE_PATH.replace("0123456789abcdef" * 2, "0" * 32))
            assert target.status("k").escalations[0].notifications[0].state is not NotificationState.FAILED

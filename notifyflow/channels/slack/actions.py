"""Verifies and reads the request that Slack posts when somebody presses a button.

Sources: Slack docs, "Verifying requests from Slack", "Handling user interaction", "block_actions payload", "Button element".
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from pydantic import SecretStr

from notifyflow.channels.base import Callback
from notifyflow.channels.http import read_object
from notifyflow.core.delivery.model import Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.replies import Intent, Reply
from notifyflow.errors import RejectedCallback

ACKNOWLEDGE = "acknowledge"
_VALUE_LIMIT = 2000
_SHOWN = "."  # in no token
_SEVERITIES = {str(each): each for each in Severity}


def value_of(content: Content) -> str | None:
    """Return the value of the button that acknowledges in place: the link's token, and the severity that the message shows.

    Returns:
        None if the button opens the link instead: there is none, or it is about several incidents, which its page lists.
    """
    if not content.link or content.bundled:
        return None
    value = f"{content.link.rpartition('/')[2]}{_SHOWN}{content.severity}"
    return value if len(value) <= _VALUE_LIMIT else None


def verify(provider: str, secrets: Sequence[SecretStr], callback: Callback) -> None:
    """Check that a request was signed with a secret of ours, and within the last five minutes.

    Raises:
        RejectedCallback: When it was not, or when no secret is configured.
    """
    from slack_sdk.signature import SignatureVerifier

    for secret in secrets:
        try:
            if SignatureVerifier(secret.get_secret_value()).is_valid_request(callback.body, callback.headers):
                return
        except (ValueError, TypeError, OverflowError):  # the SDK raises on garbage
            break
    raise RejectedCallback(provider, "its signature was not made with a secret of ours, or too long ago")


def read_action(provider: str, body: bytes) -> Reply | None:
    """Read the form of a press; return None for anything but the acknowledge button.

    A repeated request has the same body, so the press counts once.

    Raises:
        RejectedCallback: When it cannot be parsed.
    """
    try:
        payload = read_object(parse_qs(body.decode(), max_num_fields=20)["payload"][0])
    except (ValueError, KeyError):
        payload = {}
    if not payload:
        raise RejectedCallback(provider, "its body is not the form of an interaction")
    match payload:
        case {"type": "block_actions", "actions": [{"action_id": str(action), "value": str(value)}, *_]} if action == ACKNOWLEDGE:
            token, _, shown = value.partition(_SHOWN)
            return Reply(
                provider=provider,
                event_id=f"action:{hashlib.sha256(body).hexdigest()}",
                intent=Intent.ACKNOWLEDGE,
                token=token,
                shown=_SEVERITIES.get(shown),
                who=_user(payload),
            )
    return None


def _user(payload: Mapping[str, Any]) -> str:
    match payload:
        case {"user": {"id": str(user)}} if user.isalnum() and user.isascii():
            return user[:32]
    return ""

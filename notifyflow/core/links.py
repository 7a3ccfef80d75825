"""Signs and checks acknowledgement links.

A token is short enough for a text message, since one that needs UCS-2 has 134 characters in two segments: four bytes of
expiry, sixteen of the incident's id, the recipient's id, and a truncated HMAC-SHA256. Half the hash's length is as far as
RFC 2104, section 5, lets one truncate.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from notifyflow.errors import InvalidLink

_PURPOSE = b"notifyflow acknowledgement link, version 1\n"
_EXPIRY_BYTES = 4
_ID_BYTES = 16
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClaim:
    """The content of a valid link.

    Attributes:
        incident_id: The incident to acknowledge.
        recipient_id: The recipient of the link.
        expires_at: When it expires.
    """

    incident_id: str
    recipient_id: str
    expires_at: datetime


def sign(keys: Sequence[str], incident_id: str, recipient_id: str, expires_at: datetime) -> str:
    """Return the token of a link, signed with the first key: letters, digits, ``-`` and ``_``. The incident's id is a UUID."""
    expiry = int(expires_at.timestamp()).to_bytes(_EXPIRY_BYTES, "big")
    payload = expiry + UUID(incident_id).bytes + recipient_id.encode()
    return _encode(payload + _mac(keys[0], payload))


def check(keys: Sequence[str], token: str, now: datetime) -> LinkClaim:
    """Return the content of a link whose token any of the keys may have signed.

    Raises:
        InvalidLink: When none of the keys signed it, or it has expired.
    """
    signed = _decode(token)
    payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(key, payload)) for key in keys):
        raise InvalidLink(is_expired=False)
    expires_at = datetime.fromtimestamp(int.from_bytes(payload[:_EXPIRY_BYTES], "big"), UTC)
    if now >= expires_at:
        raise InvalidLink(is_expired=True)
    incident, recipient = payload[_EXPIRY_BYTES:][:_ID_BYTES], payload[_EXPIRY_BYTES + _ID_BYTES :]
    return LinkClaim(incident_id=incident.hex(), recipient_id=recipient.decode(), expires_at=expires_at)


def _mac(key: str, payload: bytes) -> bytes:
    return hmac.digest(key.encode(), _PURPOSE + payload, "sha256")[:_MAC_BYTES]


def _encode(signed: bytes) -> str:
    return urlsafe_b64encode(signed).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    """Decode a token; spellings of the same bytes that ``sign`` does not make are refused."""
    try:
        signed = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except ValueError:
        raise InvalidLink(is_expired=False) from None
    if _encode(signed) != token:
        raise InvalidLink(is_expired=False)
    return signed

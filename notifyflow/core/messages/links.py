"""Signs and checks acknowledgement links; pure.

A token has 40 characters for any recipient: a text message in UCS-2 has 201 in three segments, and the title needs some of them.
It holds sixteen bytes of the incident's id, three of its expiry in hours, and eleven of an HMAC-SHA256 over both and the id
of its recipient. That id is not in it: of the recipients of the incident, the signature fits one. ADR 41 says why this is enough.

The token of a bundle has the id of the attempt that made the call in place of the incident's, and a purpose of its own in the
HMAC: neither is ever read as the other.

Links of the previous version, which held the recipient's id, are valid until they expire.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from uuid import UUID

from notifyflow.errors import InvalidLink

_ID_BYTES = 16
_EXPIRY_BYTES = 3
_HOUR_S = 3600
_MAC_BYTES = 11
_TOKEN_BYTES = _ID_BYTES + _EXPIRY_BYTES + _MAC_BYTES

_FORMER_PURPOSE = b"notifyflow acknowledgement link, version 1\n"
_FORMER_EXPIRY_BYTES = 4
_FORMER_MAC_BYTES = 16


class Subject(Enum):
    """The kind of row that a link is about; its value is the purpose in the signature."""

    INCIDENT = b"notifyflow acknowledgement link, version 2\n"
    BUNDLE = b"notifyflow bundle link, version 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClaim:
    """The content of a valid link.

    Attributes:
        subject: Whether it is about an incident or a bundle.
        subject_id: The incident, or the attempt that made the call with the bundle.
        recipient_id: The recipient of the link.
    """

    subject: Subject
    subject_id: str
    recipient_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A token, taken apart and not verified; ``recipient_id`` is None if only the signature depends on it."""

    subject_id: str
    recipient_id: str | None
    expires_at: datetime
    payload: bytes
    mac: bytes


def sign(
    keys: Sequence[str], subject_id: str, recipient_id: str, expires_at: datetime, *, subject: Subject = Subject.INCIDENT
) -> str:
    """Return the token of a link, signed with the first key: letters, digits, ``-`` and ``_``.

    It is valid to the end of the hour in which it expires. The id of the incident or attempt is a UUID.
    """
    hours = -(-int(expires_at.timestamp()) // _HOUR_S)
    payload = UUID(subject_id).bytes + hours.to_bytes(_EXPIRY_BYTES, "big")
    return _encode(payload + _mac(keys[0], payload, recipient_id, subject))


def read_subject_id(token: str) -> str:
    """Return the id of the incident or attempt in a token, whose signature is not checked yet.

    Raises:
        InvalidLink: When it is not a token.
    """
    return _read(token).subject_id


def check(
    keys: Sequence[str],
    token: str,
    recipient_ids: Iterable[str],
    now: datetime,
    *,
    subject: Subject = Subject.INCIDENT,
) -> LinkClaim:
    """Return the content of a link that any of the keys may have signed, for one of some recipients.

    Args:
        keys: The secret keys.
        token: The link's token.
        recipient_ids: The recipients who may have a link for this incident or bundle.
        now: The time.
        subject: The kind of link that is expected.

    Raises:
        InvalidLink: When none of the keys signed it for any of them, or it has expired.
    """
    signed = _read(token)
    if signed.recipient_id is None:
        macs = {_mac(key, signed.payload, each, subject): each for each in recipient_ids for key in keys}
    else:
        is_incident = subject is Subject.INCIDENT
        macs = {_former_mac(key, signed.payload): signed.recipient_id for key in keys if is_incident}
    for mac, recipient_id in macs.items():
        if hmac.compare_digest(mac[: len(signed.mac)], signed.mac):
            if now >= signed.expires_at:
                raise InvalidLink(is_expired=True)
            return LinkClaim(
                subject=subject, subject_id=signed.subject_id, recipient_id=recipient_id, expires_at=signed.expires_at
            )
    raise InvalidLink(is_expired=False)


def _mac(key: str, payload: bytes, recipient_id: str, subject: Subject) -> bytes:
    return hmac.digest(key.encode(), subject.value + payload + recipient_id.encode(), "sha256")[:_MAC_BYTES]


def _former_mac(key: str, payload: bytes) -> bytes:
    return hmac.digest(key.encode(), _FORMER_PURPOSE + payload, "sha256")


def _read(token: str) -> _Signed:
    signed = _decode(token)
    if len(signed) != _TOKEN_BYTES:
        return _read_former(signed)
    payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
    expires_at = datetime.fromtimestamp(int.from_bytes(payload[_ID_BYTES:], "big") * _HOUR_S, UTC)
    return _Signed(subject_id=payload[:_ID_BYTES].hex(), recipient_id=None, expires_at=expires_at, payload=payload, mac=mac)


def _read_former(signed: bytes) -> _Signed:
    payload, mac = signed[:-_FORMER_MAC_BYTES], signed[-_FORMER_MAC_BYTES:]
    expiry, incident = payload[:_FORMER_EXPIRY_BYTES], payload[_FORMER_EXPIRY_BYTES:][:_ID_BYTES]
    try:
        recipient_id = payload[_FORMER_EXPIRY_BYTES + _ID_BYTES :].decode()
    except UnicodeDecodeError:
        raise InvalidLink(is_expired=False) from None
    if not recipient_id:
        raise InvalidLink(is_expired=False)
    expires_at = datetime.fromtimestamp(int.from_bytes(expiry, "big"), UTC)
    return _Signed(subject_id=incident.hex(), recipient_id=recipient_id, expires_at=expires_at, payload=payload, mac=mac)


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

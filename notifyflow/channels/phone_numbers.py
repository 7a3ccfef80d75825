"""Reads phone numbers with phonenumbers, which loads slowly: only what validates a number imports this."""

from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType

from notifyflow.log import get_logger

_log = get_logger("notifyflow.channels.phone")

_PREMIUM, _SHARED, _SATELLITE = "premium-rate", "shared-cost", "satellite"
# ITU-T E.164, "List of ITU-T Recommendation E.164 assigned country codes": codes that belong to no country.
_COSTLY_CODES = {
    808: _SHARED,  # International Shared Cost Service
    870: _SATELLITE,  # Inmarsat
    881: _SATELLITE,  # Global Mobile Satellite System
    882: _SATELLITE,  # International Networks; the other numbers there cost as much as satellite ones
    883: _SATELLITE,
    979: _PREMIUM,  # International Premium Rate Service
}
_COSTLY_TYPES = {PhoneNumberType.PREMIUM_RATE: _PREMIUM, PhoneNumberType.SHARED_COST: _SHARED}


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number.

    Attributes:
        normalised: In E.164.
        kind: What makes it costly; empty for the others.
        is_assigned: Whether it is in a range in which numbers are known to be assigned.
    """

    normalised: str
    kind: str
    is_assigned: bool


def read_number(number: str) -> Number:
    """Read a number.

    Raises:
        ValueError: When it is invalid; the text leaves out the number.
    """
    read = _parse(number)
    if isinstance(read, str):
        raise ValueError(read)
    return read


@lru_cache(maxsize=4096)  # most numbers are validated many times, a text and a call one after the other
def _parse(number: str) -> Number | str:
    """Return a parsed number, or the text of its error."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "is not a phone number in international form, such as +49 30 901820"
    if not phonenumbers.is_possible_number(parsed):
        return "is not a possible phone number: it has too few or too many digits for its country"
    number_type = phonenumbers.number_type(parsed)
    is_assigned = number_type != PhoneNumberType.UNKNOWN
    if not is_assigned:
        _warn(parsed.country_code or 0)
    return Number(
        normalised=phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164),
        kind=_COSTLY_CODES.get(parsed.country_code or 0) or _COSTLY_TYPES.get(number_type, ""),
        is_assigned=is_assigned,
    )


@cache
def _warn(country_code: int) -> None:
    """Log an unassigned number once per country, so that submitted numbers cannot fill the log."""
    _log.warning("channels.number_unassigned", country_code=country_code)

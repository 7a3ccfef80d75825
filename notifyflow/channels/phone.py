"""Phone numbers, for the channels that ring or write to them."""

from collections.abc import Sequence
from functools import lru_cache

import phonenumbers
import structlog
from phonenumbers import PhoneNumberType

_log = structlog.get_logger(__name__)

_PREMIUM, _SHARED, _SATELLITE = "premium-rate", "shared-cost", "satellite"
# ITU-T E.164, "List of ITU-T Recommendation E.164 assigned country codes": what belongs to no country.
_COSTLY_CODES = {
    808: _SHARED,  # International Shared Cost Service
    870: _SATELLITE,  # Inmarsat
    881: _SATELLITE,  # Global Mobile Satellite System
    882: _SATELLITE,  # International Networks; what is not satellite there costs as much
    883: _SATELLITE,
    979: _PREMIUM,  # International Premium Rate Service
}
_COSTLY_TYPES = {PhoneNumberType.PREMIUM_RATE: _PREMIUM, PhoneNumberType.SHARED_COST: _SHARED}


class PhoneNumbers:
    """Judges the numbers of one channel.

    Args:
        costly: How numbers begin that may be paged although whoever has them may earn by it: ``+88216``; ``+`` allows all.
    """

    def __init__(self, costly: Sequence[str] = ()) -> None:
        self._costly = tuple(costly)

    def check(self, number: str) -> str:
        """Judge a number in international form and normalise it to E.164.

        A number need not be assigned to be taken, only possible: numbering plans change faster than any library.

        Raises:
            ValueError: With what is wrong as a sentence, without the number.
        """
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException as error:
            raise ValueError("is not a phone number in international form, such as +49 30 901820") from error
        if not phonenumbers.is_possible_number(parsed):
            raise ValueError("is not a possible phone number: it has too few or too many digits for its country")
        normalised = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        kind = _COSTLY_CODES.get(parsed.country_code or 0) or _COSTLY_TYPES.get(phonenumbers.number_type(parsed))
        if kind and not normalised.startswith(self._costly):
            raise ValueError(f"is a {kind} number, which is paged only where NOTIFYFLOW_COSTLY_NUMBERS names how it begins")
        if self.warning(normalised):
            _warn(normalised)
        return normalised

    def warning(self, number: str) -> str:
        """Say that a number, as ``check`` normalised it, is in no range that is known to be assigned; empty where it is."""
        if phonenumbers.is_valid_number(phonenumbers.parse(number)):
            return ""
        return "is in a range in which nobody is known to have a number"


@lru_cache(maxsize=1024)
def _warn(number: str) -> None:
    """Log it once for each number; which one it is, the directory's check says."""
    _log.warning("channels.number_unassigned", country_code=phonenumbers.parse(number).country_code)

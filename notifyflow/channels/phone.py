"""The common part of texts and calls: addresses that are phone numbers."""

from collections.abc import Sequence

from notifyflow.channels.base import Channel, Provider
from notifyflow.errors import Fault


class PhoneChannel(Channel):
    """A channel to phones. Numbers whose owners earn by a call are refused, unless they begin like one of ``costly``."""

    def __init__(self, providers: Sequence[Provider], faults: Sequence[Fault], costly: Sequence[str]) -> None:
        super().__init__(providers, faults)
        self._costly = tuple(costly)

    def check_address(self, address: str) -> str:
        """Validate a number in international form and normalise it to E.164; see ``Channel.check_address``.

        A number has to be possible, not assigned: numbering plans change faster than any library.
        """
        from notifyflow.channels.phone_numbers import read_number

        read = read_number(address)
        if read.kind and not read.normalised.startswith(self._costly):
            raise ValueError(f"is a {read.kind} number, which is paged only where NOTIFYFLOW_COSTLY_NUMBERS names how it begins")
        return read.normalised

    def warning(self, address: str) -> str:
        """Return a warning for a number in an unassigned range; see ``Channel.warning``."""
        from notifyflow.channels.phone_numbers import read_number

        return "" if read_number(address).is_assigned else "is in a range in which no numbers are known to be assigned"

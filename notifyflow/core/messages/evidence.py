"""Who vouches for a result, in words."""

from collections.abc import Mapping

from notifyflow.core.delivery.model import Evidence

VOUCHERS: Mapping[Evidence, str] = {
    Evidence.ACCEPTED: "the provider",
    Evidence.CARRIER: "the carrier",
    Evidence.DEVICE: "the device",
    Evidence.HUMAN: "a person",
}

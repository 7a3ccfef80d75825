"""Who vouches for a result, in words."""

from collections.abc import Mapping

from notifyflow.core.delivery.model import Evidence

VOUCHED: Mapping[Evidence, str] = {
    Evidence.ACCEPTED: "accepted by the provider",
    Evidence.CARRIER: "confirmed by the carrier",
    Evidence.DEVICE: "confirmed by the device",
    Evidence.HUMAN: "confirmed by a person",
}
VOUCHERS: Mapping[Evidence, str] = {evidence: words.partition(" by ")[2] for evidence, words in VOUCHED.items()}

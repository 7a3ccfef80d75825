"""Who vouches for a result, in words."""

from notifyflow.core.delivery.model import Evidence
from notifyflow.core.messages.evidence import VOUCHERS


def test_each_evidence_has_a_word_of_its_own() -> None:
    assert set(VOUCHERS) == set(Evidence)
    assert len(set(VOUCHERS.values())) == len(Evidence)

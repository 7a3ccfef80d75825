"""The demo's sentences can be false: nothing of its story is true of another incident."""

import pytest

from notifyflow.cli.demo.claims import SCENES, WHOLE, Claim, Witness
from notifyflow.cli.demo.show import is_true
from tests.statuses import OPEN

ELSEWHERE = Witness(status=OPEN, operations=None, inbox=(), linked_page="<button>", log="")
TRUE_OF_NOTHING = {"she got no text and no call"}


@pytest.mark.parametrize("claim", [claim for scene in SCENES for claim in scene.claims], ids=lambda claim: claim.sentence)
def test_a_sentence_is_untrue_of_an_incident_that_it_is_not_about(claim: Claim):
    assert is_true(claim, ELSEWHERE) is (claim.sentence in TRUE_OF_NOTHING)


@pytest.mark.parametrize("claim", [WHOLE[0], WHOLE[2]], ids=lambda claim: claim.sentence)
def test_what_holds_for_all_is_not_believed_without_a_log(claim: Claim):
    assert not is_true(claim, ELSEWHERE)

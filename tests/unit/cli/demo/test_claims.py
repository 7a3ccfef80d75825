"""The demo's claims can fail: none but the trivial ones is true of another incident."""

import pytest

from notifyflow.cli.demo.claims import SCENES, WHOLE, Claim, Scene, Witness
from notifyflow.cli.demo.show import is_true
from tests.statuses import OPEN

ELSEWHERE = Witness(status=OPEN, operations=None, inbox=(), linked_page="<button>", log="")
TRUE_WITHOUT_MESSAGES = {"she got no text and no call"}


@pytest.mark.parametrize("claim", [claim for scene in SCENES for claim in scene.claims], ids=lambda claim: claim.sentence)
def test_a_claim_is_false_of_another_incident(claim: Claim):
    assert is_true(claim, ELSEWHERE) is (claim.sentence in TRUE_WITHOUT_MESSAGES)


@pytest.mark.parametrize("claim", [WHOLE[0], WHOLE[2]], ids=lambda claim: claim.sentence)
def test_a_claim_about_the_whole_demo_is_false_without_a_log(claim: Claim):
    assert not is_true(claim, ELSEWHERE)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.who)
def test_the_headline_of_a_scene_fits_a_terminal(scene: Scene):
    assert len(f"{scene.who} {scene.summary} ─") <= 80

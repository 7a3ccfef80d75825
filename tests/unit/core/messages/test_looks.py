from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState
from notifyflow.core.messages import looks


def test_every_state_is_told_from_the_others_by_its_word():
    for kind, states in (
        (IncidentState, looks.INCIDENTS),
        (EscalationState, looks.ESCALATIONS),
        (NotificationState, looks.NOTIFICATIONS),
    ):
        assert set(states) == set(kind)
        assert len({look.word for look in states.values()}) == len(states)


def test_no_sign_stands_for_two_tones():
    every = [*looks.INCIDENTS.values(), *looks.ESCALATIONS.values(), *looks.NOTIFICATIONS.values()]
    assert len({look.sign for look in every}) == len({(look.sign, look.tone) for look in every})

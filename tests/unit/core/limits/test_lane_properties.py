"""Properties that hold in every state of a lane: no page waits for longer than its rule, and a quiet lane holds nothing."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import DeferralReason, Severity
from notifyflow.core.limits import lanes
from notifyflow.core.limits.lanes import Arrivals, Class, Departure, Lane
from tests.facts import NOW, page
from tests.strategies import severities

_BEATS = st.sampled_from((timedelta(seconds=10), timedelta(seconds=60)))
_AGO = st.timedeltas(min_value=timedelta(), max_value=timedelta(minutes=12))
_NAMESPACES = st.sampled_from(("", "other"))


def _ago(*, or_none: bool = False) -> st.SearchStrategy[datetime]:
    past = _AGO.map(lambda span: NOW - span)
    return st.one_of(st.none(), past) if or_none else past


@st.composite
def storms(draw: st.DrawFn) -> Lane:
    """Draw the row of a lane: what is in a storm, and what was."""
    times = {}
    for name in ("urgent", "calm"):
        began = draw(_ago(or_none=True))
        times |= {f"{name}_from": began, f"{name}_until": began and began + draw(_AGO)}
    return Lane(id="1", channel="email", left_at=draw(_ago()), **times)


@st.composite
def rows(draw: st.DrawFn) -> NotificationFacts:
    """Draw a page that is due and has not been tried."""
    created = draw(_ago())
    return page(
        "email",
        severity=draw(severities),
        created_at=created,
        due_at=created + draw(st.floats(0, 1)) * (NOW - created),
        namespace=draw(_NAMESPACES),
        deferred_by=draw(st.sampled_from((None, None, *DeferralReason))),
    )


ARRIVALS = st.lists(
    st.builds(
        Arrivals,
        namespace=_NAMESPACES,
        severity=severities,
        incidents=st.integers(1, 40),
        first_id=st.sampled_from(["0", "n-email", "z"]),
    ),
    max_size=4,
)


@given(row=rows(), lane=storms(), arrivals=ARRIVALS, beat=_BEATS)
def test_a_page_is_held_for_a_beat_at_most_and_a_critical_one_for_half_a_minute(
    row: NotificationFacts, lane: Lane, arrivals: list[Arrivals], beat: timedelta
) -> None:
    departure, until = lanes.departure(row, lane, arrivals, beat, now=NOW)
    longest = min(beat, timedelta(seconds=30)) if row.severity is Severity.CRITICAL else beat
    assert departure is not Departure.WAITS or NOW < until <= NOW + longest


@given(row=rows(), arrivals=ARRIVALS, beat=_BEATS)
def test_a_quiet_lane_holds_nothing(row: NotificationFacts, arrivals: list[Arrivals], beat: timedelta) -> None:
    quiet = Lane(id="1", channel="email", left_at=NOW, urgent_from=row.created_at, urgent_until=NOW, calm_until=NOW)
    for lane in (None, quiet):
        assert lanes.departure(row, lane, arrivals, beat, now=NOW)[0] is not Departure.WAITS


@given(row=rows(), lane=storms(), arrivals=ARRIVALS, beat=_BEATS, later=st.timedeltas(min_value=timedelta()))
def test_a_page_waits_for_one_beat_only(
    row: NotificationFacts, lane: Lane, arrivals: list[Arrivals], beat: timedelta, later: timedelta
) -> None:
    """Whatever the lane has become meanwhile, a page that was held leaves no later than was said."""
    departure, until = lanes.departure(row, lane, arrivals, beat, now=NOW)
    if departure is Departure.WAITS:
        now = NOW + min(later, timedelta(minutes=5))
        moved = replace(lane, left_at=now, urgent_until=now + lanes.LASTS, calm_until=now + lanes.LASTS)
        again, at_last = lanes.departure(replace(row, waits_until=until), moved, arrivals, beat, now=now)
        assert again is not Departure.WAITS or at_last <= until
        assert again is not Departure.WAITS or now < until


@given(row=rows(), lane=storms(), arrivals=ARRIVALS, beat=_BEATS)
def test_the_first_critical_page_of_a_namespace_is_not_held(
    row: NotificationFacts, lane: Lane, arrivals: list[Arrivals], beat: timedelta
) -> None:
    others = [each for each in arrivals if (each.namespace, each.severity) != (row.namespace, Severity.CRITICAL)]
    recent = replace(row, severity=Severity.CRITICAL, created_at=max(row.created_at, NOW - timedelta(seconds=59)))
    assert lanes.departure(recent, lane, others, beat, now=NOW)[0] is not Departure.WAITS


@given(lane=storms(), some=st.lists(rows(), max_size=5), severity=severities)
def test_a_storm_only_goes_on_with_new_pages_and_ends_five_minutes_after_the_newest(
    lane: Lane, some: list[NotificationFacts], severity: Severity
) -> None:
    severities_of = lanes.class_of(severity)
    after = lanes.go_on(lane, some, now=NOW)
    if not lanes.is_stormy(lane, severities_of, now=NOW):
        assert not lanes.is_stormy(after, severities_of, now=NOW)
    own = [row.created_at for row in some if lanes.class_of(row.severity) is severities_of]
    known = lane.urgent_until if severities_of is Class.URGENT else lane.calm_until
    ends = max([*(at + timedelta(minutes=5) for at in own), *([known] if known else [])], default=NOW)
    assert not lanes.is_stormy(after, severities_of, now=ends)
    if own and lanes.is_stormy(lane, severities_of, now=NOW):
        assert lanes.is_stormy(after, severities_of, now=ends - timedelta(microseconds=1))


@given(channel=st.sampled_from(("email", "sms")), address=st.text(min_size=3, max_size=30), other=st.text(max_size=30))
def test_a_lane_is_the_same_for_an_address_another_for_another_and_shows_none(channel: str, address: str, other: str) -> None:
    lane = lanes.lane_of(b"key", channel, address)
    assert lane == lanes.lane_of(b"key", channel, address)
    assert (lane == lanes.lane_of(b"key", channel, other)) is (address == other)
    assert lane != lanes.lane_of(b"another key", channel, address)
    assert len(lane) == 16
    assert int(lane, 16) >= 0

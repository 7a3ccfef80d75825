"""What is said of an alert that comes and goes."""

from datetime import timedelta

from notifyflow.core.copies import replace
from notifyflow.core.delivery import series
from notifyflow.core.insight.series_words import firings
from tests.facts import NOW, incident


def test_the_first_incident_of_a_series_says_nothing_of_it() -> None:
    assert firings(incident()) == ""
    assert firings(series.end(incident())) == ""


def test_a_later_one_says_for_how_long_the_earlier_ones_were_open() -> None:
    later = incident(id="i2", series=replace(series.of(incident()), open_for=timedelta(minutes=12)))
    assert firings(later) == "goes on where the one before stood; the earlier ones were open for 12 m"
    flapping = replace(later, series=replace(series.of(later), flapping_at=NOW))
    assert firings(flapping) == "goes on where the one before stood; the earlier ones were open for 12 m; flapping"

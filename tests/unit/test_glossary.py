"""The glossary holds the words that are ours, and those of the README and the dashboard that a newcomer may not know."""

import re
from pathlib import Path

GLOSSARY = (Path(__file__).parents[2] / "docs" / "glossary.rst").read_text(encoding="utf-8")
WORDS = re.findall(r"^   (\S.*)$", GLOSSARY.split(".. glossary::")[1], re.MULTILINE)


def test_a_reader_has_at_most_forty_words_to_look_up() -> None:
    """Twenty were ours; with those of the README and the dashboard, each is found here."""
    assert 20 <= len(WORDS) <= 40


def test_the_words_for_who_is_next_say_what_other_systems_call_them() -> None:
    entries = dict(re.findall(r"^   (\S.*)\n((?:      .*\n)+)", GLOSSARY, re.MULTILINE))
    assert "escalation policy" in entries["chain"]
    assert {"PagerDuty", "GoAlert"} <= set(re.findall(r"\w+", entries["chain"]))
    assert "chain" in entries["escalation"]
    assert "chain" in entries["policy"]


def test_the_words_are_sorted_and_each_stands_there_once() -> None:
    assert sorted(set(WORDS)) == WORDS

"""The glossary holds the few words that are ours."""

import re
from pathlib import Path

GLOSSARY = (Path(__file__).parents[2] / "docs" / "glossary.rst").read_text(encoding="utf-8")
WORDS = re.findall(r"^   (\S.*)$", GLOSSARY.split(".. glossary::")[1], re.MULTILINE)


def test_a_reader_has_at_most_twenty_words_to_learn() -> None:
    assert 10 <= len(WORDS) <= 20


def test_the_words_are_sorted_and_each_stands_there_once() -> None:
    assert sorted(set(WORDS)) == WORDS

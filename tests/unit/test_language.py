"""The package and its documentation are written in plain English, in the words of the glossary."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.columns import PACKAGE, sources
from tests.unit.web.conftest import Backend, client_of

ROOT = Path(__file__).parents[2]
SOURCES = sources()
MESSAGES = [path for path in SOURCES if path.relative_to(PACKAGE).parts[0] in ("errors", "cli", "web")]
PAGES = [
    *(ROOT / name for name in ("README.rst", "SECURITY.rst", "CONTRIBUTING.rst") if (ROOT / name).exists()),
    *(path for path in sorted((ROOT / "docs").rglob("*.rst")) if path.name != "changelog.rst" and path.parent.name != "figures"),
]
TEMPLATES = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".html", ".jinja"))

PHRASES = {
    # what is hard to read, and what to write instead
    r"\bwhat there is\b": "the noun that is meant",
    r"\bthat (is|are) none\b(?! of)": "invalid, or not a …",
    r"\bround of nobody\b": "round 0",
    r"\bheard of\b": "known",
    r"\bwhat (came|comes|has come) of\b": "the result of",
    r"\bas (it|they) (was|were) told\b": "as expected",
    r"\bsomething was not as\b": "… failed",
    r"(^|: |[.] )Where it stands[.]": "what the class or the column is for",
    r"\bkept waiting by\b": "waits for",
    r"\bwants to be left alone\b": "asks to back off",
    r"\bnobody is .{0,40} who\b": "the noun that is meant",
    r"(^|[.:;] )Whoever\b": "the person, the process, the caller",
    r"\bmay (have|be) none\b": "is optional, or can be empty",
    r"\bwhat is not .{1,40} is (none|not)\b": "anything else is …",
    r"\basked after\b": "its status is fetched",
    r"\bnot (being )?heard from\b": "silent",
    r"\bhouses?\b": "application, or deployment",
    r"\bway back\b": "callback path",
    r"\bheld back\b": "deferred",
    r"\bdoors?\b": "integration",
    r"\b(asker|desk|tidings)\b": "status poller, slot allocation, status update",
}
OPENINGS = {
    # how a docstring does not begin
    r"^(Tell|Say) (whether|what|how|why)\b": "return whether …, or the noun that is returned",
    r"^Give the\b": "return the …",
}
HELD_UP = "held_up"
"""A term of the glossary with a word in it that has another meaning by itself, which has a better one."""

FORMER = {
    "answer",
    "answered",
    "answers",
    "ask",
    "asked",
    "asker",
    "asks",
    "born",
    "cancel",
    "carrier",
    "case",
    "desk",
    "door",
    "given",
    "heard",
    "held",
    "hold",
    "home",
    "hopeless",
    "house",
    "ill",
    "judge",
    "judged",
    "judgement",
    "lanes",
    "letter",
    "look",
    "looked",
    "news",
    "rested",
    "rests",
    "said",
    "shut",
    "take",
    "taken",
    "tell",
    "told",
    "wish",
    "word",
}
"""Words that names no longer use; the glossary has the ones that replaced them."""
PLACES = 3


class Text(NamedTuple):
    """A text that someone reads.

    Attributes:
        path: The file it is in.
        line: The line it begins in.
        text: Its words.
    """

    path: Path
    line: int
    text: str


class Docstring(NamedTuple):
    """A docstring.

    Attributes:
        name: The function's or class's name; its target for an attribute; empty for a module.
        text: Its place and words.
    """

    name: str
    text: Text


def docstrings(path: Path) -> Iterator[Docstring]:
    """Yield the docstrings of a module, its classes, functions and attributes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if text := ast.get_docstring(node):
                yield Docstring(getattr(node, "name", ""), Text(path, node.body[0].lineno, text))
            for assignment, after in zip(node.body, node.body[1:], strict=False):
                match assignment, after:
                    case (ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str(text)))):
                        target = assignment.target if isinstance(assignment, ast.AnnAssign) else assignment.targets[0]
                        yield Docstring(ast.unparse(target), Text(path, after.lineno, text))


def literals(path: Path) -> Iterator[Text]:
    """Yield the string literals of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Constant(str(text)):
                yield Text(path, node.lineno, text)


def lines(path: Path) -> Iterator[Text]:
    """Yield the paragraphs of a page or template, one line each."""
    line = 1
    for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
        yield Text(path, line, paragraph)
        line += paragraph.count("\n") + 2


def findings(texts: Iterable[Text], phrases: dict[str, str] = PHRASES) -> list[str]:
    """Return the hard phrases in texts, with where they are and what to write instead."""
    return [
        f"{text.path.relative_to(ROOT)}:{text.line}: {found[0]!r}: write {instead}"
        for text in texts
        for phrase, instead in phrases.items()
        if (found := re.search(phrase, " ".join(text.text.split()), re.IGNORECASE if phrase.islower() else 0))
    ]


def former(names: set[str]) -> list[str]:
    """Return the names that contain a former word, outside a term of the glossary."""
    return sorted(name for name in names if FORMER & set(re.split(r"[_.]", name.replace(HELD_UP, ""))))


def test_docstrings_have_no_hard_phrases() -> None:
    assert findings([each.text for path in SOURCES for each in docstrings(path)], PHRASES | OPENINGS) == []


def test_messages_have_no_hard_phrases() -> None:
    assert findings([text for path in MESSAGES for text in literals(path)]) == []


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_has_no_hard_phrases(path: Path) -> None:
    assert findings(lines(path)) == []


def test_no_docstring_is_copied_to_more_than_three_places() -> None:
    """Methods of one name are one place: a port and its implementations do the same."""
    places: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    for path in SOURCES:
        for name, text in docstrings(path):
            is_function = name.islower() and not name.startswith("_")
            places[text.text.partition("\n")[0]].add((name,) if is_function else (path, text.line))
    assert {sentence: len(found) for sentence, found in places.items() if len(found) > PLACES} == {}


def test_tables_and_columns_have_no_former_names() -> None:
    sql = "\n".join(path.read_text(encoding="utf-8") for path in sources("storage", "migrations") if path.name.startswith("v"))
    tables = set(re.findall(r"\bnotifyflow_\w+", sql))
    columns = set(re.findall(r"^\s+([a-z_]+) (?:\{|TEXT|INTEGER|BOOLEAN|REAL)", sql, re.MULTILINE))
    assert len(tables) > 20
    assert len(columns) > 80
    assert former(tables | columns) == []


def test_log_events_have_no_former_names() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    events = set(re.findall(r'\b_log\.\w+\(\s*"([a-z_.]+)"', source))
    assert len(events) > 40
    assert former(events) == []


def test_json_fields_have_no_former_names() -> None:
    schemas = client_of(Backend()).get("/v1/openapi.json").json()["components"]["schemas"].values()
    fields = {name for schema in schemas for name in schema.get("properties", ())}
    for path in sources("cli"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Dict(keys):
                    fields |= {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    assert len(fields) > 80
    assert former(fields) == []

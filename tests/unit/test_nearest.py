"""`scripts/test --changed` runs what imports lead to, the nearest first, and says what it leaves out."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import nearest
from tests.nearest import Tree, left_out

TREE = {
    "notifyflow/__init__.py": "from notifyflow.core import tiers",
    "notifyflow/core/__init__.py": "",
    "notifyflow/core/tiers.py": "",
    "notifyflow/core/rules.py": "from notifyflow.core import tiers",
    "notifyflow/core/alone.py": "",
    "notifyflow/web/page.py": 'TEMPLATE = "page.html"',
    "notifyflow/web/page.html": "",
    "notifyflow/web/words.txt": "",
    "tests/pagers.py": "import notifyflow.core.rules",
    "tests/unit/conftest.py": "",
    "tests/unit/core/test_tiers.py": "",
    "tests/unit/core/test_tiers_drawn.py": "",
    "tests/unit/core/test_tiersman.py": "",
    "tests/unit/core/test_rules.py": "from notifyflow.core.rules import a, b",
    "tests/unit/test_all.py": "for each in folder.rglob('*.py'): pass",
    "tests/unit/web/test_page.py": "import notifyflow.web.page",
    "tests/integration/conftest.py": "import notifyflow.core.alone",
    "tests/integration/test_both.py": "from notifyflow.core import rules, tiers",
    "tests/integration/test_tier.py": "from notifyflow.core import tiers",
    "tests/integration/test_table.py": "MODULES = ['notifyflow.core.tiers']\nREAD = 'docs/tiers.rst'",
    "tests/security/test_shops.py": "import_module(f'notifyflow.shop.{name}')",
    "notifyflow/shop/till.py": "",
    "notifyflow/shop/cellar/wine.py": "",
    "tests/acceptance/test_pager.py": "from tests.pagers import Pager",
    "docs/tiers.rst": "",
    "docs/other.rst": "",
}


def written(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(written(tmp_path, TREE))


def test_named_tests_come_first_and_then_the_others_by_the_imports_between(tree: Tree) -> None:
    assert tree.nearest(["notifyflow/core/tiers.py"]) == [
        "tests/unit/core/test_tiers.py",
        "tests/unit/core/test_tiers_drawn.py",
        "tests/unit/test_all.py",
        "tests/integration/test_table.py",
        "tests/integration/test_tier.py",
        "tests/integration/test_both.py",
        "tests/unit/core/test_rules.py",
        "tests/acceptance/test_pager.py",
    ]


def test_a_changed_test_comes_first_and_nothing_hangs_on_it(tree: Tree) -> None:
    changed = "tests/integration/test_both.py"
    assert tree.nearest([changed]) == [changed, "tests/unit/test_all.py"]


def test_fixtures_lead_to_the_tests_of_their_folder(tree: Tree) -> None:
    near = tree.nearest(["notifyflow/core/alone.py"])
    assert near == ["tests/unit/test_all.py", *(f"tests/integration/test_{name}.py" for name in ("table", "tier", "both"))]


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ("docs/tiers.rst", "tests/integration/test_table.py"),
        ("notifyflow/web/page.html", "tests/unit/web/test_page.py"),
        ("notifyflow/web/words.txt", "tests/unit/web/test_page.py"),
    ],
)
def test_a_file_stands_for_the_modules_that_name_it_or_are_beside_it(tree: Tree, changed: str, test: str) -> None:
    assert sorted(tree.nearest([changed])) == sorted([test, "tests/unit/test_all.py"])


def test_a_name_that_is_completed_when_it_runs_stands_for_all_below_its_package(tree: Tree) -> None:
    assert tree.nearest(["notifyflow/shop/till.py"]) == ["tests/unit/test_all.py", "tests/security/test_shops.py"]
    assert tree.nearest(["notifyflow/shop/cellar/wine.py"]) == ["tests/unit/test_all.py", "tests/security/test_shops.py"]


def test_of_what_is_named_nowhere_only_tests_of_whole_folders_learn(tree: Tree) -> None:
    assert tree.nearest(["docs/other.rst"]) == ["tests/unit/test_all.py"]
    assert tree.nearest([]) == []


def test_what_is_left_out_is_counted_by_suite(tree: Tree) -> None:
    assert (
        left_out(tree.tests, tree.nearest(["notifyflow/core/alone.py"]))
        == "5 of 6 in unit, 1 of 1 in security, 1 of 1 in acceptance"
    )
    assert left_out(tree.tests, tree.tests) == "none"


def test_whatever_differs_from_a_commit_has_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=ada", "-c", "user.email=ada@example.com")
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    git("init")
    written(tmp_path, {"kept.py": "", "gone.py": "", "moved.py": "long enough to be recognized", ".gitignore": "*.log"})
    git("add", ".")
    git("commit", "-m", "first")
    assert nearest.changes(tmp_path, "HEAD") == []
    git("mv", "moved.py", "here.py")
    written(tmp_path, {"kept.py": "changed", "new ä.py": "", "a.log": ""})
    (tmp_path / "gone.py").unlink()
    wanted = ["gone.py", "here.py", "kept.py", "moved.py", "new ä.py"]
    assert nearest.changes(tmp_path, "HEAD") == wanted
    git("add", ".")
    git("commit", "-m", "second")
    assert nearest.changes(tmp_path, "HEAD") == []
    assert nearest.changes(tmp_path, "HEAD~1") == wanted


def test_a_commit_that_is_unknown_is_named_in_the_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"Name a commit that it knows: 'v0' is none"):
        nearest.changes(tmp_path, "v0")


def test_imports_lead_from_every_module_of_the_package_to_a_test() -> None:
    tree = Tree(nearest.ROOT)
    modules = [path for path in tree.modules if path.startswith("notifyflow/") and not path.endswith("/__init__.py")]
    assert len(modules) > 400
    leading = set(tree.tests)
    while more := {path for path in tree.modules if path not in leading and tree._importers[path] & leading}:
        leading |= more
    assert [path for path in modules if path not in leading] == []

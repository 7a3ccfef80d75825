"""The documentation suits phones, the dark, keyboards and screen readers, and loads nothing from other hosts."""

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import axe
from tests.browser import Browser, browser

ROOT = Path(__file__).parents[2]
PHONE, DESKTOP = (390, 844), (1280, 800)
LAYOUT = ("landmark-unique", "region", "scrollable-region-focusable")  # on a desktop, the drawers are open, and less scrolls
PROSE = ("empty-heading", "heading-order", "image-alt", "link-name", "list", "scrollable-region-focusable", "td-headers-attr")
SECTIONS = ("adr", "explanation", "how-to", "reference")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """Build the site, once for all test processes; every warning is an error."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"site-{testrun_uid}"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            command = [sys.executable, "-m", "sphinx", "-nW", "--keep-going", "-q", "-b", "html", "docs", folder]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("section", [*SECTIONS, "other pages"])
def test_every_page_suits_a_phone_and_a_desktop_in_the_dark_or_not(site: Path, section: str, tmp_path: Path):
    pages = [path.relative_to(site) for path in sorted(site.rglob("*.html"))]
    pages = [path for path in pages if (path.parts[0] if path.parts[0] in SECTIONS else "other pages") == section]
    assert pages
    found = []
    with browser(tmp_path) as page:
        axe.prepare(page)
        for path in pages:
            page.emulate(*PHONE, scheme="light")
            page.open(f"file://{site / path}")
            found += [f"{path} loads {each}" for each in page.requests if not each.startswith("file://")]
            if section == "adr" and path != pages[0]:  # all of them are prose, and look alike
                found += [f"{path}: {each}" for each in [*axe.faults(page, *PROSE), *sideways(page)]]
                continue
            found += [f"{path}: {each}" for each in [*axe.faults(page), *sideways(page)]]
            page.emulate(*PHONE, scheme="dark")
            found += [f"{path}, dark: {each}" for each in axe.faults(page, "color-contrast")]
            if path == pages[0]:  # the drawers of a section look alike
                page.emulate(*DESKTOP, scheme="dark")
                found += [f"{path}, desktop, dark: {each}" for each in axe.faults(page, "color-contrast", within="aside")]
                page.emulate(*DESKTOP, scheme="light")
                found += [f"{path}, desktop: {each}" for each in axe.faults(page, "color-contrast", within="aside")]
            page.emulate(*DESKTOP, scheme="light")
            layout = axe.faults(page, *LAYOUT) if path == pages[0] else ()
            found += [f"{path}, desktop: {each}" for each in [*layout, *sideways(page)]]
    assert found == []


def test_the_sidebar_has_how_tos_in_groups_and_decisions_under_one_entry(site: Path):
    tree = (site / "index.html").read_text().partition('class="sidebar-tree"')[2].partition("<article")[0]
    entries = re.findall(r'<li class="toctree-l1[^"]*"><a [^>]*href="([^"]+)"', tree)
    assert [each for each in entries if each.startswith("adr/")] == ["adr/0000-decision-records.html"]
    assert len([each for each in entries if each.startswith("how-to/")]) == 5
    assert "explanation/evidence.html" in entries
    assert len(entries) < 45


def test_the_search_leaves_out_the_codes_of_providers_which_the_command_line_explains(site: Path):
    index = (site / "searchindex.js").read_text()
    found = json.loads(index[index.index("{") : index.rindex("}") + 1])
    number = found["docnames"].index("reference/provider-codes")
    assert [term for term, pages in found["terms"].items() if number in (pages if isinstance(pages, list) else [pages])] == []


def sideways(page: Browser) -> list[str]:
    """Return a fault if the page scrolls sideways."""
    return list(page.evaluate("document.documentElement.scrollWidth > innerWidth ? ['scrolls sideways'] : []"))


def test_axe_sees_faint_letters_and_what_the_keyboard_cannot_reach(tmp_path: Path):
    (tmp_path / "page.html").write_text(
        "<!doctype html><html lang='en'><title>Faults</title><main><h1>Faults</h1><p style='color: #aaa'>faint</p>"
        "<pre style='overflow: auto; width: 9em; tab-size: 99'>\t\twide</pre><img src='data:,'>"
    )
    with browser(tmp_path) as page:
        axe.prepare(page)
        page.open(f"file://{tmp_path / 'page.html'}")
        assert {each.partition(":")[0] for each in axe.faults(page)} == {
            "color-contrast",
            "scrollable-region-focusable",
            "image-alt",
        }

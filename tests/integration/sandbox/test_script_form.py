"""The script is replaced while the sandbox runs, over its page and by the command; the inbox is searched by the URL."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.errors import InvalidScript
from notifyflow.sandbox.remote import replace_script
from notifyflow.sandbox.system import Sandbox
from tests.browser import browser
from tests.servers.ports import reserve_port
from tests.waiting import wait_until

LONG = f"slack: {', then '.join(['500 1 times'] * 50)}"


def post_script(sandbox: Sandbox, script: str, **headers: str) -> requests.Response:
    return requests.post(f"{sandbox.url}/script", data={"script": script}, headers=headers, timeout=10, allow_redirects=False)


def slack(sandbox: Sandbox, who: str, text: str = "down") -> int:
    return requests.post(sandbox.slack_url(who), json={"text": text}, timeout=10).status_code


def in_force(sandbox: Sandbox) -> str:
    return requests.get(f"{sandbox.url}/script", timeout=10).text


def test_a_form_replaces_the_whole_script(sandbox: Sandbox) -> None:
    sandbox.script("teams: 404; slack to ben: 500")
    assert in_force(sandbox) == "teams: 404\nslack to ben: 500"
    response = post_script(sandbox, "slack: 503 twice, then ok")
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert in_force(sandbox) == "slack: 503 2 times, then ok"
    assert [slack(sandbox, "ben") for _ in range(3)] == [503, 503, 200]


def test_an_invalid_script_changes_nothing_and_names_every_fault(sandbox: Sandbox) -> None:
    sandbox.script("slack: 503")
    response = post_script(sandbox, "pigeon: ok\nslack: dance", Accept="text/html")
    assert response.status_code == 400
    assert "line 1" in response.text
    assert "line 2" in response.text
    with pytest.raises(InvalidScript) as caught:
        replace_script(sandbox.url, "pigeon: ok\nslack: dance")
    assert [fault.where for fault in caught.value.faults] == ["line 1", "line 2"]
    assert in_force(sandbox) == "slack: 503"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=str,
)
def test_another_site_cannot_replace_the_script(sandbox: Sandbox, headers: dict[str, str]) -> None:
    assert post_script(sandbox, "slack: 503", **headers).status_code == 403
    assert in_force(sandbox) == ""
    assert post_script(sandbox, "slack: 503", **{"Origin": sandbox.url, "Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_the_page_runs_no_script_but_its_own(sandbox: Sandbox) -> None:
    page = requests.get(sandbox.url, timeout=10)
    policy = page.headers["Content-Security-Policy"]
    (program,) = re.findall("<script>(.*?)</script>", page.text, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()}'" in policy
    for rule in ("default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy


def test_a_search_in_the_url_shows_only_what_fits(sandbox: Sandbox) -> None:
    for who, text in (("ada", "orders db is down"), ("ben", "orders db is down"), ("ada", "all is well")):
        slack(sandbox, who, text)
    for query, expected in {
        "": [1, 2, 3],
        "?to=ADA": [1, 3],
        "?to=ada&text=Down": [1],
        "?channel=slack": [1, 2, 3],
        "?channel=sms": [],
    }.items():
        found = requests.get(f"{sandbox.url}/inbox.json{query}", timeout=10).json()
        assert [each["number"] for each in found] == expected, query
        shown = re.findall(r'<article id="m(\d+)"', requests.get(f"{sandbox.url}/{query}", timeout=10).text)
        assert sorted(map(int, shown)) == expected, query


def test_in_a_browser_the_form_works_and_a_search_stays_while_messages_come(sandbox: Sandbox, tmp_path: Path) -> None:
    with browser(tmp_path) as page:
        page.open(sandbox.url)
        page.evaluate(
            "document.querySelector('textarea').value = 'slack: 503', document.querySelector('form[method=post]').requestSubmit()"
        )
        wait_until(lambda: in_force(sandbox) == "slack: 503")
        page.open(f"{sandbox.url}/?to=ada")
        slack(sandbox, "ben")
        slack(sandbox, "ada")
        wait_until(lambda: page.evaluate("[...document.querySelectorAll('article')].map(each => each.id).join()") == "m2")


def test_the_command_replaces_the_script_by_a_text_or_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "faults.txt"
    file.write_text("# a night\nslack: 503\nteams: 404\n")
    for script, expected in (("slack: hang", "slack: hang"), (LONG, LONG), (str(file), "slack: 503\nteams: 404"), ("", "")):
        ended = CliRunner().invoke(app, ["sandbox", "script", script, "--url", sandbox.url])
        assert ended.exit_code == 0, ended
        assert in_force(sandbox) == expected
    away = CliRunner().invoke(app, ["sandbox", "script", "slack: hang", "--url", f"http://127.0.0.1:{reserve_port()}"])
    assert away.exit_code == 3

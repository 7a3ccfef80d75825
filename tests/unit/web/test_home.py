import re

import pytest

from tests.asgi import Client
from tests.unit.web.conftest import Backend, client_of


def test_the_start_page_says_what_runs_here_and_in_which_version(client: Client):
    page = client.get("/")
    assert page.status_code == 200
    for expected in ("notifyflow", "Version 1.2.3", "pages people about incidents", "notifyflow status"):
        assert expected in page.text
    assert client.request("HEAD", "/").status_code == 200


@pytest.mark.parametrize("link", ["livez", "readyz", "v1/openapi.json", "login"])
def test_each_link_of_the_start_page_leads_somewhere_also_below_the_prefix_of_a_proxy(client: Client, link: str):
    assert re.search(f'<a href="{link}">', client.get("/").text)
    assert client.get(f"/{link}").status_code == 200


def test_the_start_page_shows_the_notice(backend: Backend):
    assert "a rehearsal" in client_of(backend, notice="a rehearsal").get("/").text

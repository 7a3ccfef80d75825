import re
from base64 import b64encode
from hashlib import sha256

import pytest

from notifyflow.web.frame.site import Site
from tests.asgi import Client
from tests.unit.web.conftest import Backend, client_of, link

REQUESTS = {
    "a page": ("GET", link(), 200),
    "the start page": ("GET", "/", 200),
    "a redirect": ("POST", link(), 303),
    "a refusal": ("GET", "/a/nonsense", 404),
    "no such page": ("GET", "/nothing/here", 404),
    "no such method": ("PUT", link(), 405),
    "a rejected callback": ("POST", "/callbacks/pigeon/post/a1", 403),
    "a sign of life": ("GET", "/livez", 200),
}


@pytest.mark.parametrize(("method", "path", "code"), REQUESTS.values(), ids=REQUESTS)
def test_every_response_is_kept_nowhere_framed_nowhere_and_tells_nobody(client: Client, method: str, path: str, code: int):
    response = client.request(method, path)
    assert response.status_code == code
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize(("method", "path", "code"), REQUESTS.values(), ids=REQUESTS)
def test_browsers_that_came_over_https_come_back_over_https(backend: Backend, method: str, path: str, code: int):
    secure = client_of(backend, site=Site(public_url="https://notify.example")).request(method, path)
    assert (secure.status_code, secure.headers["strict-transport-security"]) == (code, "max-age=31536000")
    for url in ("http://127.0.0.1:8000", None):
        plain = client_of(backend, site=Site(public_url=url)).request(method, path)
        assert "strict-transport-security" not in plain.headers


@pytest.mark.parametrize("path", [link(), "/"])
def test_a_page_loads_nothing_and_its_policy_lets_in_its_own_style_only(client: Client, path: str):
    page = client.get(path)
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in page.headers["content-security-policy"]
    assert not re.search(r"\ssrc=|<link|<script|url\(|@import|\son\w+=|\sstyle=", page.text)


def test_a_bug_gets_a_page_and_the_usual_headers(client: Client, backend: Backend):
    backend.trouble = ZeroDivisionError("a secret")
    response = client.get(link())
    assert response.status_code == 500
    assert "Something went wrong." in response.text
    assert "secret" not in response.text
    assert response.headers["cache-control"] == "no-store"

"""Texts of combining marks: to normalise one takes time that grows with the square of its length, and holds the interpreter."""

import http.client
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlencode

import pytest

from notifyflow.core.accounts.users import Role
from tests.security.conftest import PUBLIC_URL, Target

MARKS = "\u0315\u0300"
AT_ONCE = 20


class Browser:
    """A browser that is not logged in: it has the cookie and the token of a form."""

    def __init__(self, target: Target, page: str = "/login") -> None:
        self.target = target
        self.page = page
        status, self.cookie, body = self._ask("GET", page)
        assert status == 200
        (self.token,) = re.findall(r'"X-CSRF-Token": "(\w+)"', body)

    def send(self, **fields: str) -> tuple[int, str]:
        """Send the form; return the status and the cookies that the response sets."""
        return self.post(urlencode(fields))

    def post(self, fields: str) -> tuple[int, str]:
        """Send the form with fields as they are."""
        status, cookie, _ = self._ask("POST", self.page, f"csrf={self.token}&{fields}")
        return status, cookie

    def _ask(self, method: str, path: str, body: str = "") -> tuple[int, str, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=120)) as connection:
            return self._exchange(connection, method, path, body)

    def _exchange(self, connection: http.client.HTTPConnection, method: str, path: str, body: str) -> tuple[int, str, str]:
        headers = {"Host": "notify.example", "Content-Type": "application/x-www-form-urlencoded", "Origin": PUBLIC_URL}
        connection.request(method, path, body.encode(), headers | ({"Cookie": self.cookie} if method == "POST" else {}))
        response = connection.getresponse()
        cookies = [line.partition(";")[0] for line in response.headers.get_all("Set-Cookie", ())]
        return response.status, "; ".join(cookies), response.read().decode()


def submit(target: Target, **incident: object) -> tuple[int, bytes]:
    document = {"key": "k", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}], **incident}
    headers = {"authorization": f"Bearer {target.key}", "content_type": "application/json"}
    return target.request("POST", "/v1/incidents", json.dumps(document, ensure_ascii=False).encode(), **headers)


@pytest.mark.parametrize("page", ["/login", "/setup/x"])
def test_passwords_of_combining_marks_hold_up_no_alert(target: Target, page: str):
    assert submit(target, key="before")[0] == 201
    browser = Browser(target, "/login")
    browser.page = page
    with ThreadPoolExecutor(AT_ONCE) as strangers:
        attempts = [strangers.submit(browser.post, f"name=ada&password={MARKS * 16_000}") for _ in range(AT_ONCE)]
        assert submit(target, severity="CRITICAL")[0] == 201
        assert {attempt.result()[0] for attempt in attempts} == {413}


def test_the_longest_password_fits_into_the_form(target: Target):
    """Of 250 characters with four bytes each; a form spells each byte with three."""
    password = "\N{GRINNING FACE}" * 250
    target.flow.users().add("a" * 255, Role.VIEWER, password=password)
    status, cookies = Browser(target).send(name="a" * 255, password=password, next="incidents")
    assert status == 303
    assert "session" in cookies

"""A browser without a screen: it visits the dashboard in this process, keeps cookies, and sends forms as browsers do."""

import re
from typing import Any

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import Role
from notifyflow.core.copies import replace
from notifyflow.pipeline import users
from tests.asgi import Client

PASSWORD = "correct horse battery"
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""The password's hash with other parameters, which a stored hash names, so that it is verified within a millisecond."""
ORIGIN = "https://notify.example"


class Visit(Client):
    """The pages of an application as one browser sees them."""

    def __init__(self, application: FastAPI, headers: dict[str, str] | None = None) -> None:
        super().__init__(application)
        self.cookies: dict[str, str] = {}
        self.user_id = ""
        self.headers = headers or {}

    def request(self, method: str, path: str, **values: Any) -> httpx.Response:
        """Send a request with the cookies, and keep those of the response; redirects are not followed."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**({"cookie": cookie} if cookie else {}), **self.headers, **values.pop("headers", {})}
        response = super().request(method, path, headers=headers, **values)
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
            if "max-age=0" in line.lower():
                del self.cookies[name]
        return response

    def send(self, page: str, path: str | None = None, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """Open a page, and send its form, or another form with the page's token, with these fields."""
        token = self.token(page)
        sent = {"origin": ORIGIN, "sec-fetch-site": "same-origin", **(headers or {})}
        return self.request("POST", path or page, data={"csrf": token, **fields}, headers=sent)

    def token(self, page: str) -> str:
        """Open a page, and return the token that its forms carry."""
        (token,) = re.findall(r'"X-CSRF-Token": "(\w+)"', self.get(page).text)
        return str(token)

    def log_in(self, name: str, password: str = PASSWORD, page: str = "/login") -> httpx.Response:
        return self.send(page, "/login", name=name, password=password)


def visit(
    flow: NotifyFlow, role: Role = Role.ADMIN, *, name: str | None = None, application: FastAPI | None = None, **user: Any
) -> Visit:
    """Make a user of a role, and log them in; keywords are those of ``Users.add``."""
    name = name or role.value
    visitor = Visit(application or flow.asgi())
    made = flow.users().add(name, role, password=None, **user)
    users.change(flow._deps.transactions, made.name, lambda user: replace(user, password=_CHEAP))
    visitor.user_id = made.id
    response = visitor.log_in(name)
    assert response.status_code == 303, response.text
    return visitor

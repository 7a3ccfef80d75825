"""The files for reverse proxies, against the routes of the application."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from notifyflow.web.frame.permissions import LOGIN_LIMIT_BYTES

PROXIES = Path(__file__).parents[3] / "docs" / "proxies"
NGINX, CADDY = ((PROXIES / name).read_text(encoding="utf-8") for name in ("nginx.conf", "Caddyfile"))
TOKEN = "aB-3_x9"


def secret_paths(routes: Iterable[Any]) -> Iterator[str]:
    """Yield a path of each route whose path is a secret."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from secret_paths(router.routes)
        elif "{token}" in getattr(route, "path", ""):
            yield route.path.replace("{token}", TOKEN)


@pytest.fixture
def paths(application: FastAPI) -> set[str]:
    found = set(secret_paths(application.routes))
    assert {f"/a/{TOKEN}", f"/setup/{TOKEN}", f"/oncall/feeds/{TOKEN}.ics"} <= found
    return found


def test_nginx_logs_no_path_that_is_a_secret(paths: set[str]):
    (block,) = (each for each in re.findall(r"location ~ (\S+) \{(.*?)\}", NGINX, re.DOTALL) if "access_log off" in each[1])
    assert "error_log /dev/null;" in block[1]
    assert [path for path in paths if not re.search(block[0], path)] == []
    assert not re.search(block[0], "/incidents")


def test_caddy_logs_no_path_that_is_a_secret(paths: set[str]):
    (pattern, written) = re.findall(r'request>uri regexp "(.*?)" "(.*?)"', CADDY)[0]
    for path in paths:
        assert TOKEN not in re.sub(pattern, written.replace("$1", r"\1"), path)
        assert TOKEN not in re.sub(pattern, written.replace("$1", r"\1"), f"{path}?next=x")


def test_both_pass_on_whole_requests_and_limit_the_login():
    assert "proxy_request_buffering on;" in NGINX
    assert "request_buffers 16MB" in CADDY
    (login,) = re.findall(r"location = /login \{(.*?)\}", NGINX, re.DOTALL)
    assert "limit_req " in login
    assert LOGIN_LIMIT_BYTES == 4096
    assert "client_max_body_size 4k;" in login
    assert re.search(r"@login path /login /setup/\*\n\s+request_body @login \{\n\s+max_size 4KB", CADDY)

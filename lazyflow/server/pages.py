"""What is answered at once: the page and its files, the names of the tables, whether all is well."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TypeAlias

import lazyflow
from lazyflow import viewer
from lazyflow.server.access import Access, cookie_name, without_token
from lazyflow.server.guarded import Answer, Problem, answered, check, failure, policy
from lazyflow.server.request import Request
from lazyflow.service import Service

_PAGE = files("lazyflow.server") / "page"
_FILES = {
    "page.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "favicon.svg": "image/svg+xml",
}
_CONTENTS = {name: (_PAGE / name).read_bytes() for name in _FILES}
Page: TypeAlias = Callable[[Service, Access, Request], Answer]


def answer(service: Service, access: Access, request: Request) -> Answer:
    """The answer to a request, whoever asks for whatever."""

    def act() -> Answer:
        check(access, request, request.path not in _WITHOUT_TOKEN)
        if request.path == SOCKET:
            raise Problem(400, hint="here is a websocket")
        page = PAGES.get(request.path)
        if page is None:
            raise Problem(404)
        return page(service, access, request)

    return answered(request, act)


def _file(name: str) -> Page:
    given = Answer(200, {"Content-Type": _FILES[name]}, _CONTENTS[name])
    return lambda service, access, request: given


def _page(service: Service, access: Access, request: Request) -> Answer:
    """The page, with a nonce for the styles that the grid makes.

    A token in its address becomes a cookie, so that it does not stay in history and bookmarks.
    """
    if "token" in request.arguments:
        cookie = f"{cookie_name(request.host)}={access.cookie}; HttpOnly; Path=/; SameSite=Strict"
        query = without_token(request.query)
        return Answer(302, {"Set-Cookie": cookie, "Location": "./" + (f"?{query}" if query else "")})
    if not viewer.is_built():
        return failure(503, viewer.HOW_TO_BUILD)
    nonce = secrets.token_urlsafe(16)
    headers = {"Content-Type": _FILES["page.html"], "Content-Security-Policy": policy(nonce)}
    return Answer(200, headers, _CONTENTS["page.html"].replace(b"{nonce}", nonce.encode()))


def _viewer(service: Service, access: Access, request: Request) -> Answer:
    """The module that the page is made by."""
    if not viewer.is_built():
        raise Problem(404)
    return Answer(200, {"Content-Type": _FILES["page.js"]}, viewer.bundle())


def _tables(service: Service, access: Access, request: Request) -> Answer:
    """Names of the tables."""
    return _json({"sources": list(service.sources)})


def _health(service: Service, access: Access, request: Request) -> Answer:
    """Whether the server is well, for those who watch it: numbers, and nothing about the data."""
    return _json({
        "status": "ok",
        "version": lazyflow.__version__,
        "sessions": service.session_count,
        "clients": service.client_count,
    })  # fmt: skip


def _metrics(service: Service, access: Access, request: Request) -> Answer:
    """What the service measures of itself, in Prometheus' text form."""
    if service.metrics is None:
        raise Problem(404, hint='for metrics, pip install "lazyflow[metrics]"')
    return Answer(200, {"Content-Type": service.metrics.content_type}, service.metrics.text())


def _json(value: object) -> Answer:
    return Answer(200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(value).encode())


PAGES: Mapping[str, Page] = {
    "/": _page,
    "/page.js": _file("page.js"),
    "/viewer.js": _viewer,
    "/page.css": _file("page.css"),
    "/favicon.ico": _file("favicon.svg"),
    "/tables": _tables,
    "/healthz": _health,
    "/metrics": _metrics,
}
_WITHOUT_TOKEN = frozenset({"/healthz"})
DOWNLOAD, SOCKET = "/download", "/ws"
"""What takes its time, and so is answered elsewhere."""

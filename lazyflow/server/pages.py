"""What is answered over plain HTTP: the page and its files, the names of the tables, whether all is well."""

from __future__ import annotations

import secrets
from importlib.resources import files

from tornado.web import HTTPError

import lazyflow
from lazyflow import viewer
from lazyflow.server.access import Access, cookie_name, without_token
from lazyflow.server.guarded import Guarded, policy
from lazyflow.service import Service

_PAGE = files("lazyflow.server") / "page"
_FILES = {
    "page.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "favicon.svg": "image/svg+xml",
}
_CONTENTS = {name: (_PAGE / name).read_bytes() for name in _FILES}


class PageFile(Guarded):
    """A file of the page."""

    def initialize(self, service: Service, access: Access, name: str) -> None:  # type: ignore[override]
        """Take which file it is: the route says so, never the request."""
        super().initialize(service, access)
        self._name = name

    def get(self) -> None:
        """Answer with the file."""
        self.set_header("Content-Type", _FILES[self._name])
        self.write(_CONTENTS[self._name])


class Viewer(Guarded):
    """The module that the page is made by."""

    def get(self) -> None:
        """Answer with it."""
        if not viewer.is_built():
            raise HTTPError(404)
        self.set_header("Content-Type", _FILES["page.js"])
        self.write(viewer.bundle())


class Page(PageFile):
    """The page itself. A token in its address becomes a cookie, so that it does not stay in history and bookmarks."""

    def get(self) -> None:
        """Answer with the page, or with the way to its address without the token."""
        if "token" not in self.request.query_arguments:
            self._answer()
            return
        self.set_cookie(cookie_name(self.host), self.access.cookie, path="/", httponly=True, samesite="Strict")
        query = without_token(self.request.query)
        self.set_status(302)
        self.set_header("Location", "./" + (f"?{query}" if query else ""))

    def _answer(self) -> None:
        """The page, with a nonce for the styles that the grid makes."""
        if not viewer.is_built():
            self.set_status(503)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"503 Service Unavailable: {viewer.HOW_TO_BUILD}\n")
            return
        nonce = secrets.token_urlsafe(16)
        self.set_header("Content-Type", _FILES[self._name])
        self.set_header("Content-Security-Policy", policy(nonce))
        self.write(_CONTENTS[self._name].replace(b"{nonce}", nonce.encode()))


class Tables(Guarded):
    """Names of the tables."""

    def get(self) -> None:
        """Answer with them as JSON."""
        self.write({"sources": list(self.service.sources)})


class Health(Guarded):
    """Whether the server is well, for those who watch it: numbers, and nothing about the data."""

    needs_token = False

    def get(self) -> None:
        """Answer with the numbers as JSON."""
        self.write({
            "status": "ok",
            "version": lazyflow.__version__,
            "sessions": self.service.session_count,
            "clients": self.service.client_count,
        })  # fmt: skip


class Missing(Guarded):
    """Whatever else is asked for."""

    def prepare(self) -> None:
        """Refuse it."""
        super().prepare()
        raise HTTPError(404)

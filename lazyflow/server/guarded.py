"""What all of the server's answers have in common: who is let in, their headers, how they fail."""

from __future__ import annotations

import http
import logging
from types import TracebackType
from typing import Any

from tornado.web import HTTPError, RequestHandler

from lazyflow.server.access import Access, cookie_name, redacted, token_of
from lazyflow.service import Service

log = logging.getLogger("lazyflow.server")


def policy(nonce: str | None = None) -> str:
    """The Content-Security-Policy: the service's own files alone, and styles of whoever knows the nonce.

    >>> [part for part in policy("abc").split("; ") if "abc" in part]
    ["style-src 'self' 'nonce-abc'"]
    """
    styles = "'self'" if nonce is None else f"'self' 'nonce-{nonce}'"
    return (
        f"default-src 'none'; script-src 'self'; style-src {styles}; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


HEADERS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer, errors among them."""


class Guarded(RequestHandler):
    """A handler that checks host, origin and token before anything else."""

    needs_token = True

    def initialize(self, service: Service, access: Access) -> None:
        """Take what all handlers share, and the token out of what anybody may log."""
        self.service = service
        self.access = access
        self.given = token_of(self.request.query_arguments, self.request.headers.get("Authorization"))
        self.request.uri = redacted(self.request.uri or "")

    def set_default_headers(self) -> None:
        """Set the headers of every answer; which server it is concerns nobody."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse whom `docs/security.md` refuses."""
        host = self.host
        if not self.access.host_allowed(host):
            raise HTTPError(403, "host not allowed (--allow-hosts)")
        if not self.access.origin_allowed(self.request.headers.get("Origin"), host):
            raise HTTPError(403, "origin not allowed (--allow-origins)")
        if self.needs_token and not self.access.admits(self.given, self.get_cookie(cookie_name(host))):
            raise HTTPError(401, "no token, or a wrong one")

    @property
    def host(self) -> str:
        """The host as the request names it, empty without; Tornado's own `host` makes one up."""
        return self.request.headers.get("Host", "")

    def compute_etag(self) -> None:
        """Nothing is stored, so nothing is compared."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what went wrong in a line of plain text; how it came about is for the log."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        if status_code == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        reason = http.HTTPStatus(status_code).phrase if status_code in set(http.HTTPStatus) else "Error"
        hint = ": open the link that the server printed when it started" if status_code == 401 else ""
        self.finish(f"{status_code} {reason}{hint}\n")

    def log_exception(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log what was not foreseen; unlike Tornado's own, without the headers and arguments of the request."""
        if not isinstance(error, HTTPError):
            exception = (kind, error, trace) if kind is not None and error is not None else True
            log.error("%s %s failed", self.request.method, self.request.path, exc_info=exception)
        elif error.log_message:
            log.info("%d %s %s: %s", error.status_code, self.request.method, self.request.path, error.log_message)

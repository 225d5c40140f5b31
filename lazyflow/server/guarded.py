"""What all of the server's answers have in common, apart from any web framework: who is let in, headers, failures."""

from __future__ import annotations

import http
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lazyflow.server.access import Access
from lazyflow.server.request import Request

log = logging.getLogger("lazyflow.server")

T = TypeVar("T")

TEXT = "text/plain; charset=utf-8"


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


@dataclass(frozen=True)
class Answer:
    """What a request is answered with; `headers` are those besides `HEADERS`, or in place of them."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def all_headers(self) -> dict[str, str]:
        """All that there are."""
        return HEADERS | dict(self.headers)


class Problem(Exception):
    """A request is answered with an error; `why` is for the log, `hint` for whoever asked."""

    def __init__(self, status: int, why: str = "", hint: str = "") -> None:
        super().__init__(why)
        self.status, self.why, self.hint = status, why, hint


def check(access: Access, request: Request, needs_token: bool = True) -> None:
    """Refuse whom `docs/security.md` refuses: to be called before anything else is looked at.

    Raises
    ------
    Problem
        403, 401, or 405 where it is no GET.
    """
    if not access.host_allowed(request.host):
        raise Problem(403, "host not allowed (--allow-hosts)")
    if not access.origin_allowed(request.origin, request.host):
        raise Problem(403, "origin not allowed (--allow-origins)")
    if needs_token and not access.admits(request.token, request.cookie):
        raise Problem(401, "no token, or a wrong one")
    if request.method != "GET":
        raise Problem(405)


def answered(request: Request, act: Callable[[], T]) -> T | Answer:
    """What `act` gives, or the answer that says in a line what went wrong; how it came about is for the log."""
    try:
        return act()
    except Problem as problem:
        if problem.why:
            log.info("%d %s %s: %s", problem.status, request.method, request.path, problem.why)
        return failure(problem.status, problem.hint)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return failure(500)


def failure(status: int, hint: str = "") -> Answer:
    r"""An error, as a line of plain text.

    >>> failure(404).body
    b'404 Not Found\n'
    """
    headers = {"Content-Type": TEXT}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
        hint = hint or "open the link that the server printed when it started"
    reason = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Error"
    return Answer(status, headers, f"{status} {reason}{': ' if hint else ''}{hint}\n".encode())

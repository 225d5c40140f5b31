"""A request as the rules of the server see it, whichever framework took it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qs

from lazyflow.server.access import cookie_name, cookie_value, token_of


@dataclass(frozen=True)
class Request:
    """What somebody asked for.

    Attributes
    ----------
    method
        Such as `GET`.
    path
        Below the prefix that the server has, such as `/tables`.
    query
        What stands behind the `?`; it may have the token.
    headers
        By their names in lower case; `headers_of` makes them.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @cached_property
    def arguments(self) -> dict[str, list[str]]:
        """The parameters of the query; bytes that are no UTF-8 are replaced."""
        return parse_qs(self.query, keep_blank_values=True)

    def argument(self, name: str) -> str | None:
        """The last parameter of this name."""
        return self.arguments[name][-1] if name in self.arguments else None

    @property
    def host(self) -> str:
        """The host as the request names it, empty without."""
        return self.headers.get("host", "")

    @property
    def origin(self) -> str | None:
        """The origin of the page that asks, None where it is no browser's page."""
        return self.headers.get("origin")

    @property
    def token(self) -> str | None:
        """The token that it brought, in its query or its header."""
        return token_of(self.arguments, self.headers.get("authorization"))

    @property
    def cookie(self) -> str | None:
        """The cookie that stands for the token."""
        return cookie_value(self.headers.get("cookie", ""), cookie_name(self.host))


def headers_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in lower case. One that is given twice becomes a list, which no rule takes for one value.

    >>> headers_of([("Host", "localhost"), ("Cookie", "a=1"), ("cookie", "b=2"), ("host", "evil.example")])
    {'host': 'localhost, evil.example', 'cookie': 'a=1; b=2'}
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        between = "; " if key == "cookie" else ", "
        found[key] = f"{found[key]}{between}{value}" if key in found else value
    return found

"""Who may talk to the server: the token, the names it answers to, the pages that may connect."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from lazyflow.errors import InvalidInput
from lazyflow.settings import Settings

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:/@\[\],]+)(:(?P<port>\d{1,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[^\s/@?#]+", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"(?:bearer|token)\s+(\S+)", re.IGNORECASE)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WILDCARDS = frozenset({"", "0.0.0.0", "[::]"})  # noqa: S104 - compared with, not bound


class Access:
    """The rules of `docs/security.md`, apart from any web framework.

    Parameters
    ----------
    settings
        Of these: `host`, `token`, `allow_hosts`, `allow_origins`, `insecure`.

    Raises
    ------
    InvalidInput
        If there is no token although the address is reached from other machines, or an origin is none.

    Examples
    --------
    >>> access = Access(Settings(token="secret"))
    >>> access.host_allowed("localhost:8473"), access.host_allowed("evil.example:8473")
    (True, False)
    """

    def __init__(self, settings: Settings) -> None:
        self.token = secrets.token_urlsafe(24) if settings.token is None else settings.token
        self._bound = _bracketed(settings.host.lower())
        if not self.token and not settings.insecure and not is_loopback(settings.host):
            raise InvalidInput(
                f"{settings.host or 'every address'} is reached from other machines, and there is no token: "
                "give one with --token, or say --insecure to let everybody in"
            )
        self._hosts = _LOOPBACK | {_bracketed(name.strip().lower()) for name in settings.allow_hosts}
        self._any_address = self._bound in _WILDCARDS
        if not self._any_address:
            self._hosts |= {self._bound}
        self._origins = frozenset(_origin(text) for text in settings.allow_origins)
        # Derived by a hash with the token as its key: who reads the cookie does not have the token, and a fixed token
        # lets browsers in after a restart too.
        self._cookie = hmac.new(self.token.encode(), b"lazyflow cookie", hashlib.sha256).hexdigest()

    def host_allowed(self, host: str) -> bool:
        """Whether a request may name this as its `Host`; a name of somebody else's is DNS rebinding."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"].lower()
        # Where every address is listened at, any address will do: rebinding needs a name that can be bound anew.
        return name in self._hosts or (self._any_address and _is_address(name))

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Whether a page of this origin may talk to the server that it called `host`; None is no browser's page.

        The scheme is not compared: where a proxy ends TLS, the server cannot know it.
        """
        if origin is None:
            return True
        if not _ORIGIN.fullmatch(origin):
            return False  # "null" among others: files, sandboxed frames
        origin = origin.lower()
        return urlsplit(origin).netloc == host.lower() or origin in self._origins

    def token_right(self, given: str) -> bool:
        """Whether this is the token; how long it takes does not depend on how much of it is right."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def cookie_right(self, given: str) -> bool:
        """Whether this is the value of the cookie."""
        return hmac.compare_digest(given.encode(), self._cookie.encode())

    def admits(self, given: str | None, cookie: str | None) -> bool:
        """Whether what a request brought lets it in. A token counts before a cookie, also where it is wrong."""
        if not self.token:
            return True
        if given is not None:
            return self.token_right(given)
        return cookie is not None and self.cookie_right(cookie)

    @property
    def cookie(self) -> str:
        """The value of the cookie that stands for the token."""
        return self._cookie


def token_of(query: Mapping[str, list[str]], authorization: str | None) -> str | None:
    """The token that a request brought: in its query, or in its header `Authorization`.

    >>> token_of({"token": ["abc"]}, None), token_of({}, "Bearer abc"), token_of({}, "token abc"), token_of({}, None)
    ('abc', 'abc', 'abc', None)
    """
    if query.get("token"):
        return query["token"][-1]
    found = _AUTHORIZATION.fullmatch((authorization or "").strip())
    return found[1] if found else None


def cookie_name(host: str) -> str:
    """The name of the cookie: browsers share cookies between the ports of a host, so it has the port in it.

    >>> cookie_name("localhost:8473"), cookie_name("data.example.org")
    ('lazyflow-8473', 'lazyflow')
    """
    found = _HOST.fullmatch(host)
    return f"lazyflow-{found['port']}" if found and found["port"] else "lazyflow"


def cookie_value(header: str, name: str) -> str | None:
    """The value of a cookie in the header `Cookie`; what else is in there may be as wrong as it likes.

    >>> cookie_value('other={"a"}; ;lazyflow-8473=abc', "lazyflow-8473"), cookie_value("a=1", "b")
    ('abc', None)
    """
    values = {
        key.strip(): value.strip().strip('"') for key, _, value in (each.partition("=") for each in header.split(";"))
    }
    return values.get(name)


def without_token(query: str) -> str:
    """A query without its token, the rest as it was meant.

    >>> without_token("source=a+b&token=secret&%74oken=secret")
    'source=a+b'
    """
    return urlencode([(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "token"])


def redacted(uri: str) -> str:
    """A request's address as logs may have it.

    >>> redacted("/?token=secret&source=a"), redacted("/?source=a")
    ('/?source=a&token=...', '/?source=a')
    """
    path, _, query = uri.partition("?")
    if all(name != "token" for name, _ in parse_qsl(query, keep_blank_values=True)):
        return uri
    rest = without_token(query)
    return f"{path}?{rest}{'&' if rest else ''}token=..."


def is_loopback(host: str) -> bool:
    """Whether this address is reached from the same machine alone.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "", "192.168.1.2", "example.org")]
    [True, True, True, False, False, False, False]
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _origin(text: str) -> str:
    origin = text.strip().rstrip("/").lower()
    if not _ORIGIN.fullmatch(origin):
        raise InvalidInput(f"an origin is a scheme and a host, such as https://app.example.org, not {text!r}")
    return origin

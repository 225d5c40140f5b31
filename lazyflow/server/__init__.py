"""The live service over HTTP and websockets: `docs/server.md`; who may use it: `docs/security.md`.

Importing this package does not load tornado; the functions for it do.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from lazyflow.errors import BackendNotInstalled
from lazyflow.server.access import Access
from lazyflow.settings import Settings

if TYPE_CHECKING:
    from tornado.routing import URLSpec
    from tornado.web import Application

    from lazyflow.dataflow import DataFlow
    from lazyflow.server.asgi import ASGIApp
    from lazyflow.service import Service

__all__ = ["Access", "close_app", "handlers", "make_app", "make_asgi_app", "needs_tornado"]


def make_app(
    flows: Mapping[str, DataFlow], settings: Settings | None = None, *, service: Service | None = None
) -> Application:
    """A Tornado application that serves tables; it listens where the caller lets it.

    Parameters
    ----------
    flows
        Name of a table -> its flow. They stay the caller's, who closes them.
    settings
        Bounds, times, and who may connect. Its `host` is to be the address that is listened at.
    service
        The sessions, where they are made elsewhere; `flows` is not used then.

    Returns
    -------
    tornado.web.Application
        Its `settings["access"].token` is the token, its `settings["service"]` the sessions. `close_app` ends it.

    Raises
    ------
    BackendNotInstalled
        If tornado is not installed.
    InvalidInput
        If it would serve other machines without a token.
    """
    needs_tornado()
    application: Application = import_module("lazyflow.server.app").make_app(flows, settings, service)
    return application


def handlers(service: Service, access: Access, prefix: str = "") -> list[URLSpec]:
    """The routes, for an application of the caller's.

    Parameters
    ----------
    service
        The sessions; the caller closes them.
    access
        Who may connect.
    prefix
        What stands in front of every path, such as `/tables`; the page is at `/tables/` then.

    Raises
    ------
    BackendNotInstalled
        If tornado is not installed.
    """
    needs_tornado()
    routes: list[URLSpec] = import_module("lazyflow.server.app").handlers(service, access, prefix, set())
    return routes


async def close_app(app: Application) -> None:
    """End the sessions of `make_app`'s application: clients are told, and dropped where they do not answer."""
    await import_module("lazyflow.server.app").close_app(app)


def make_asgi_app(
    flows: Mapping[str, DataFlow], settings: Settings | None = None, *, service: Service | None = None
) -> ASGIApp:
    """An ASGI application that serves tables: for Uvicorn, or to mount in an application of Starlette's or FastAPI's.

    It answers what `make_app`'s answers, by the same code; it needs no package beyond what runs it. Which bounds are
    those of the server that runs it: `docs/server.md`.

    Parameters
    ----------
    flows
        Name of a table -> its flow. They stay the caller's, who closes them.
    settings
        Bounds, times, and who may connect. Its `host` is to be the address that is listened at.
    service
        The sessions, where they are made elsewhere; `flows` is not used then, and it serves one event loop.

    Returns
    -------
    ASGIApp
        Its `access.token` is the token, its `service` the sessions. These end with the server, also where it is
        mounted; `close` ends them before.

    Raises
    ------
    InvalidInput
        If it would serve other machines without a token.
    """
    app: ASGIApp = import_module("lazyflow.server.asgi").ASGIApp(flows, settings, service)
    return app


def needs_tornado() -> None:
    """See that tornado is there.

    Raises
    ------
    BackendNotInstalled
        If it is not; the message says what to install.
    """
    try:
        import_module("tornado.web")
    except ImportError as error:
        raise BackendNotInstalled(
            f'the server needs packages that are not installed ({error}): pip install "lazyflow[server]"'
        ) from error

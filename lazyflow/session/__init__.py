"""One view that many people share: its current state, its clients, and what each of them is sent when."""

from __future__ import annotations

from lazyflow.session.client import Client
from lazyflow.session.session import Session

__all__ = ["Client", "Session"]

"""What was computed, for other processes and other days: durable cells on disk, by content key."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from lazyflow.statistics.encoding import decode_cells, encode_cell
from lazyflow.statistics.registry import CellKey
from lazyflow.statistics.results import Cell
from lazyflow.store import Store

log = logging.getLogger("lazyflow.disk")

DEFAULT_BYTES = 256 * 2**20


class Disk:
    """Cells whose keys are durable, in files: one for each answer of the engine, found by scope.

    Parameters
    ----------
    directory
        Where.
    max_bytes
        Bound on the size of all files there, in bytes.
    release
        Who computes: names and versions. What another release wrote is not found.
    """

    def __init__(self, directory: Path, max_bytes: int, release: str) -> None:
        self._store = Store(directory, max_bytes)
        self._release = release

    def read(self, keys: Iterable[CellKey]) -> dict[CellKey, Cell]:
        """All that is kept of the scopes of these keys."""
        found: dict[CellKey, Cell] = {}
        scopes = dict.fromkeys(_scope_key(key) for key in keys if key.durable)
        for scope in scopes:
            for text in self._store.read(self._subject(scope)):
                try:
                    found.update(decode_cells(text.splitlines(), scope))
                except (ValueError, RecursionError) as error:
                    log.warning("a file of the cache has the right digest and cannot be read: %s", error)
        return found

    def write(self, cells: Mapping[CellKey, Cell]) -> None:
        """Keep what is durable and no failure."""
        durable = sorted((key for key in cells if key.durable), key=_scope_key)
        for scope, keys in groupby(durable, _scope_key):
            lines = [(key, encode_cell(key, cells[key])) for key in keys]
            for part, text in self._parts([(key, line) for key, line in lines if line is not None]):
                self._store.write(self._subject(scope), part, text)

    def _parts(self, lines: Iterable[tuple[CellKey, bytes]]) -> Iterator[tuple[str, bytes]]:
        """Lines in as few texts as the store takes, each with a name that says which cells it has."""
        names: list[str] = []
        text = b""
        for key, line in lines:
            if len(line) >= self._store.largest:
                continue
            if len(text) + len(line) + 1 > self._store.largest:
                yield json.dumps(names), text
                names, text = [], b""
            names.append(json.dumps(key[2:6]))
            text += line + b"\n"
        if text:
            yield json.dumps(names), text

    def _subject(self, scope: CellKey) -> str:
        return json.dumps([self._release, scope.fingerprint, scope.scope])


def _scope_key(key: CellKey) -> CellKey:
    """One key for all durable cells of a scope."""
    return CellKey(key.fingerprint, key.scope, "", "", 0, durable=True)

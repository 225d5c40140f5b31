"""Whether data is still what it was: the identity of a source, and what changed of the files that hold it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lazyflow.errors import SourceChanged, SourceError
from lazyflow.listing import list_files

_opened = itertools.count(1)

FileStatus: TypeAlias = tuple[int, int, int]
"""Size in bytes, modification time in nanoseconds, inode."""

_SECOND = 10**9


def file_status(path: Path) -> FileStatus | None:
    """What changes when a file is written to or replaced; None where there is no such file."""
    try:
        return _status(path.stat())
    except OSError:
        return None


def _status(stat: os.stat_result) -> FileStatus:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _may_hide_a_change(modified: int) -> bool:
    """Whether a file could be written to again and keep its modification time, given in nanoseconds.

    A stamp of whole seconds may come from a file system that knows no finer ones (FAT: two seconds). Others stamp by
    the tick of the kernel, 10 ms at most: less than a file takes to be written, read and written again.
    """
    return modified % _SECOND == 0 and abs(time.time_ns() - modified) <= 2 * _SECOND


@dataclass(frozen=True)
class Fingerprint:
    """Identity of the data behind a source: equal values mean equal data.

    Parameters
    ----------
    value
        Any text that changes when the data does.
    durable
        Whether another process would find the same value for the same data, and no other data could ever have it.
    files
        The files that hold the data, where it lies in files, each with what the file system said of it.
    listed
        The folder or glob whose files they are: another file there is a change too.
    """

    value: str
    durable: bool = False
    files: tuple[tuple[Path, FileStatus | None], ...] = ()
    listed: str | None = None

    @classmethod
    def of_files(cls, paths: Iterable[Path], what: str = "", listed: str | None = None) -> Fingerprint:
        """Identity of what lies in files.

        Made of each file's resolved path, size in bytes, modification time in nanoseconds and inode, and of the time in
        nanoseconds of its last change of any kind, which nobody can set back. It must be made before the files are
        read: else it might be that of a file which took their place meanwhile.

        Parameters
        ----------
        paths
            The files, in the order in which they are read; one that is not there is told from one that is.
        what
            What of them is read, and how, where the same files may give several tables.
        listed
            The folder or glob whose files they are.
        """
        files: list[tuple[Path, FileStatus | None]] = []
        parts, durable = [what], True
        for path in paths:
            try:
                stat = path.stat()
            except FileNotFoundError:
                files.append((path, None))
                parts.append(f"{path.resolve()}:absent")
                continue
            files.append((path, _status(stat)))
            parts.append(":".join(map(str, (path.resolve(), *_status(stat), stat.st_ctime_ns))))
            durable = durable and not _may_hide_a_change(stat.st_mtime_ns)
        return cls("files " + " ".join(parts), durable, tuple(files), listed)

    @classmethod
    def of_opening(cls) -> Fingerprint:
        """Identity of data that has none to be seen from outside: this opening of it, in this process."""
        return cls(f"opening {next(_opened)}")

    @property
    def outdated(self) -> bool:
        """Whether the files are no longer those that were opened."""
        return self.change is not None

    def check(self, cause: BaseException | None = None) -> None:
        """Raise `SourceChanged` if they are not: what was read of them since may be of either."""
        change = self.change
        if change is not None:
            raise SourceChanged(f"{change} since the source was opened: refresh() opens it anew") from cause

    @property
    def change(self) -> str | None:
        """The first thing that changed since the files were opened, in words; None if nothing did."""
        for path, before in self.files:
            now = file_status(path)
            if now != before:
                what = "is gone" if now is None else "is new" if before is None else "was written to or replaced"
                return f"{str(path)!r} {what}"
        if self.listed is not None:
            try:
                found = list_files(self.listed)
            except SourceError:
                found = ()
            added = set(found) - {path for path, _ in self.files}
            if added:
                return f"{str(min(added, key=str))!r} is new"
        return None

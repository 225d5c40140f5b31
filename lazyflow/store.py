"""A directory of small files that several processes write, read and trim at once: what is not whole is not there.

A file is written beside its place and moved there, so nobody reads half of one. It begins with a digest of itself, so
one that was cut, damaged, renamed or made by somebody else is taken for absent. No locks: the worst that two processes
do to each other is to compute something twice.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("lazyflow.store")

_MAGIC = b"lazyflow cache 1"
_FOLDER = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[0-9a-f]{32}\.cells")
_BEING_WRITTEN = re.compile(r"\.[0-9a-z_]+\.part")
_ABANDONED = 3600.0
"""Seconds after which a file that is still being written belongs to a process that is no more."""

_SHARES = 32
"""A writer looks at all files each time it has written a share of the bound: so eight at once keep within it."""

_LARGEST = 8 * 2**20
_HEAD_BYTES = len(_MAGIC) + 1 + 64 + 1


class Store:
    """Files by subject, bounded by bytes; the longest unused go first.

    No method raises for what the disk does: it is logged as a warning, once, and nothing is kept or found.

    Parameters
    ----------
    directory
        Where; made, for its owner alone, when something is first written. Files in it that are not of a store are left
        alone.
    max_bytes
        Bound on the size of all files together.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self._max_bytes = max_bytes
        self._share = max_bytes // _SHARES
        self._since_look = max_bytes
        self._warned = False

    @property
    def largest(self) -> int:
        """The size of the largest text that is kept, in bytes."""
        return min(self._share, _LARGEST) - _HEAD_BYTES

    def read(self, subject: str) -> Iterator[bytes]:
        """The texts that were written under a subject and are whole."""
        folder = self.directory / _name(subject)
        try:
            if not self._is_ours():
                return
            names = [name for name in os.listdir(folder) if _FILE.fullmatch(name)]
        except FileNotFoundError:
            return
        except OSError as error:
            self._warn(error)
            return
        for name in names:
            path = folder / name
            try:
                text = _whole(subject, name, path)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._warn(error)
                continue
            if text is None:
                log.debug("%s is not whole, or none of ours", path)
                continue
            with suppress(OSError):  # on a disk that is only read, nothing is trimmed either
                os.utime(path)
            yield text

    def write(self, subject: str, part: str, text: bytes) -> None:
        """Keep a text under a subject; one that was written for the same part of it before is replaced."""
        size = _HEAD_BYTES + len(text)
        if size > min(self._share, _LARGEST):
            return
        name = _name(part) + ".cells"
        folder = self.directory / _name(subject)
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            if not self._is_ours():
                return
            self._since_look += size
            if self._since_look > self._share:
                self._trim()
                self._since_look = size
            with suppress(FileNotFoundError):  # another process took the folder away while it was empty: a text less
                folder.mkdir(mode=0o700, exist_ok=True)
                _write(folder / name, _head(subject, name, text) + text)
        except OSError as error:
            self._warn(error)

    def _is_ours(self) -> bool:
        """Whether nobody else can write into the directory: what lies there would be shown as an answer."""
        if not hasattr(os, "geteuid"):
            return True
        found = self.directory.stat()
        if found.st_uid == os.geteuid() and not found.st_mode & 0o022:
            return True
        self._warn(PermissionError("it belongs to somebody else, or others may write to it"))
        return False

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            why = error.strerror or error
            log.warning("the cache directory %s cannot be used: %s; statistics are computed", self.directory, why)

    def _trim(self) -> None:
        """Make the files take three quarters of the bound at most: the rest is for those who write at once."""
        found: list[tuple[float, int, Path]] = []
        for entry in os.scandir(self.directory):
            if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found += _files(Path(entry.path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._max_bytes * 3 // 4:
                return
            with suppress(FileNotFoundError):
                path.unlink()
            total -= size
            with suppress(OSError):  # not empty
                path.parent.rmdir()


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """The files of a folder: when last used, size in bytes, path. What is being written counts, and goes last."""
    for entry in os.scandir(folder):
        if not (_FILE.fullmatch(entry.name) or _BEING_WRITTEN.fullmatch(entry.name)):
            continue
        with suppress(FileNotFoundError):
            stat = entry.stat(follow_symlinks=False)
            used = stat.st_mtime
            if not _FILE.fullmatch(entry.name):
                used = 0.0 if used < time.time() - _ABANDONED else math.inf
            yield used, stat.st_size, Path(entry.path)


def _write(path: Path, content: bytes) -> None:
    """Write a file beside its place, for its owner alone, and move it there."""
    number, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _whole(subject: str, name: str, path: Path) -> bytes | None:
    """The text of a file, if all of it is there, and as it was written under this subject and name."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(number, "rb") as file:
        content = file.read(_LARGEST + 1)
    head, text = content[:_HEAD_BYTES], content[_HEAD_BYTES:]
    return text if len(content) <= _LARGEST and head == _head(subject, name, text) else None


def _head(subject: str, name: str, text: bytes) -> bytes:
    """What a file begins with: which form it has, and a digest of what it says, of what, and of the form."""
    digest = hashlib.blake2b(_MAGIC, digest_size=32)
    for part in (subject.encode("utf-8", "surrogatepass"), name.encode(), text):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return _MAGIC + b" " + digest.hexdigest().encode() + b"\n"


def _name(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

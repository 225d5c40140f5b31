"""Columns that lie in the names of folders: `year=2024/part.parquet` has a column `year`, alike on every engine.

Every folder `key=value` in the path of a file, as it was given or found, is a column of it. A column is integer if all
its values are whole numbers of 64 bits, date if all are written YYYY-MM-DD, else text. `%41` is a character by its
number in a value or key, and `__HIVE_DEFAULT_PARTITION__` a missing value.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lazyflow.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

PartitionValue = int | str | datetime.date | None

_MISSING = "__HIVE_DEFAULT_PARTITION__"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Partition:
    """A column with one value for each file: int64, date32 or text, or missing."""

    name: str
    type: pa.DataType
    values: tuple[PartitionValue, ...]


def partitions_of(paths: Sequence[Path]) -> tuple[Partition, ...]:
    """The columns that lie in the paths of files.

    Raises
    ------
    SourceError
        If the files lie in folders of different keys.

    Examples
    --------
    >>> for found in partitions_of([Path("year=2024/city=Bonn/a.csv"), Path("year=2025/city=Rome/a.csv")]):
    ...     print(found.name, found.type, found.values)
    year int64 (2024, 2025)
    city string ('Bonn', 'Rome')
    """
    folders = [dict(_pair(part) for part in path.parent.parts if part.find("=") > 0) for path in paths]
    for path, pairs in zip(paths, folders, strict=True):
        if list(pairs) != list(folders[0]):
            raise SourceError(
                f"{str(path)!r}: it lies in folders {_keys(pairs)}, and {str(paths[0])!r} in {_keys(folders[0])}; "
                "expected the same keys in the same order"
            )
    return tuple(_partition(key, [pairs[key] for pairs in folders]) for key in folders[0])


def _pair(folder: str) -> tuple[str, str | None]:
    key, _, value = folder.partition("=")
    return unquote(key), None if value == _MISSING else unquote(value)


def _keys(pairs: dict[str, str | None]) -> str:
    return "/".join(f"{key}=..." for key in pairs) or "of no key=value"


def _partition(name: str, texts: Sequence[str | None]) -> Partition:
    import pyarrow as pa

    present = [text for text in texts if text is not None]
    if present and all(_INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63 for text in present):
        return Partition(name, pa.int64(), tuple(text if text is None else int(text) for text in texts))
    if present and all(map(_is_date, present)):
        dates = tuple(text if text is None else datetime.date.fromisoformat(text) for text in texts)
        return Partition(name, pa.date32(), dates)
    return Partition(name, pa.string(), tuple(texts))


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and datetime.date.fromisoformat(text))
    except ValueError:
        return False

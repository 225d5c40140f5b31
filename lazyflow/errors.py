"""Everything lazyflow raises on purpose, as one small tree.

```
LazyflowError
├── InvalidInput            the caller asked for something that cannot be (also a ValueError)
│   ├── InvalidState        a state that is not well formed: JSON, shapes, sizes
│   ├── UnknownName         a column, operator, cleaning, post-processing, backend or scope that does not exist
│   ├── InvalidValue        a value that does not fit its column's type, a window that is no window
│   │   └── InvalidPattern  a pattern that is none, or that not every engine reads alike
│   ├── NotForThisType      the operation has no meaning for the type of this column
│   ├── NotForThisEngine    the engine has no such thing
│   └── InvalidStatistic    a statistic of the app's own is declared wrongly
├── SourceError             the source is missing, empty, truncated or not what it claims to be
│   └── SourceChanged       its files are no longer those that were opened
├── BackendNotInstalled     the engine's packages are absent (also an ImportError)
├── TransformError          a registered cleaning or post-processing failed
├── StatisticError          a statistic of the app's own failed, in its cell
├── OutOfTime               a statistic took longer than it may, in its cell
├── EngineError             the engine failed at a query
├── Superseded              a newer state replaced the one that was asked about
├── Cancelled               the work was withdrawn
├── PhaseError              a statistics query was tried while rows were due
└── ContractError           a backend class breaks the contract of its base (also a TypeError)
```
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_NAME = 100
"""Characters of a name in a message."""


class LazyflowError(Exception):
    """Base of every error that lazyflow raises on purpose."""


class InvalidInput(LazyflowError, ValueError):
    """The caller asked for something that cannot be."""


class InvalidState(InvalidInput):
    """A state that is not well formed; the message says where in it and what was expected."""


class UnknownName(InvalidInput):
    """A name that does not exist; the message lists those that do.

    >>> raise UnknownName.of("column", "dep_dela", ["dep_delay", "dest"])
    Traceback (most recent call last):
    lazyflow.errors.UnknownName: unknown column 'dep_dela', did you mean 'dep_delay'?
    """

    @classmethod
    def of(cls, what: str, name: object, known: Iterable[str]) -> UnknownName:
        """Word the error for a `what` (such as "column") called `name`, where `known` are right."""
        names = list(known)
        close = get_close_matches(str(name), names, n=1)
        if close:
            hint = f", did you mean {_short(close[0], _LONGEST_NAME)}?"
        elif names:
            cut = [each if len(each) <= _LONGEST_NAME else each[:_LONGEST_NAME] + "..." for each in names[:20]]
            shown = ", ".join(cut) + (", ..." if len(names) > 20 else "")
            hint = f"; expected one of: {shown}"
        else:
            hint = f"; no {what} is known here"
        return cls(f"unknown {what} {_short(name, _LONGEST_NAME) if isinstance(name, str) else repr(name)}{hint}")


class InvalidValue(InvalidInput):
    """A value that does not fit the type of its column, or a window that is no window."""


class InvalidPattern(InvalidValue):
    """A pattern of `matches` that is none, or that not every engine reads alike.

    Parameters
    ----------
    message
        What is wrong, and where.
    position
        Of the character in the pattern at which it is wrong, counted from 0.

    Examples
    --------
    >>> raise InvalidPattern.at("filter on 'tail'", "N(1", 1, "this group is not closed")
    Traceback (most recent call last):
    lazyflow.errors.InvalidPattern: filter on 'tail': pattern 'N(1', at '(1': this group is not closed
    """

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position

    @classmethod
    def at(cls, where: str, pattern: str, position: int, reason: str) -> InvalidPattern:
        """Word the error for what is wrong with `pattern` from `position` on."""
        place = f"at {_short(pattern[position:], 20)}" if position < len(pattern) else "at its end"
        return cls(f"{where}: pattern {_short(pattern, 60)}, {place}: {reason}", position)


def _short(text: str, most: int) -> str:
    return repr(text) if len(text) <= most else repr(text[:most] + "...")


class NotForThisType(InvalidInput):
    """The operation has no meaning for the type of this column."""


class NotForThisEngine(InvalidInput):
    """The engine has no such thing; the message says which engine, and what."""


class SourceError(LazyflowError):
    """The source is missing, empty, truncated, or not what it claims to be."""


class SourceChanged(SourceError):
    """The files of the source are no longer those that were opened; `DataFlow.refresh` opens them anew."""


class BackendNotInstalled(LazyflowError, ImportError):
    """The packages of an engine are absent; the message says what to install."""


class TransformError(LazyflowError):
    """A registered cleaning or post-processing raised, or returned what is not a table."""


class InvalidStatistic(InvalidInput):
    """A statistic of the app's own that is declared wrongly; the message says what was expected."""


class StatisticError(LazyflowError):
    """A statistic of the app's own raised, or gave what is no scalar expression; it stands in the cell."""


class OutOfTime(LazyflowError):
    """A statistic took longer than its budget; it stands in the cell, and can be asked for alone."""


class EngineError(LazyflowError):
    """The engine failed at a query; the cause is chained."""


class Superseded(LazyflowError):
    """A newer state replaced the one whose statistics were asked for."""


class Cancelled(LazyflowError):
    """The work was withdrawn before it ended."""


class PhaseError(LazyflowError):
    """A deferred query was tried in the rows phase."""


class ContractError(LazyflowError, TypeError):
    """A backend class overrides what its base declares final."""

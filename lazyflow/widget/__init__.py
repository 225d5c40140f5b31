"""A flow in a notebook: the viewer as a widget, over the channel that the notebook has with its kernel anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from lazyflow.dataflow import DataFlow
from lazyflow.errors import BackendNotInstalled, InvalidInput
from lazyflow.state import State

if TYPE_CHECKING:
    from lazyflow.widget.explorer import Explorer

__all__ = ["bundle_of", "explore"]

_shown: WeakKeyDictionary[DataFlow, ReferenceType[Explorer]] = WeakKeyDictionary()
"""The widgets of flows that were the last line of a cell: shown again, a flow has the same."""


def explore(source: Any, *, state: State | None = None, height: int = 480, **options: Any) -> Explorer:
    """A widget that shows a table; as the last line of a notebook's cell it is seen.

    Parameters
    ----------
    source
        A `DataFlow`, which stays the caller's, or what one is made of, which is closed with the widget.
    state
        What is shown first; the whole table unless given.
    height
        Height of the widget, in pixels of CSS.
    options
        Those of `DataFlow`: `backend`, `table`, `statistics` and so on.

    Raises
    ------
    BackendNotInstalled
        If the package anywidget is not installed.
    InvalidInput
        If the state does not fit the table, or there are options beside a `DataFlow`.
    SourceError
        If the source cannot be opened.

    Examples
    --------
    >>> import pyarrow as pa
    >>> widget = explore(pa.table({"city": ["Bonn", "Rome", "Bern"], "size": [3, 1, 2]}))
    >>> widget.state = State(search="b")
    >>> widget.to_arrow()["city"].to_pylist()
    ['Bonn', 'Bern']
    >>> widget.close()
    """
    try:
        from lazyflow.widget.explorer import Explorer
    except ImportError as error:
        raise BackendNotInstalled(
            f'the widget needs packages that are not installed ({error}): pip install "lazyflow[widget]"'
        ) from error
    if not isinstance(source, DataFlow):
        flow = DataFlow(source, **options)
        try:
            return Explorer(flow, state or State(), height, owns_flow=True)
        except BaseException:
            flow.close()
            raise
    if options:
        raise InvalidInput(f"{', '.join(options)}: a DataFlow has its options already")
    return Explorer(source, state or State(), height, owns_flow=False)


def bundle_of(flow: DataFlow) -> Any:
    """What a notebook shows of a flow, by media type; None where the package anywidget is not installed."""
    shown = _shown.get(flow)
    widget = shown() if shown is not None else None
    if widget is None or widget.closed:
        try:
            widget = explore(flow)
        except BackendNotInstalled:
            return None
        _shown[flow] = ref(widget)  # not the widget, by which the flow would be kept
    return widget._repr_mimebundle_()

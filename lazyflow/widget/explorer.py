"""The widget: what the notebook shows, and what Python reads and sets of it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from weakref import finalize

import anywidget
import msgspec
import traitlets

from lazyflow import viewer
from lazyflow.dataflow import DataFlow
from lazyflow.errors import LazyflowError
from lazyflow.protocol import ErrorFrame, Join, StateChange, StateFrame, exception_of
from lazyflow.service import Service
from lazyflow.session import Client
from lazyflow.state import State
from lazyflow.threads import Loop, dismiss_idle
from lazyflow.widget.channel import Channel
from lazyflow.widget.fallback import fallback

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from lazyflow import expressions as ex

_REQUEST = 1


class Explorer(anywidget.AnyWidget):
    """A table in a notebook, and what a person made of it; made by `lazyflow.explore`.

    Its session runs on an event loop in a thread of its own: the notebook's is busy as long as a cell runs.

    Parameters
    ----------
    flow
        The table.
    state
        What is shown first.
    height
        Height in pixels of CSS.
    owns_flow
        Whether the flow is closed with the widget.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(480, min=160, help="Height in pixels of CSS.").tag(sync=True)

    def __init__(self, flow: DataFlow, state: State, height: int, owns_flow: bool) -> None:
        if not viewer.is_built():
            raise LazyflowError(viewer.HOW_TO_BUILD)
        flow.compile(state)
        self._flow = flow
        self._loop = Loop("lazyflow-widget")
        self._service = Service({"table": flow})
        # Widgets live until they are closed or Python ends, which is noticed here while threads still run.
        self._end = finalize(self, _end, self._loop, self._service, flow if owns_flow else None)
        try:
            self._keeper = self._loop.run(self._open(state))
            super().__init__(_esm=viewer.bundle().decode(), height=height)
        except BaseException:
            self._end()
            raise
        flow._shown_by.add(self)  # whose session has a fork of it, and would keep the engine open
        self.on_msg(lambda _, content, buffers: self._loop.post(self._channel.take, content))

    async def _open(self, state: State) -> Client:
        """Open the session, and stay in it with a client that reads nothing: so it lives as long as the widget."""
        # It sees as little as a client can: no row, and one column, for none would be all.
        keeper = self._service.join(Join(state=state, window=(0, 0), columns=tuple(self._flow.schema)[:1]))
        async with aclosing(keeper.frames()) as frames:
            async for frame in frames:
                if isinstance(frame.header, ErrorFrame):
                    raise exception_of(frame.header)
                break
        self._channel = Channel(self._service, keeper.session, self.send)
        return keeper

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._end.alive

    @property
    def state(self) -> State:
        """What is shown; set it to show something else, in all places where the widget is seen.

        Raises
        ------
        UnknownName, InvalidValue, NotForThisType, TransformError
            When it is set, if the state does not fit the table; what is shown is as before.
        Cancelled
            When it is set, if the widget was closed.
        """
        state = self._keeper.state
        assert state is not None, "the session was opened with one"
        return state

    @state.setter
    def state(self, state: State) -> None:
        self._flow.compile(state)  # its errors say more than those that clients see
        self._loop.run(self._change(state))

    async def _change(self, state: State) -> None:
        """Ask as any other client does; one that comes for this alone, and sees no rows."""
        client = self._service.join(Join(session=self._keeper.session, window=(0, 0), columns=self._keeper.columns))
        try:
            client.receive(msgspec.json.encode(StateChange(state=state, request=_REQUEST)).decode())
            async with aclosing(client.frames()) as frames:
                async for frame in frames:
                    if isinstance(frame.header, ErrorFrame) and frame.header.request == _REQUEST:
                        raise exception_of(frame.header)
                    if isinstance(frame.header, StateFrame) and frame.header.request == _REQUEST:
                        return
        finally:
            client.leave()
        raise LazyflowError(client.close_reason)

    @property
    def expression(self) -> ex.Table:
        """The view that is shown, from cleaning to sort, as an ibis expression to execute or to build on."""
        plan = self._flow.compile(self.state)
        return plan.named(plan.ordered)

    def to_arrow(self) -> pa.Table:
        """All rows and columns of the view that is shown.

        Raises
        ------
        SourceChanged
            If the files of the source changed meanwhile.
        EngineError
            If the engine fails.
        """
        state = self.state
        return self._flow.rows(state, (0, self._flow.row_count(state)))

    def to_pandas(self) -> pd.DataFrame:
        """As `to_arrow`, as a frame of pandas; integers and booleans stay what they are where values are missing."""
        import pandas as pd
        import pyarrow as pa

        kinds = {
            pa.bool_(): pd.BooleanDtype(),
            pa.int8(): pd.Int8Dtype(),
            pa.int16(): pd.Int16Dtype(),
            pa.int32(): pd.Int32Dtype(),
            pa.int64(): pd.Int64Dtype(),
            pa.uint8(): pd.UInt8Dtype(),
            pa.uint16(): pd.UInt16Dtype(),
            pa.uint32(): pd.UInt32Dtype(),
            pa.uint64(): pd.UInt64Dtype(),
        }
        return self.to_arrow().to_pandas(types_mapper=kinds.get)

    def close(self) -> None:
        """End the session and take the widget away wherever it is shown. Closing the flow does it too."""
        if hasattr(self, "_end"):
            self._end()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, **fallback(self._flow, self.state)}, metadata


def _end(loop: Loop, service: Service, flow: DataFlow | None) -> None:
    """End the session and the loop, and close the flow if it is the widget's own."""
    loop.run(service.close())
    loop.end()
    dismiss_idle()
    if flow is not None:
        flow.close()

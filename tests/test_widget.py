"""The widget without a notebook: a channel that is written down in its place; session and engines are real."""

from __future__ import annotations

import json
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pyarrow as pa
import pytest

import lazyflow as lf
from lazyflow import viewer
from lazyflow.protocol import ErrorFrame, Frame, InitialState, RowsFrame, StateFrame
from lazyflow.service import Service
from lazyflow.settings import Settings
from lazyflow.testing import Harness
from lazyflow.threads import IDLE_SECONDS, dismiss_idle
from tests.wire import PATIENCE

pytest.importorskip("anywidget")
pytestmark = pytest.mark.skipif(not viewer.is_built(), reason=viewer.HOW_TO_BUILD)

CITIES = pa.table({"city": ["Bonn", "Rome", None, "Bern", "Oslo"], "size": pa.array([2**60 + 1, None, 3, 1, 2])})
WIDGET = "application/vnd.jupyter.widget-view+json"


class Notebook:
    """A notebook's end of the channels of all widgets: what views were sent, and what they say."""

    def __init__(self) -> None:
        self.comms: list[Notebook.Comm] = []

    class Comm:
        def __init__(self, **opened: Any) -> None:
            self.comm_id = f"comm-{id(self)}"
            self.closed = False
            self.views: defaultdict[str, SimpleQueue[tuple[dict[str, Any], list[bytes]]]] = defaultdict(SimpleQueue)

        def on_msg(self, handler: Any) -> None:
            self.handler = handler

        def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
            if data["method"] == "custom":
                self.views[data["content"]["view"]].put((data["content"], buffers or []))

        def close(self, *args: Any, **kwargs: Any) -> None:
            self.closed = True

        def says(self, content: object) -> None:
            self.handler({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})

    def open(self, **opened: Any) -> Comm:
        made = self.Comm(**opened)
        if "_esm" in opened["data"]["state"]:  # else it is that of the widget's layout
            self.comms.append(made)
        return made


class View:
    """One place where a widget is shown; frames it reads are acknowledged unless it is `slow`."""

    def __init__(self, comm: Notebook.Comm, name: str, slow: bool = False, **join: Any) -> None:
        self.comm, self.name, self.slow = comm, name, slow
        self._request = 0
        self.says("join", join=json.dumps({"body": "json", **join}))

    def says(self, type: str, **content: Any) -> None:
        self.comm.says({"type": type, "view": self.name, **content})

    def change(self, **state: Any) -> None:
        self._request += 1
        whole = {"search": "", "filters": [], "sort": [], "cleaning": None, "post_processing": None, **state}
        self.says("message", message=json.dumps({"type": "state_change", "state": whole, "request": self._request}))

    def read(self) -> tuple[dict[str, Any], list[bytes]]:
        content, buffers = self.comm.views[self.name].get(timeout=PATIENCE)
        if content["type"] == "frame" and not self.slow:
            self.says("taken")
        return content, buffers

    def until(self, kind: type) -> Frame:
        """The next frame of this kind."""
        while True:
            content, buffers = self.read()
            assert content["type"] == "frame", content
            frame = Frame.decode(buffers[0])
            if isinstance(frame.header, kind):
                return frame
            assert not isinstance(frame.header, ErrorFrame), frame.header

    def until_closed(self) -> dict[str, Any]:
        while (content := self.read()[0])["type"] != "closed":
            pass
        return content

    @property
    def is_empty(self) -> bool:
        return self.comm.views[self.name].empty()


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    from ipywidgets import comm

    made = Notebook()
    monkeypatch.setattr(comm, "create_comm", made.open)
    return made


@pytest.fixture
def widget(harness: Harness, notebook: Notebook) -> Iterator[Any]:
    with harness.flow(CITIES) as flow:
        shown = lf.explore(flow)
        yield shown
        shown.close()


def rows_of(frame: Frame) -> Any:
    return json.loads(frame.body)


def test_a_view_has_the_rows_and_what_is_done_there_is_seen_in_python(widget: Any, notebook: Notebook) -> None:
    view = View(notebook.comms[0], "one")
    first = view.until(InitialState)
    assert rows_of(first) == [["Bonn", "Rome", None, "Bern", "Oslo"], [2**60 + 1, None, 3, 1, 2]]
    view.change(search="b", sort=[{"column": "size"}])
    assert rows_of(view.until(StateFrame)) == [["Bern", "Bonn"], [1, 2**60 + 1]]
    assert widget.state == lf.State(search="b", sort=[lf.Sort("size")])
    assert widget.to_arrow().to_pydict() == {"city": ["Bern", "Bonn"], "size": [1, 2**60 + 1]}
    assert list(widget.to_pandas()["size"]) == [1, 2**60 + 1]


def test_the_view_is_an_expression_to_build_on(harness: Harness, widget: Any) -> None:
    widget.state = lf.State(search="b", sort=[lf.Sort("size")])
    made = widget.expression.mutate(double=widget.expression.size * 2)
    assert made.columns in (["city", "size", "double"], ("city", "size", "double"))
    if harness.backend().name == "sqlite":
        pytest.skip("the expressions of the tests' own backend are bound to no connection")
    assert list(made.execute()["double"]) == [2, 2**61 + 2]


def test_integers_stay_exact_beside_missing_values(widget: Any) -> None:
    size = widget.to_pandas()["size"]
    assert size[0] == 2**60 + 1
    assert size.isna().tolist() == [False, True, False, False, False]


def test_a_state_set_in_python_is_a_new_change_in_every_view(widget: Any, notebook: Notebook) -> None:
    views = [View(notebook.comms[0], "one"), View(notebook.comms[0], "two", window=[1, 2])]
    before = [view.until(InitialState).header for view in views]
    widget.state = lf.State(search="o", sort=[lf.Sort("city")])
    assert widget.state.search == "o"
    after = [view.until(StateFrame) for view in views]
    assert [frame.header.state for frame in after] == [widget.state] * 2
    assert [frame.header.generation for frame in after] == [before[0].generation + 1] * 2
    assert [rows_of(frame)[0] for frame in after] == [["Bonn", "Oslo", "Rome"], ["Oslo"]]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (lf.State(sort=[lf.Sort("nobody")]), lf.UnknownName),
        (lf.State(filters=[lf.Filter("size", ">", "x")]), lf.InvalidValue),
        ("bonn", lf.InvalidInput),
    ],
)
def test_a_bad_state_is_refused_and_what_is_shown_stays(
    widget: Any, notebook: Notebook, state: Any, error: type[Exception]
) -> None:
    widget.state = lf.State(search="b")
    with pytest.raises(error):
        widget.state = state
    assert widget.state == lf.State(search="b")
    view = View(notebook.comms[0], "one")
    assert view.until(InitialState).header.generation == 2


def test_views_come_and_go_each_with_its_own_window(widget: Any, notebook: Notebook) -> None:
    one, two = View(notebook.comms[0], "one"), View(notebook.comms[0], "two")
    generation = one.until(InitialState).header.generation
    two.until(InitialState)
    ask = {"type": "rows_request", "generation": generation, "window": [3, 4], "request": 1}
    one.says("message", message=json.dumps(ask))
    assert rows_of(one.until(RowsFrame))[0] == ["Bern"]
    one.says("leave")
    two.change(search="rome")
    assert rows_of(two.until(StateFrame))[0] == ["Rome"]
    assert widget.state.search == "rome"


def test_a_view_that_does_not_read_is_sent_no_more_until_it_does(widget: Any, notebook: Notebook) -> None:
    slow = View(notebook.comms[0], "slow", slow=True)
    quick = View(notebook.comms[0], "quick")
    for search in "abcdefgh":
        widget.state = lf.State(search=search)
        while quick.until(StateFrame).header.state.search != search:
            pass
    frames = [Frame.decode(slow.read()[1][0]).header for _ in range(4)]
    assert slow.is_empty
    for _ in frames:
        slow.says("taken")
    while True:  # what it missed is not sent any more: the newest view is what comes next
        (header,) = (Frame.decode(buffer).header for buffer in slow.read()[1])
        slow.says("taken")
        if isinstance(header, StateFrame):
            break
    assert header.state.search == "h"


def test_a_view_whose_page_is_gone_is_given_up(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazyflow.widget.explorer.Service", lambda flows: Service(flows, Settings(client_timeout=0.05)))
    with lf.DataFlow(CITIES) as flow:
        widget = lf.explore(flow)
        gone = View(notebook.comms[0], "gone", slow=True)
        for search in "abcdefgh":
            widget.state = lf.State(search=search)
        assert gone.until_closed()["code"] == 4408
        back = View(notebook.comms[0], "back")
        assert back.until(InitialState).header.state.search == "h"
        widget.close()


def test_a_view_that_leaves_at_once_leaves_the_session(notebook: Notebook) -> None:
    with lf.DataFlow(CITIES) as flow:
        widget = lf.explore(flow)
        brief = [{"type": "join", "view": "brief", "join": "{}"}, {"type": "leave", "view": "brief"}]
        widget._loop.post(lambda: [widget._channel.take(message) for message in brief])  # before it has begun
        stays = View(notebook.comms[0], "stays")
        stays.until(InitialState)
        assert widget._loop.run(clients(widget._service)) == 2  # it, and the widget's own
        widget.close()


async def clients(service: Service) -> int:
    return service.client_count


def test_nothing_is_left_of_a_closed_widget(harness: Harness, notebook: Notebook) -> None:
    dismiss_idle()
    before = set(threading.enumerate())
    with harness.flow(CITIES) as flow:
        widget = lf.explore(flow)
        view = View(notebook.comms[0], "one")
        view.until(InitialState)
        widget.close()
        assert view.until_closed()["code"] == 1001
        assert notebook.comms[0].closed
        assert widget.closed
        with pytest.raises(lf.Cancelled):
            widget.state = lf.State(search="b")
        widget.close()
        assert flow.row_count(lf.State()) == 5  # it was the caller's
    ours = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("lazyflow")]
    for thread in ours:
        thread.join(PATIENCE * IDLE_SECONDS)
    assert not [thread for thread in ours if thread.is_alive()]


def test_a_source_is_opened_and_closed_with_the_widget(harness: Harness, notebook: Notebook) -> None:
    widget = lf.explore(harness.source(CITIES), backend=harness.backend(), state=lf.State(search="bonn"), height=300)
    assert (widget.to_arrow().num_rows, widget.height) == (1, 300)
    widget.close()
    with pytest.raises(lf.LazyflowError, match="closed"):
        widget.to_arrow()


def test_what_cannot_be_explored_says_why_and_leaves_nothing(notebook: Notebook) -> None:
    dismiss_idle()
    before = threading.active_count()
    with pytest.raises(lf.UnknownName):
        lf.explore(CITIES, state=lf.State(sort=[lf.Sort("nobody")]))
    with lf.DataFlow(CITIES) as flow, pytest.raises(lf.InvalidInput, match="backend"):
        lf.explore(flow, backend="duckdb")
    assert notebook.comms == []
    dismiss_idle()
    assert threading.active_count() == before


def test_a_view_that_is_not_understood_is_told_so_and_others_go_on(widget: Any, notebook: Notebook) -> None:
    comm = notebook.comms[0]
    newer = View(comm, "newer", version=99)
    assert newer.until(ErrorFrame).header.code == "wrong_version"
    assert newer.until_closed()["code"] == 4406
    for content in (
        None,
        3,
        {},
        {"type": "join"},
        {"type": "dance", "view": "one"},
        {"type": "taken", "view": "nobody"},
    ):
        comm.says(content)
    one = View(comm, "one")
    one.says("join", join="{}")  # it is there already
    one.until(InitialState)
    one.says("message", message="{}")
    assert one.until(ErrorFrame).header.code == "invalid_message"


def test_a_saved_notebook_has_rows_and_statistics_that_are_nothing_but_text(
    harness: Harness, notebook: Notebook
) -> None:
    hostile = "<script>alert(1)</script>"
    table = pa.table({hostile: [f"{hostile}{n}" for n in range(20)], "size & such": list(range(20))})
    with harness.flow(table) as flow:
        widget = lf.explore(flow)
        data, _ = widget._repr_mimebundle_()
        widget.close()
    html, text = data["text/html"], data["text/plain"]
    assert "<script" not in html
    assert html.count("<table>") == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;9" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;10" not in html  # the first ten rows
    assert "size &amp; such" in html
    assert "20 rows × 2 columns" in html
    assert '<td style="text-align: right">9.5</td>' in html  # the mean
    assert "20 rows" in text
    assert data[WIDGET]["model_id"] == notebook.comms[0].comm_id


def test_statistics_that_take_long_are_not_waited_for(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lazyflow.widget.fallback.PATIENCE", 0.0)
    with lf.DataFlow(CITIES) as flow:
        widget = lf.explore(flow)
        monkeypatch.setattr("lazyflow.step.Step.resolve", timed_out)
        data, _ = widget._repr_mimebundle_()
        widget.close()
    assert "Bonn" in data["text/html"]
    assert "…" in data["text/html"]


def timed_out(*args: Any, **kwargs: Any) -> Any:
    raise TimeoutError


def test_a_flow_shows_itself_by_one_widget(harness: Harness, notebook: Notebook) -> None:
    with harness.flow(CITIES) as flow:
        first, again = flow._repr_mimebundle_(), flow._repr_mimebundle_()
        assert first[0][WIDGET] == again[0][WIDGET]
        assert len(notebook.comms) == 1
        other = lf.explore(flow)
    assert flow._repr_mimebundle_() is None
    assert [comm.closed for comm in notebook.comms] == [True, True], "closed with the flow"
    assert other.closed
    assert not [thread.name for thread in threading.enumerate() if thread.name == "lazyflow-widget"]


def test_without_the_package_a_flow_is_plain_text_and_explore_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "lazyflow.widget.explorer", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with lf.DataFlow(CITIES) as flow:
        assert flow._repr_mimebundle_() is None
        with pytest.raises(lf.BackendNotInstalled, match=r"lazyflow\[widget\]"):
            lf.explore(flow)

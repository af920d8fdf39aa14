from __future__ import annotations

import asyncio
from html.parser import HTMLParser
from typing import Any

import pytest

from braid.engine import Envelope
from braid.executors import Limits, tool
from braid.executors.nodes import Ref
from braid.executors.report import report_of, report_of_spans, run_page, spans_of, spans_of_events
from braid.executors.report.spans import Span
from tests.support.written_plans import Recorded, all_refs, answer, call, mapped


@tool
async def work(x: Any) -> Any:
    await asyncio.sleep(0.002)
    return x


@tool
async def broken(x: Any) -> Any:
    await asyncio.sleep(0.002)
    raise ValueError("<script>alert('error')</script>")


class Page(HTMLParser):
    """The elements of a page. Every one that is opened must be closed."""

    VOID = frozenset({"meta", "path", "rect", "line"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


async def a_run() -> Recorded:
    recorded = Recorded()
    await recorded.run(
        call("a", "work", x='</title></style><img src=x onerror="alert(1)">\ud800\x00'),
        call("b", "work", x=Ref("a")),
        mapped("xs", [1, 2, 3], "work", x=Ref("m")),
        mapped("ys", Ref("xs"), "work", x=Ref("m")),
        call("bad", "broken", x=1),
        call("after", "work", x=Ref("bad")),
        answer(all_refs("a", "b", "ys")),
        tools=[work, broken],
    )
    return recorded


async def test_a_page_is_whole_and_loads_and_runs_nothing() -> None:
    recorded = await a_run()
    report = report_of(recorded.graph)
    hostile = "<script>alert('title')</script>"
    text = run_page(spans_of(recorded.graph), report, title=hostile, answer=hostile, notes=[hostile])
    text.encode("utf-8")
    page = Page(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "a", "form"}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("src", "href") for name in attributes)
    assert "http://" not in text and "https://" not in text
    assert hostile in page.text and "alert('error')" in page.text
    for id in ("a", "b", "xs[0]", "ys[2]", "bad", "after"):
        assert id in page.text
    assert "work ×3" in page.text


async def test_the_timeline_fits_every_screen_and_says_what_each_node_does() -> None:
    spans = [
        Span(id=id, op="tool", name=id, source=source, state="done", added=at, started=at, finished=at + 1)
        for id, source, at in (
            ("a", 'a = search("height of K2")', 0.0),
            ("b", 'b = search("<i>length</i> of the Nile")', 1.0),
            ("c", 'c = search(f"{a.value} m")', 3.0),
        )
    ]
    page = Page(run_page(spans, report_of_spans(spans), title="?"))
    styles = [attributes.get("style") or "" for tag, attributes in page.tags if tag == "i"]
    assert [style for style in styles if "left:" in style] == [
        "left:0.00%;width:25.00%",
        "left:25.00%;width:25.00%",
        "left:75.00%;width:25.00%",
    ]
    for span in spans:
        assert page.text.count(span.source) >= 2  # in the timeline and in the list
    assert page.text.count("height of K2") >= 3  # in the drawing of the graph too


async def test_a_page_of_nothing_and_of_very_much() -> None:
    empty = Recorded()
    await empty.run(tools=[])
    Page(run_page([], report_of(empty.graph), title=""))
    many = Recorded()
    nodes = [call(f"n{i}", "work", x=Ref(f"n{i - 1}") if i % 7 else i) for i in range(2_000)]
    await many.run(tools=[work], chunks=[nodes], limits=Limits(max_concurrency=1_000))
    text = run_page(spans_of(many.graph), report_of(many.graph), title="many")
    Page(text)
    assert len(text) < 2_000_000


async def test_events_give_the_same_spans_as_the_graph() -> None:
    recorded = await a_run()
    origin = 1_000_000.0
    envelopes = [
        Envelope(run="r", seq=seq, at=origin + getattr(event, "at", 0.0), event=event)
        for seq, event in enumerate(recorded.events)
    ]
    told = {span.id: span for span in spans_of_events(envelopes)}
    seen = {span.id: span for span in spans_of(recorded.graph)}
    assert told.keys() == seen.keys()
    for id, span in seen.items():
        assert (told[id].state, told[id].error, told[id].text) == (span.state, span.error, span.text)
        assert told[id].depends_on == span.depends_on
        if span.op != "map":
            assert told[id].started == span.started
        assert told[id].finished == pytest.approx(span.finished, abs=0.01)
    report = report_of_spans(list(told.values()))
    assert report.work == pytest.approx(report_of(recorded.graph).work, abs=0.01)
    assert report.states == report_of(recorded.graph).states

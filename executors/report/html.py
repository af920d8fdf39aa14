"""A run as one HTML page: its report, its graph, a timeline and its nodes.

The page needs no scripts, no network and no other file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from braid.executors.report.report import RunReport
from braid.executors.report.spans import Span

MAX_DRAWN: Final = 150
"""Most nodes in the drawing of the graph."""

MAX_ROWS: Final = 1_000
"""Most bars of the timeline and most rows of the list."""

_BOX_W, _BOX_H, _GAP_X, _GAP_Y = 168, 40, 56, 14


def run_page(
    spans: Sequence[Span], report: RunReport, *, title: str, answer: str = "", notes: Sequence[str] = ()
) -> str:
    """The page of a run. Everything that comes from a plan or a tool is written as text, never as markup.

    Args:
        spans: The nodes.
        report: The report on them.
        title: The question.
        answer: The answer.
        notes: Lines under the answer, such as the id of the run or why it stopped.
    """
    critical = frozenset(report.critical_nodes)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        # Even a value that slipped through as markup can load and run nothing.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{_text(title, 120)}</title><style>{_style()}</style></head><body><main>",
        f"<h1>{_text(title, 2_000)}</h1>",
        f'<p class="answer">{_text(answer, 20_000)}</p>' if answer else "",
        *(f'<p class="note">{_text(note, 2_000)}</p>' for note in notes),
        "<h2>What it took</h2>",
        *_figures(report),
        "<h2>Graph</h2>",
        *_drawing(spans, critical),
        "<h2>Timeline</h2>",
        *_timeline(spans, critical),
        "<h2>Nodes</h2>",
        *_list(spans, critical),
        "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _figures(report: RunReport) -> Iterator[str]:
    cells = [
        ("speed-up", f"{report.speedup:.2f}×", "planning and work in turn, over what it took"),
        (
            "possible",
            f"{report.parallelism:.2f}×",
            "work W over critical path L: the most that this graph allows",
        ),
        ("work W", _seconds(report.work), "the nodes' own times, added up"),
        (
            "critical path L",
            _seconds(report.critical_path),
            "the longest chain of nodes that wait for each other",
        ),
        ("in all", _seconds(report.seconds), "from the beginning to the last node's end"),
        (
            "wasted",
            _seconds(report.wasted),
            "work of nodes that failed or were cancelled, and of hedged calls",
        ),
    ]
    yield '<dl class="figures">'
    for name, value, hint in cells:
        yield f'<div title="{escape(hint)}"><dt>{name}</dt><dd>{value}</dd></div>'
    yield "</dl>"
    if report.seconds > 0:
        shares = [
            ("run", "running nodes", report.running),
            ("plan", "waiting for the plan", report.planning),
            ("queue", "queueing", report.queueing),
        ]
        yield '<div class="shares">'
        for kind, name, value in shares:
            share = min(1.0, value / report.seconds)
            if share > 0:
                hint = f"{name}: {_seconds(value)}"
                yield f'<span class="{kind}" style="width:{share:.2%}" title="{hint}"></span>'
        yield '</div><p class="note">'
        yield ", ".join(
            f'<i class="{kind}"></i> {name} {_seconds(value)} ({value / report.seconds:.0%})'
            for kind, name, value in shares
        )
        yield (
            f". Stragglers cost {_seconds(report.straggling)}; "
            f"the plan took {_seconds(report.planner_seconds)} to write.</p>"
        )
    usage = report.usage
    if usage.calls:
        yield (
            f'<p class="note">{usage.prompt_tokens:,} prompt tokens ({usage.cached_tokens:,} cached), '
            f"{usage.generated_tokens:,} generated, {usage.critical_path_tokens:,} of them "
            "on the critical path</p>"
        )


def _drawing(spans: Sequence[Span], critical: frozenset[str]) -> Iterator[str]:
    """The graph: layers by depth, in plan order. Items of maps are folded into their map."""
    nodes = [span for span in spans if span.parent is None]
    shown = nodes[:MAX_DRAWN]
    if not shown:
        yield '<p class="note">no nodes</p>'
        return
    owner = {span.id: span.parent or span.id for span in spans}
    items: dict[str, list[Span]] = {}
    for span in spans:
        if span.parent is not None:
            items.setdefault(span.parent, []).append(span)
    known = {span.id for span in shown}
    reads = {
        span.id: list(
            dict.fromkeys(
                source
                for reader in (span, *items.get(span.id, ()))
                for source in (owner.get(id, "") for id in reader.depends_on)
                if source in known and source != span.id
            )
        )
        for span in shown
    }
    depth = _depths([span.id for span in shown], reads)
    columns: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for span in shown:
        column = depth[span.id]
        row = columns.get(column, 0)
        columns[column] = row + 1
        places[span.id] = 10 + column * (_BOX_W + _GAP_X), 10 + row * (_BOX_H + _GAP_Y)
    width = 20 + (max(columns) + 1) * (_BOX_W + _GAP_X) - _GAP_X
    height = 20 + max(columns.values()) * (_BOX_H + _GAP_Y) - _GAP_Y
    on_path = {owner[id] for id in critical if id in owner}
    yield _svg(width, height, "the graph of the plan")
    for id, sources in reads.items():
        x, y = places[id]
        for source in sources:
            left, top = places[source][0] + _BOX_W, places[source][1] + _BOX_H / 2
            middle = y + _BOX_H / 2
            bend = max(24.0, (x - left) / 2)
            kind = "edge critical" if id in on_path and source in on_path else "edge"
            yield (
                f'<path class="{kind}" d="M{left},{top:g} C{left + bend:g},{top:g} '
                f'{x - bend:g},{middle:g} {x},{middle:g}"/>'
            )
    for span in shown:
        x, y = places[span.id]
        count = len(items.get(span.id, ()))
        label = f"{span.tool or span.op} ×{count}" if span.op == "map" else _call(span)
        times = (
            _seconds(span.finished - span.started)
            if span.started is not None and span.finished is not None
            else ""
        )
        yield (
            f'<g class="node {span.op} {span.state}{" critical" if span.id in on_path else ""}">'
            f"<title>{_hint(span)}</title>"
            f'<rect x="{x}" y="{y}" width="{_BOX_W}" height="{_BOX_H}" rx="5"/>'
            f'<text x="{x + 8}" y="{y + 16}">{_text(span.name or span.id, 22)}</text>'
            f'<text class="small" x="{x + 8}" y="{y + 31}">{_text(label, 22)}</text>'
            f'<text class="small end" x="{x + _BOX_W - 8}" y="{y + 31}">{times or span.state}</text></g>'
        )
    yield "</svg></div>"
    if len(nodes) > len(shown):
        yield f'<p class="note">the first {len(shown)} of {len(nodes)} nodes</p>'


def _depths(ids: Sequence[str], reads: dict[str, list[str]]) -> dict[str, int]:
    """Length of the longest path to each node. A cycle, which a name that is bound again can make, is cut."""
    depth: dict[str, int] = {}
    for root in ids:
        stack = [root]
        open_: set[str] = set()
        while stack:
            id = stack[-1]
            if id in depth:
                stack.pop()
                continue
            missing = [source for source in reads[id] if source not in depth and source not in open_]
            if missing and id not in open_:
                open_.add(id)
                stack.extend(missing)
                continue
            depth[id] = 1 + max((depth[source] for source in reads[id] if source in depth), default=-1)
            open_.discard(id)
            stack.pop()
    return depth


def _timeline(spans: Sequence[Span], critical: frozenset[str]) -> Iterator[str]:
    """A bar for each node that ran. A thin bar before it is the time in which it was ready and waited."""
    ran = sorted(
        (s for s in spans if s.ran and s.op != "map"), key=lambda s: (s.started or 0.0, s.finished or 0.0)
    )
    if not ran:
        yield '<p class="note">nothing ran</p>'
        return
    shown = ran[:MAX_ROWS]
    end = max(span.finished or 0.0 for span in shown) or 1e-9
    ended = {span.id: span.finished for span in spans}
    yield '<div class="timeline"><div class="ticks" aria-hidden="true">'
    for tick in _ticks(end):
        yield f'<span style="left:{tick / end:.2%}">{_seconds(tick)}</span>'
    yield "</div>"
    for span in shown:
        started, finished = span.started or 0.0, span.finished or 0.0
        inputs = [at for id in span.depends_on if (at := ended.get(id)) is not None and at <= started]
        ready = min(started, max([span.added, *inputs]))
        mark = " critical" if span.id in critical else ""
        own = span.parent is None and span.source.strip()
        what = own or f"{span.id} {span.tool or span.op}"
        yield f'<div class="bar {span.op} {span.state}{mark}" title="{_hint(span)}">'
        yield f"<code>{_text(what, 60)}</code><span>"
        if (started - ready) / end > 0.001:
            yield f'<i class="wait" style="left:{ready / end:.2%};width:{(started - ready) / end:.2%}"></i>'
        yield f'<i style="left:{started / end:.2%};width:{(finished - started) / end:.2%}"></i>'
        yield f"</span><small>{_seconds(span.seconds)}</small></div>"
    yield "</div>"
    more = f"; the first {len(shown)} of {len(ran)}" if len(ran) > len(shown) else ""
    yield (
        '<p class="note">outlined: the critical path; '
        f"thin: ready, and waiting for a slot or a person{more}</p>"
    )


def _ticks(end: float) -> Iterator[float]:
    """Five to ten round numbers from 0 to `end`."""
    step = 1e-9
    while end / step > 10:
        step *= 2 if str(f"{step:e}")[0] in "15" else 2.5
    place = 0
    while place * step <= end:
        yield place * step
        place += 1


def _list(spans: Sequence[Span], critical: frozenset[str]) -> Iterator[str]:
    yield '<div class="scroll"><table><thead><tr><th>node</th><th>state</th><th>start</th><th>took</th>'
    yield "<th>statement</th><th>result</th></tr></thead><tbody>"
    for span in spans[:MAX_ROWS]:
        mark = ' class="critical"' if span.id in critical else ""
        start = _seconds(span.started) if span.started is not None else ""
        took = (
            _seconds(span.finished - span.started)
            if span.started is not None and span.finished is not None
            else ""
        )
        shown = span.error if span.state != "done" else span.text
        source = "" if span.parent is not None else span.source
        yield (
            f'<tr{mark}><td>{_text(span.id, 60)}</td><td class="{span.state}">{span.state}</td>'
            f"<td>{start}</td><td>{took}</td>"
            f"<td><code>{_text(source.strip(), 500)}</code></td><td>{_text(shown, 500)}</td></tr>"
        )
    yield "</tbody></table></div>"
    if len(spans) > MAX_ROWS:
        yield f'<p class="note">the first {MAX_ROWS:,} of {len(spans):,} nodes</p>'


def _svg(width: int, height: int, label: str) -> str:
    size = f'width="{width}" height="{height}"'
    return f'<div class="scroll"><svg {size} role="img" aria-label="{label}">'


def _call(span: Span) -> str:
    """What the node does, as its statement says it: `search("height of K2")`."""
    source = span.source.strip()
    return source.removeprefix(f"{span.name} = ") or span.tool or span.op


def _hint(span: Span) -> str:
    lines = [
        span.id,
        span.source.strip(),
        f"{span.state} {_seconds(span.seconds) if span.ran else ''}".strip(),
    ]
    lines.append(span.text if span.state == "done" else span.error)
    return _text("\n".join(line for line in lines if line), 800)


def _text(text: str, limit: int) -> str:
    """`text` for the page: cut, escaped, and without control characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    clean = "".join(c if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f") else "�" for c in cut)
    return escape(clean.encode("utf-8", "replace").decode("utf-8"))


def _seconds(seconds: float) -> str:
    if seconds >= 100:
        return f"{seconds:.0f} s"
    if seconds >= 0.1 or seconds == 0:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-4 else f"{seconds * 1e6:.3g} µs"


def _style() -> str:
    return files("braid.executors.report").joinpath("page.css").read_text(encoding="utf-8")

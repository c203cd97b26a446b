"""How things look on the screen: JSON on stdout, plans as a table, durations in words."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from prefgen.dispatch.speed import ANSWER_S, EMBEDDED_PER_S
from prefgen.flow.planned import Plan, StepPlan
from prefgen.screen.unwritten import Unwritten
from prefgen.steps.context import Bound


class Screen(Console):
    """A console that says when it cannot be written, and does not exit by itself when its pipe is closed."""

    def print(self, *objects: Any, **options: Any) -> None:
        with _written():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        raise


@contextlib.contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritten from error


people = Screen(stderr=True, highlight=False)
"""stderr, for people."""


def data_console() -> Console:
    """stdout, for data; wide where no terminal cuts it."""
    console = Screen(highlight=False)
    return console if console.is_terminal else Screen(highlight=False, width=160)


def print_json(content: object) -> None:
    """One JSON document on stdout."""
    with _written():
        sys.stdout.buffer.write(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.flush()


class PlanGrid:
    """The steps of a plan: a line each where the console is wide enough, else a few short ones."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        grid = _grid(self._plan)
        if console.measure(grid, options=options.update(max_width=1000)).maximum <= options.max_width:
            yield grid
            return
        for step in self._plan.steps:
            yield Text(" ".join(filter(None, (step.name, step.kind, step.model))))
            said = (f"{title} {figure}" for title, figure in zip(_FIGURES, _figures(step), strict=True) if figure)
            yield Padding(Text(", ".join(one.replace(" ", "\u00a0") for one in said)), (0, 0, 0, 2))


_FIGURES = ("rows", "requests", "tokens in", "tokens out", "USD", "time")


def _grid(plan: Plan) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    for title in ("step", "kind", "model"):
        grid.add_column(title, no_wrap=True)
    for title in _FIGURES:
        grid.add_column(title, justify="right", no_wrap=True)
    for step in plan.steps:
        grid.add_row(step.name, step.kind, step.model or "", *_figures(step))
    return grid


def _figures(step: StepPlan) -> tuple[str, ...]:
    rows = "later" if step.rows is None else _count(step.rows, step.rows_are)
    if step.model is None:
        return rows, "", "", "", "", ""
    cost = "unknown" if step.cost_usd is None else f"{step.cost_usd:,.2f}"
    return (
        rows,
        _count(step.requests, step.requests_are),
        f"{step.prompt_tokens:,}",
        f"{step.completion_tokens:,}",
        cost,
        span(step.seconds),
    )


def _count(number: int, bound: Bound) -> str:
    return {"exact": "", "at most": "at most ", "unknown": "about "}[bound] + f"{number:,}"


def plan_notes(plan: Plan) -> list[str]:
    """What the figures of a plan rest on."""
    if plan.token_method is None:
        return []
    notes = [
        *plan.notes,
        f"tokens: {plan.token_method}; time: {_time_method(plan)}",
    ]
    paid = [step for step in plan.steps if step.cost_usd and step.batch_usd is not None]
    direct, batch = sum(step.cost_usd or 0.0 for step in paid), sum(step.batch_usd or 0.0 for step in paid)
    if batch < direct:
        notes.append(f"together {direct:,.2f} USD; with `engine: batch` {batch:,.2f} USD")
    return notes


def _time_method(plan: Plan) -> str:
    measured = [step.measured for step in plan.steps if step.seconds is not None]
    here = "as fast as earlier runs on this machine"
    guess = f"a guess ({EMBEDDED_PER_S:g} requests/s in process, {ANSWER_S:g} s an answer elsewhere)"
    return here if measured and all(measured) else f"{here}, or {guess}" if any(measured) else guess


def span(seconds: float | None) -> str:
    """A duration as people say it.

    >>> span(42), span(3700), span(None)
    ('42 s', '1 h 02 min', 'unknown')
    """
    if seconds is None:
        return "unknown"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"

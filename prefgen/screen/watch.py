"""Looks on while a run works: a progress bar on a terminal, plain lines elsewhere, events as JSON for programs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from prefgen.engines.engine import Meter
from prefgen.flow.outcome import Outcome
from prefgen.flow.planned import Plan
from prefgen.judging.slots import PEOPLE
from prefgen.publish.configs import main_config, why_empty
from prefgen.publish.report.words import interval, signed
from prefgen.screen.audit import audit_lines
from prefgen.screen.console import PlanGrid, plan_notes, print_json, span
from prefgen.screen.unwritten import Unwritten
from prefgen.store.finished import Lineage
from prefgen.store.folder import RunFolder
from prefgen.store.leakage import INSTALL, Leakage
from prefgen.store.tables import Account

_LINE_SECONDS = 15.0
"""Between two progress lines where there is no terminal."""


class Lines:
    """A reporter that writes for people, on stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rate = Rate()
        self._line_at = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._asked: tuple[str, Meter] | None = None
        self._lock = threading.RLock()
        self._closed = threading.Event()
        threading.Thread(target=self._look_again, daemon=True).start()

    def planned(self, plan: Plan, folder: Path) -> None:
        self._console.print(PlanGrid(plan))
        for note in plan_notes(plan):
            self.says(note)
        self.says(f"writing to {folder}")

    def begins(self, step: str, kind: str) -> None:  # noqa: ARG002 - people see the step when it asks or is made
        self._end_bar()
        self._rate = Rate()
        self._line_at = time.monotonic()

    def asks(self, step: str, meter: Meter) -> None:
        with self._lock:
            self._asked = (step, meter)
            self._show(step, meter)

    def _look_again(self) -> None:
        """Show the meter of a step whose server answers nothing, too: nobody else would move the line then."""
        while not self._closed.wait(1.0):
            with self._lock:
                if self._asked is not None:
                    with contextlib.suppress(Unwritten):  # who writes next tells it where it is heard
                        self._show(*self._asked)

    def _show(self, step: str, meter: Meter) -> None:
        text = self._rate.line(meter)
        if self._console.is_terminal:
            self._show_bar(step, meter, text)
        elif time.monotonic() - self._line_at >= _LINE_SECONDS:
            self._line_at = time.monotonic()
            done = meter.stored + meter.answered + meter.failed
            self.says(f"{step}: {done:,}/{meter.planned:,}  {text}")

    def _show_bar(self, step: str, meter: Meter, text: str) -> None:
        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(24),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
                TextColumn("{task.fields[line]}"),
            )
            self._bar = Progress(*columns, console=self._console, transient=True, refresh_per_second=4)
            self._task = self._bar.add_task(step, total=meter.planned, line="")
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, completed=meter.stored + meter.answered + meter.failed, line=text)

    def _end_bar(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.stop()
                self._bar = self._task = None

    def made(self, account: Account) -> None:
        self._asked = None
        self._end_bar()
        for line in account_lines(account):
            self.says(line)

    def says(self, sentence: str) -> None:
        self._end_bar()
        self._console.print(sentence, markup=False, soft_wrap=True)

    def done(self, outcome: Outcome) -> None:
        self._end_bar()
        self._console.print()
        for line in outcome_lines(outcome):
            self.says(line)

    def close(self) -> None:
        self._closed.set()
        self._asked = None
        self._end_bar()


class Events(Lines):
    """A reporter that writes one JSON event a line on stdout, for schedulers; people still get a few lines."""

    def planned(self, plan: Plan, folder: Path) -> None:
        print_json({"event": "plan", "folder": str(folder), "steps": [asdict(step) for step in plan.steps]})

    def begins(self, step: str, kind: str) -> None:
        super().begins(step, kind)
        print_json({"event": "begin", "step": step, "kind": kind})

    def _show(self, step: str, meter: Meter) -> None:
        if time.monotonic() - self._line_at >= 1.0:
            self._line_at = time.monotonic()
            print_json({"event": "progress", "step": step, **asdict(meter)})

    def made(self, account: Account) -> None:
        self._asked = None
        print_json({"event": "made", **account})

    def says(self, sentence: str) -> None:
        print_json({"event": "note", "text": sentence})

    def done(self, outcome: Outcome) -> None:
        print_json(
            {
                "event": "done",
                "folder": str(outcome.folder.path),
                "fresh": outcome.fresh,
                "configs": outcome.manifest["configs"],
                "gates": outcome.manifest["gates"],
            }
        )


@contextlib.contextmanager
def watcher_for(console: Console, *, as_json: bool = False, silent: bool = False) -> Iterator[Lines]:
    """The reporter that fits the screen; its bar is taken down whatever happens."""
    if silent:
        console = Console(quiet=True)
    reporter = Events(console) if as_json else Lines(console)
    try:
        yield reporter
    finally:
        reporter.close()


class Rate:
    """Rate and time left, over the last half minute."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def line(self, meter: Meter) -> str:
        """Requests a second, in flight, tokens, cost, 429s, time left."""
        now, done = time.monotonic(), meter.answered + meter.failed
        self._seen = [(at, count) for at, count in self._seen if now - at < 30.0] + [(now, done)]
        first_at, first = self._seen[0]
        elapsed = now - first_at
        rate = (done - first) / elapsed if elapsed > 0.5 else 0.0
        left = meter.planned - meter.stored - done
        parts = [f"{rate:,.1f}/s", f"{meter.in_flight} in flight"] if meter.in_flight else [f"{rate:,.1f}/s"]
        if meter.prompt_tokens:
            parts.append(f"{(meter.prompt_tokens + meter.completion_tokens) / 1000:,.0f}k tokens")
        if meter.cost_usd:
            whole = meter.cost_usd * (meter.planned - meter.stored) / done if done else 0.0
            parts.append(f"{meter.cost_usd:.2f} of about {whole:.2f} USD")
        if meter.throttled:
            parts.append(f"{meter.throttled} x 429")
        if meter.retries:
            parts.append(f"{meter.retries:,} asked again, most for: {meter.retried_for}")
        if meter.failed:
            parts.append(f"{meter.failed} failed")
        parts.append(f"{span(left / rate) if rate else '?'} left")
        if meter.waiting:
            parts.append(meter.waiting)
        return ", ".join(parts)


def account_lines(account: Account) -> Iterator[str]:
    """A step in one line: rows, time, money; then what was dropped and why."""
    line = f"{account['name']}: {account['rows']:,} rows in {account['seconds']:.1f} s"
    if account["model"] is not None:
        asked = account["requests"]
        line += f", {asked['sent']:,} asked, {asked['stored']:,} stored already"
        if account["cost_usd"] is not None:
            line += f", {account['cost_usd']:.2f} USD"
    yield line
    for note in (*account.get("notes", ()), *account.get("nonresponse", ())):
        yield f"  {note}"
    if account["dropped"] and account["kind"] in ("keep", "judge"):
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in account["dropped"].items())
        yield f"  kept {account['kept']:,}, dropped {sum(account['dropped'].values()):,}: {reasons}"
    yield from _measure_lines(account["summary"])
    if account["kind"] == "split":
        yield from _leakage_lines(account["summary"])
    if account["kind"] == "draw" and "audit" in account["summary"]:
        for text in audit_lines(account["summary"]):
            yield f"  {text}"


def _measure_lines(summary: dict[str, Any]) -> Iterator[str]:
    if "position_bias" not in summary:
        return
    bias, first = summary["position_bias"], summary["first_slot"]
    if bias["value"] is not None:
        said = interval(bias, told=signed)
        yield f"  position bias {said}: 100 % always takes the first slot, 0 none; people about {signed(PEOPLE)}"
    if first["value"] is not None:
        yield f"  first slot named in {first['value']:.0%} of the answers that name one"
    shown = (
        ("order_agreement", "orders agree on {:.0%} of persona x item"),
        ("repeat_agreement", "repeats agree {:.0%}"),
        ("p_read", "the choices hold {:.0%} of the token probabilities"),
        ("certainty_mean", "mean certainty {:.0f}"),
    )
    for name, text in shown:
        if summary.get(name) is not None:
            yield "  " + text.format(summary[name])


def _leakage_lines(summary: dict[str, Any]) -> Iterator[str]:
    if "near_duplicates" not in summary:
        return  # no questions to compare
    leakage = Leakage.of_summary(summary)
    if leakage is None:
        yield f"  near-duplicates across the split were not counted: {INSTALL}"
    elif leakage.held_out:
        yield (
            f"  {leakage.near:,} of {leakage.held_out:,} questions held out are nearly the same as one of train ({leakage.share:.1%})"
        )


def outcome_lines(outcome: Outcome) -> Sequence[str]:
    """The last lines of a run: where everything is."""
    folder: RunFolder = outcome.folder
    manifest = outcome.manifest
    lines = [] if outcome.fresh else ["finished already; nothing was asked and nothing written"]
    for config in manifest["configs"]:
        splits = ", ".join(f"{split} {rows:,}" for split, rows in config["splits"].items() if rows)
        lines.append(f"data/{config['name']}: {splits or f'empty: {why_empty(manifest, config)}'}")
    lines += _speaking_line(manifest)
    report = f"; report: {folder.report_path}" if folder.report_path.exists() else ""
    lines.append(f"{manifest['seconds']:.0f} s; card: {folder.card_path}{report}")
    main = main_config(manifest)
    if main is None:
        return [*lines, "there is nothing to load: no export has a row"]
    return [*lines, f"load it: datasets.load_dataset({str(folder.path)!r}, {main!r})"]


def _speaking_line(manifest: Mapping[str, Any]) -> list[str]:
    """Which of several judge steps the card and the report speak of."""
    lineage = Lineage.of_manifest(manifest)
    step, others = lineage.judgments, lineage.other_judges
    if not others:
        return []
    were = "was" if len(others) == 1 else "were"
    return [
        f"judgments: those of {step} ({', '.join(others)} {were} judged too); `publish: {{judgments: STEP}}` chooses"
    ]

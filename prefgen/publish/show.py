"""A finished run on the terminal: what was made and dropped, what to know first, and some judgments to read."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from prefgen.publish.report import read_findings
from prefgen.publish.report.bars import flow_of
from prefgen.publish.report.headline import Headline
from prefgen.publish.report.headlines import headlines
from prefgen.publish.report.page import lead_of
from prefgen.publish.report.readings import Reading, read_judgments
from prefgen.publish.report.words import Record, count, duration, interval, percent, short, signed
from prefgen.publish.stopped import is_stopped, stopped_facts, stopped_lines
from prefgen.publish.talked import conversations, talked_steps
from prefgen.store.folder import RunFolder

_MARKS = {"grave": ("!", "red"), "plain": ("-", "default"), "good": ("+", "green")}
_BARS = 24
_MOST_TEXT = 600
_OF_STEP = ("name", "kind", "grain", "rows", "kept", "dropped", "requests", "tokens", "cost_usd", "seconds")
_OF_BIAS = ("position_bias", "people", "first_slot", "fair_first_slot", "changes", "noise")
_OF_CONTROL = ("persona_id", "control", "differs", "changes_mind")


def summary_of(run: Path) -> dict[str, Any]:
    """The same for programs: name, status, lead, steps, gates, exports, headlines and the numbers behind them.

    `unfinished` is null for a run that came to its end, else how far it is.
    """
    folder = RunFolder(run)
    manifest = folder.read_manifest()
    findings = read_findings(folder, manifest)
    stopped = is_stopped(manifest)
    agreement, bias = findings.get("agreement"), findings.get("position_bias")
    return {
        "name": manifest["name"],
        "status": manifest["status"],
        "fingerprint": manifest["fingerprint"],
        "seconds": manifest.get("seconds"),
        "unfinished": stopped_facts(folder) if stopped else None,
        "lead": next(stopped_lines(folder)) if stopped else lead_of(manifest, findings) if "steps" in manifest else "",
        "steps": [{key: step.get(key) for key in _OF_STEP} for step in manifest.get("steps", [])],
        "gates": manifest.get("gates", []),
        "exports": {config["name"]: config["splits"] for config in manifest.get("configs", [])},
        "headlines": [
            {"about": one.key, "weight": one.weight, "says": one.sentence} for one in headlines(manifest, findings)
        ],
        "agreement": agreement and {"alpha": agreement["alpha"], "unanimous": agreement["unanimous"]},
        "position_bias": bias and {key: bias[key] for key in _OF_BIAS},
        "controls": [{key: one[key] for key in _OF_CONTROL} for one in findings.get("controls") or []],
    }


def show_run(run: Path, console: Console, *, rows: int = 5) -> None:
    """Print a run: `rows` judgments in full at the end. Colours and lines only where the console has them."""
    folder = RunFolder(run)
    manifest = folder.read_manifest()
    console.print(Text(plain(str(manifest["name"])), style="bold"), Text(f"  {manifest['status']}"))
    if is_stopped(manifest):
        for line in stopped_lines(folder):
            console.print(plain(line), markup=False, soft_wrap=True)
        return
    findings = read_findings(folder, manifest)
    console.print(plain(lead_of(manifest, findings)), markup=False)
    console.print(_steps(manifest))
    _print_flow(console, manifest)
    _print_headlines(console, headlines(manifest, findings))
    if findings.get("matrix"):
        console.print(_personas(findings))
    for reading in read_judgments(folder, manifest, most=max(rows, 1))[:rows] if rows else []:
        _print_reading(console, reading)
    for one in talked_steps(manifest):
        console.print(Text(plain(one.name), style="bold"), plain(f"  {'; '.join(one.said)}"), markup=False)
        for turns in conversations(folder, one.name, rows):
            _print_turns(console, turns)
    page = folder.report_path
    if page.is_file():
        console.print(f"figures and more judgments: {page}", markup=False)


def plain(text: str) -> str:
    """Text that cannot move the cursor, change colours or turn the line around: control characters become spaces.

    >>> plain("a\\x1b[31mb")
    'a [31mb'
    """
    return "".join(
        letter if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co") else " "
        for letter in text
    )


def _steps(manifest: Record) -> Grid:
    grid = Grid("step", "kind", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("rows", "kept", "requests", "time"):
        grid.add_column(name, justify="right")
    grid.add_column("dropped for")
    for step in manifest["steps"]:
        why = ", ".join(f"{reason} {count(n)}" for reason, n in step["dropped"].items())
        planned = step.get("requests", {}).get("planned")
        asked = count(planned) if planned else ""
        cells = (
            step["name"],
            step["kind"],
            count(step["rows"]),
            count(step["kept"]),
            asked,
            duration(step["seconds"]),
            why,
        )
        grid.add_row(*(Text(plain(cell)) for cell in cells))
    return grid


def _print_flow(console: Console, manifest: Record) -> None:
    bars = flow_of(manifest)
    most = max((rows for _, rows, _, _ in bars), default=0)
    full, rest = ("█", "░") if console.encoding.lower().startswith("utf") else ("#", ".")
    for name, rows, kept, _ in bars:
        solid, faint = round(_BARS * kept / most), round(_BARS * (rows - kept) / most)
        bar = Text(full * solid, style="blue").append(rest * faint, style="red").append(" " * (_BARS - solid - faint))
        console.print(bar.append(f" {percent(kept / rows):>6}  {plain(short(name, 44))}", style="default"))
    if bars:
        console.print()


def _print_headlines(console: Console, said: list[Headline]) -> None:
    for one in said:
        mark, style = _MARKS[one.weight]
        console.print(Text(f"{mark} ", style=style).append(plain(one.sentence), style="default"), soft_wrap=False)
    console.print()


def _personas(findings: Record) -> Grid:
    """One line a persona: its habit, and how far it is from the control."""
    grid = Grid("persona", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("position bias", "differs from no persona", "alike", "most like"):
        grid.add_column(name, justify="left" if name == "most like" else "right")
    effects = {one["persona_id"]: one for one in findings["controls"] if one["control"] == "none"}
    nearest = _nearest(findings)
    for one in findings["position_bias"]["by_persona"][:40]:
        effect, near = effects.get(one["persona_id"]), nearest.get(one["persona_id"])
        label = short(one["persona_id"], 30) + (f" ({one['control']})" if one["control"] else "")
        cells = (
            label,
            interval(one["position_bias"], told=signed),
            interval(effect["differs"]) if effect else "",
            percent(near[0]) if near else "",
            short(near[1], 24) if near else "",
        )
        grid.add_row(*(Text(plain(cell)) for cell in cells))
    return grid


def _nearest(findings: Record) -> dict[str, tuple[float, str]]:
    """Per persona the share of same choices with the persona most like it, and its name."""
    found: dict[str, tuple[float, str]] = {}
    pairs: list[Mapping[str, Any]] = (findings["agreement"] or {"pairs": []})["pairs"]
    for pair in pairs:
        share = pair["same"]["value"]
        for me, other in ((pair["first"], pair["second"]), (pair["second"], pair["first"])):
            if share is not None and share > found.get(me, (-1.0, ""))[0]:
                found[me] = (share, other)
    return found


def _print_reading(console: Console, one: Reading) -> None:
    state = f"dropped: {one.dropped}" if one.dropped else one.status
    where = ", ".join(f"{name}: {value}" for name, value in one.coordinates.items())
    console.print(
        Text(plain(one.persona_id), style="bold").append(f"  {plain(state)}", style="red" if one.dropped else "green")
    )
    if where:
        console.print(Padding(Text(plain(where), style="dim"), (0, 0, 0, 2)))
    console.print(Padding(Text(_brief(one.prompt)), (0, 0, 0, 2)))
    for option in one.options:
        mark = ">" if option.chosen else " "
        p = f"{percent(option.p):>6}" if option.p is not None else " " * 6
        console.print(Padding(Text(f"{mark} {option.letter} {p}  {_brief(option.text)}"), (0, 0, 0, 2)))
    for page in one.presentations:
        console.print(
            Padding(Text(plain(f"{page.order}, slots show {page.slots}: {page.verdict}"), style="dim"), (0, 0, 0, 4))
        )
    console.print()


def _print_turns(console: Console, turns: Sequence[tuple[str, str]]) -> None:
    for side, said in turns:
        line = Text(plain(side), style="bold").append(f"  {_brief(said)}", style="default")
        console.print(Padding(line, (0, 0, 0, 2)))
    console.print()


def _brief(text: str) -> str:
    return plain(text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…")

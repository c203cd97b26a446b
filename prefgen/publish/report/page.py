"""What stands on the page, in words: everything that the template shows, made from manifest, findings and tables."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from prefgen.publish.judged import judged_steps
from prefgen.publish.report.analysed import analysed
from prefgen.publish.report.calibrating import KEY, calibration_lines
from prefgen.publish.report.canvas import Print
from prefgen.publish.report.drawn import KEYS
from prefgen.publish.report.headlines import headlines, judged
from prefgen.publish.report.limits import limits_of
from prefgen.publish.report.people import describe_people
from prefgen.publish.report.readings import TO_READ, Reading
from prefgen.publish.report.words import Record, count, decimal, duration, listed, number, percent, signed, size
from prefgen.publish.talked import talked_steps
from prefgen.store.finished import Lineage, answered_by
from prefgen.store.folder import RunFolder

NOTHING_ASKED = dict.fromkeys(("planned", "failed", "retries", "throttled", "prompt", "cached", "completion"), 0)
"""Requests and tokens of a step that asks no model."""
_MOST_FILTER_VALUES = 60


def render_page(
    folder: RunFolder, manifest: Record, findings: Record, prints: Sequence[Print], readings: Sequence[Reading]
) -> str:
    """The whole page as HTML: strangers' text escaped, no address outside itself."""
    environment = _environment()
    style, script = (environment.get_template(f"page.{kind}.jinja").render() for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    people, figures = describe_people(folder, manifest), _figures(prints)
    return environment.get_template("page.html.jinja").render(
        manifest=manifest,
        findings=findings,
        style=style,
        script=script,
        script_hash=f"sha256-{digest}",
        people=people,
        percent=percent,
        **_words(manifest, findings),
        **figures,
        **_to_read(findings, readings),
        sections=_sections(manifest, findings, figures, readings, people),
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _words(manifest: Record, findings: Record) -> dict[str, Any]:
    """What is said of the run."""
    return {
        "lead": lead_of(manifest, findings),
        "tiles": tiles_of(manifest, findings),
        "headlines": headlines(manifest, findings),
        "steps": [_step(step) for step in manifest["steps"]],
        "gates": [{"passed": gate["passed"], "text": _gate(gate)} for gate in manifest.get("gates", [])],
        "calibration_lines": calibration_lines(findings),
        "analyses": analysed(findings),
        "n_judgments": count((judged(manifest) or {"rows": 0})["rows"]),
        "judged_steps": judged_steps(manifest),
        "talked_steps": talked_steps(manifest),
        "limits": limits_of(findings, answered_by(manifest)),
        "provenance": _provenance(manifest),
        "models": _models(manifest),
        "files": [
            {"path": f["path"], "rows": count(f["rows"]), "size": size(f["bytes"]), "sha256": f["sha256"]}
            for f in manifest.get("files", [])
        ],
    }


def _figures(prints: Sequence[Print]) -> dict[str, list[Print]]:
    """The figures by the part of the page that they stand in."""
    calibrated = [one for one in prints if one.key.startswith(KEY)]
    drawn = [one for one in prints if one.key.startswith(KEYS)]
    answers = [one for one in prints if one not in calibrated and one not in drawn]
    return {"prints": answers, "drawn": drawn, "calibrated": calibrated}


def _to_read(findings: Record, readings: Sequence[Reading]) -> dict[str, Any]:
    """Judgments to read, and what they can be filtered by."""
    places = _filter_coordinates(findings)
    filters = _filters(readings, places)
    return {"readings": readings, "to_read": TO_READ, "filter_places": places, "filters": filters}


def lead_of(manifest: Record, findings: Record) -> str:
    """What the run is, in one sentence."""
    lineage, by_name = Lineage.of_manifest(manifest), {step["name"]: step for step in manifest["steps"]}
    name = lineage.judgments
    if name is None:
        made = [f"{count(step['kept'])} rows of {step['name']}" for step in manifest["steps"]]
        return f"A run of {len(manifest['steps'])} steps that made {listed(made)}." if made else "A run without steps."
    judge, personas, items = (by_name.get(one or "") for one in (lineage.judge, lineage.personas, lineage.items))
    model = _BY[answered_by(manifest)] or (
        _model_name(manifest, judge["model"]) if judge and judge["model"] else "a model"
    )
    who = _who(personas, controls=(findings.get("matrix") or {"controls": 0})["controls"])
    what = f" on {count(items['rows'])} items" if items else ""
    others = lineage.other_judges
    which = (
        f" This speaks of {name}; {listed(others)} {'was' if len(others) == 1 else 'were'} judged too."
        if others
        else ""
    )
    return f"{count((judge or by_name[name])['rows'])} judgments by {model}{who}{what}.{which}"


_BY = {"model": "", "writer": "", "nobody": "", "people": "people themselves", "utility": "a utility"}
"""Who judged, where it was no model."""


def _who(personas: Record | None, *, controls: int) -> str:
    who = f" as {count(personas['rows'] - controls)} personas" if personas else ""
    return who + (f" and {controls} control{'s' * (controls != 1)}" if controls else "")


def _model_name(manifest: Record, name: str) -> str:
    spec = manifest.get("models", {}).get(name, {})
    return str(spec.get("model") or spec.get("engine") or name)


def tiles_of(manifest: Record, findings: Record) -> list[tuple[str, str]]:
    """The numbers on top, each with its word."""
    step = judged(manifest)
    tiles: list[tuple[str, str]] = []
    if step is not None and step["rows"]:
        tiles += [(count(step["rows"]), "judgments"), (percent(step["kept"] / step["rows"]), "kept")]
    matrix = findings.get("matrix")
    if matrix:
        controls = f" and {matrix['controls']} control{'s' * (matrix['controls'] != 1)}" if matrix["controls"] else ""
        drawn = matrix["drawn_from"]
        tiles += [
            (count(max(matrix["personas"], drawn[0] - matrix["controls"])), "personas" + controls),
            (count(drawn[1]), "items"),
        ]
        bias = findings["position_bias"]["position_bias"]["value"]
        tiles += [(signed(bias), "position bias")] if bias is not None else []
        alpha = (findings["agreement"] or {"alpha": {"value": None}})["alpha"]["value"]
        tiles += [(decimal(alpha), "alpha between personas")] if alpha is not None else []
    exported = sum(rows for config in manifest.get("configs", []) for rows in config["splits"].values())
    tiles += (
        [(count(exported), f"rows in {len(manifest['configs'])} export{'s' * (len(manifest['configs']) != 1)}")]
        if exported
        else []
    )
    costs = [step["cost_usd"] for step in manifest["steps"] if step.get("cost_usd")]
    tiles += [(f"${sum(costs):,.2f}", "spent")] if costs else []
    return tiles


def _sections(
    manifest: Record, findings: Record, figures: Mapping[str, Sequence[Print]], readings: Any, people: Any
) -> list[tuple[str, str]]:
    wanted = [
        ("know", "What to know", bool(headlines(manifest, findings))),
        ("flow", "Made and dropped", True),
        ("judged", "Steps that judged", bool(judged_steps(manifest))),
        ("figures", "Figures", bool(figures["prints"])),
        ("calibration", "Calibration", bool(figures["calibrated"])),
        ("analyses", "Analyses", bool(findings.get("analyses"))),
        ("people", "Personas", bool(people)),
        ("read", "Judgments to read", bool(readings)),
        ("limits", "Limits", True),
        ("provenance", "Provenance", True),
    ]
    return [(key, name) for key, name, there in wanted if there]


def _step(step: Record) -> dict[str, str]:
    asked, tokens = NOTHING_ASKED | step.get("requests", {}), NOTHING_ASKED | step.get("tokens", {})
    sent = [f"{count(asked[name])} {name}" for name in ("failed", "retries", "throttled") if asked[name]]
    total = tokens["prompt"] + tokens["completion"]
    cached = (
        f" ({percent(tokens['cached'] / tokens['prompt'])} cached)" if tokens["prompt"] and tokens["cached"] else ""
    )
    return {
        "name": step["name"],
        "kind": step["kind"],
        "model": step["model"] or "",
        "rows": count(step["rows"]),
        "kept": count(step["kept"]),
        "dropped": ", ".join(
            f"{reason} {count(n)}" for reason, n in sorted(step["dropped"].items(), key=lambda one: -one[1])
        ),
        "requests": count(asked["planned"]) + (f" ({', '.join(sent)})" if sent else "") if asked["planned"] else "",
        "tokens": count(total) + cached if total else "",
        "seconds": duration(step["seconds"]),
    }


def _gate(gate: Record) -> str:
    wanted = gate["wanted"] if isinstance(gate["wanted"], float) else count(gate["wanted"])
    return f"{gate['step']}: {gate['gate']} {wanted}, found {number(gate['found'])}"


def _filter_coordinates(findings: Record) -> dict[str, int]:
    """Coordinates to filter by, with the number of their data attribute (a coordinate's name may be anything)."""
    main = (findings.get("matrix") or {}).get("main", {})
    wanted = [main.get(role) for role in ("group", "group_type", "category", "dimension", "form")]
    return {name: place for place, name in enumerate(dict.fromkeys(name for name in wanted if name))}


def _filters(readings: Sequence[Reading], places: dict[str, int]) -> list[tuple[str, str, list[str]]]:
    """(data attribute, label, values) of every filter that has something to choose."""
    found = [
        ("persona", "persona", [one.persona_id for one in readings]),
        *((f"c{place}", name, [one.coordinates.get(name, "") for one in readings]) for name, place in places.items()),
        ("choice", "choice", [one.choice or "none" for one in readings]),
        ("status", "status", [one.status for one in readings]),
        ("kept", "kept", [one.dropped or "kept" for one in readings]),
    ]
    distinct = [
        (name, label, sorted({value for value in values if value})[:_MOST_FILTER_VALUES])
        for name, label, values in found
    ]
    return [one for one in distinct if len(one[2]) > 1]


def _provenance(manifest: Record) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return [
        ("status", manifest["status"]),
        ("started", manifest["started"]),
        ("took", duration(manifest["seconds"])),
        ("seed", str(manifest["seed"])),
        ("fingerprint", manifest["fingerprint"]),
        ("prefgen", manifest["prefgen"]),
        ("with", versions),
        (
            "again",
            "prefgen run pipeline.yaml, in this folder: the same pipeline, seed and responses give the same bytes",
        ),
    ]


def _models(manifest: Record) -> list[tuple[str, str]]:
    return [
        (
            name,
            ", ".join(
                f"{key}: {value if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
                for key, value in spec.items()
            ),
        )
        for name, spec in manifest.get("models", {}).items()
    ]

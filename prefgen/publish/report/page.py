"""What stands on the page, in words: everything that the template shows, made from manifest, findings and tables."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from prefgen.publish.report.calibrating import KEY, calibration_lines
from prefgen.publish.report.canvas import Print
from prefgen.publish.report.drawn import KEYS
from prefgen.publish.report.headlines import headlines, judged
from prefgen.publish.report.people import describe_people
from prefgen.publish.report.readings import TO_READ, Reading
from prefgen.publish.report.words import Record, count, decimal, duration, listed, number, percent, short, signed, size
from prefgen.store.finished import Lineage
from prefgen.store.folder import RunFolder

NOTHING_ASKED = dict.fromkeys(("planned", "failed", "retries", "throttled", "prompt", "cached", "completion"), 0)
"""Requests and tokens of a step that asks no model."""
_MOST_FILTER_VALUES = 60


def render_page(
    folder: RunFolder, manifest: Record, findings: Record, prints: Sequence[Print], readings: Sequence[Reading]
) -> str:
    """The whole page as HTML: strangers' text escaped, no address outside itself."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (environment.get_template(f"page.{kind}.jinja").render() for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    places = _filter_coordinates(findings)
    people = describe_people(folder, manifest)
    calibrated = [one for one in prints if one.key.startswith(KEY)]
    drawn = [one for one in prints if one.key.startswith(KEYS)]
    answers = [one for one in prints if one not in calibrated and one not in drawn]
    return environment.get_template("page.html.jinja").render(
        manifest=manifest,
        findings=findings,
        style=style,
        script=script,
        script_hash=f"sha256-{digest}",
        lead=lead_of(manifest, findings),
        tiles=tiles_of(manifest, findings),
        headlines=headlines(manifest, findings),
        sections=_sections(manifest, findings, answers, calibrated, readings, people),
        steps=[_step(step) for step in manifest["steps"]],
        gates=[{"passed": gate["passed"], "text": _gate(gate)} for gate in manifest.get("gates", [])],
        prints=answers,
        drawn=drawn,
        calibrated=calibrated,
        calibration_lines=calibration_lines(findings),
        people=people,
        readings=readings,
        to_read=TO_READ,
        filter_places=places,
        filters=_filters(readings, places),
        n_judgments=count((judged(manifest) or {"rows": 0})["rows"]),
        limits=limits_of(findings),
        provenance=_provenance(manifest),
        models=_models(manifest),
        files=[
            {"path": f["path"], "rows": count(f["rows"]), "size": size(f["bytes"]), "sha256": f["sha256"]}
            for f in manifest.get("files", [])
        ],
        percent=percent,
    )


def lead_of(manifest: Record, findings: Record) -> str:
    """What the run is, in one sentence."""
    lineage, by_name = Lineage.of_manifest(manifest), {step["name"]: step for step in manifest["steps"]}
    name = lineage.judgments
    if name is None:
        made = [f"{count(step['kept'])} rows of {step['name']}" for step in manifest["steps"]]
        return f"A run of {len(manifest['steps'])} steps that made {listed(made)}." if made else "A run without steps."
    judge, personas, items = (
        by_name.get(of(name) or "") for of in (lineage.judge_of, lineage.personas_of, lineage.items_of)
    )
    model = _model_name(manifest, judge["model"]) if judge and judge["model"] else "a model"
    controls = (findings.get("sheet") or {"controls": 0})["controls"]
    who = f" as {count(personas['rows'] - controls)} personas" if personas else ""
    who += f" and {controls} control{'s' * (controls != 1)}" if controls else ""
    what = f" on {count(items['rows'])} items" if items else ""
    others = [other for other in lineage.judges if judge and other != judge["name"]]
    which = (
        f" This speaks of {name}; {listed(others)} {'was' if len(others) == 1 else 'were'} judged too."
        if others
        else ""
    )
    return f"{count((judge or by_name[name])['rows'])} judgments by {model}{who}{what}.{which}"


def _model_name(manifest: Record, name: str) -> str:
    spec = manifest.get("models", {}).get(name, {})
    return str(spec.get("model") or spec.get("engine") or name)


def tiles_of(manifest: Record, findings: Record) -> list[tuple[str, str]]:
    """The numbers on top, each with its word."""
    step = judged(manifest)
    tiles: list[tuple[str, str]] = []
    if step is not None and step["rows"]:
        tiles += [(count(step["rows"]), "judgments"), (percent(step["kept"] / step["rows"]), "kept")]
    sheet = findings.get("sheet")
    if sheet:
        controls = f" and {sheet['controls']} control{'s' * (sheet['controls'] != 1)}" if sheet["controls"] else ""
        drawn = sheet["drawn_from"]
        tiles += [
            (count(max(sheet["personas"], drawn[0] - sheet["controls"])), "personas" + controls),
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
    manifest: Record, findings: Record, prints: Any, calibrated: Any, readings: Any, people: Any
) -> list[tuple[str, str]]:
    wanted = [
        ("know", "What to know", bool(headlines(manifest, findings))),
        ("flow", "Made and dropped", True),
        ("figures", "Figures", bool(prints)),
        ("calibration", "Calibration", bool(calibrated)),
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
    main = (findings.get("sheet") or {}).get("main", {})
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


def limits_of(findings: Record) -> list[str]:
    """What the numbers of this run cannot say."""
    said = [
        "Every persona is synthetic and every answer is a model's. Nothing here is evidence of what people of any kind think."
    ]
    sheet = findings.get("sheet")
    if not sheet:
        return said
    said.append(
        "Figures speak of all order-debiased answers, before filters; the published rows are those that were kept."
    )
    kept = findings.get("kept")
    if kept and kept["alpha"]["value"] is not None:
        said.append(
            f"Among the {count(kept['preferences'])} kept of {count(kept['of'])} answers, alpha between personas is {decimal(kept['alpha']['value'])}."
        )
    seen = [sheet["personas"] + sheet["twins"] + sheet["controls"], sheet["items"]]
    if seen[0] < sheet["drawn_from"][0] or seen[1] < sheet["drawn_from"][1]:
        said.append(
            f"The figures rest on a seeded draw of {count(seen[0])} of {count(sheet['drawn_from'][0])} personas and {count(seen[1])} of {count(sheet['drawn_from'][1])} items."
        )
    if sheet["twins"]:
        said.append(
            f"{count(sheet['twins'])} personas have the portrait of another: to the judge they are one respondent, and the figures count them as one."
        )
    if findings["position_bias"]["position_bias"]["value"] is None:
        said.append(
            "Items were not shown in orders that balance: what is content and what is position cannot be told apart."
        )
    if not sheet["controls"]:
        said.append(
            "No control persona was asked: how much of an answer is the persona and how much the judge is not known."
        )
    said.append(_spoken_of(sheet))
    return said


def _spoken_of(sheet: Record) -> str:
    """What intervals generalise over."""
    sampled = [short(name) for name in sheet["sampled"]]
    fixed = [short(name) for name in sheet["coordinates"] if name not in sheet["sampled"]]
    over = (
        f" and over the levels of {listed(sampled)}, as a sample of those that might have been asked about"
        if sampled
        else ""
    )
    just = (
        f" Of {listed(fixed)} they speak of just the levels that were asked, as of every level that is compared."
        if fixed
        else ""
    )
    return f"Intervals are 95 % and generalise over questions{over}.{just} They do not cover other judges, other wordings of a persona, or other people."


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


__all__ = ["lead_of", "limits_of", "render_page", "tiles_of"]

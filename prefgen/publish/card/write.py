"""Writes README.md of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prefgen.publish.card.columns import meaning
from prefgen.publish.card.facts import Facts, gather, judge_settings
from prefgen.publish.card.markdown import fenced, percent, plain
from prefgen.publish.card.metadata import front_matter
from prefgen.publish.configs import main_config, why_empty
from prefgen.publish.exports.presets import PRESETS
from prefgen.publish.judged import judged_steps
from prefgen.publish.public import shown_manifest
from prefgen.publish.talked import talked_steps
from prefgen.store.files import write_aside
from prefgen.store.finished import Lineage, answered_by, are_models
from prefgen.store.folder import RunFolder


def write_card(folder: RunFolder, manifest: Mapping[str, Any]) -> None:
    """Write RUN/README.md from the manifest and the data it names."""
    write_aside(folder.card_path, card_of(shown_manifest(manifest), gather(folder, manifest)).encode())


def card_of(manifest: Mapping[str, Any], facts: Facts) -> str:
    """The card as text. Whatever strangers wrote (titles, options, sources) shows as plain text."""
    title = manifest["publish"].get("title") or manifest["name"]
    body = _template().render(
        manifest={"appended": [], **manifest},
        facts=facts,
        title=title,
        judges=[
            {**judge, "orders": _orders(judge.get("orders", "balanced"))} for judge in judge_settings(facts.pipeline)
        ],
        speaks=_speaks(manifest),
        answered_by=answered_by(manifest),
        as_models=are_models(manifest),
        draws=[step for step in manifest["steps"] if step["kind"] in ("draw", "people")],
        judged=[step for step in manifest["steps"] if step["name"] in Lineage.of_manifest(manifest).judges],
        judged_steps=judged_steps(manifest),
        talked_steps=talked_steps(manifest),
        models=_models(manifest),
        configs=[_config(config, facts, manifest) for config in manifest["configs"]],
        year=str(manifest.get("finished") or manifest.get("started") or "")[:4],
        main=main_config(manifest),
    )
    return f"---\n{front_matter(manifest, facts.schemas, title)}---\n\n{body.strip()}\n"


def _template() -> Any:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # Markdown, not HTML: `plain` escapes both
    environment.filters.update(
        plain=plain, percent=percent, fenced=fenced, estimate=estimate, count=lambda number: f"{number:,}"
    )
    return environment.get_template("card.md.jinja")


def _speaks(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """The step whose judgments the card speaks of, its judge, and the other steps that judged."""
    lineage = Lineage.of_manifest(manifest)
    if lineage.judgments is None:
        return None
    return {"step": lineage.judgments, "judge": lineage.judge, "others": lineage.other_judges}


def _orders(said: Any) -> str:
    """`orders:` of a judge step in words: a rule, a list of rules, or `{prior: share}`."""
    if isinstance(said, Mapping):
        return f"all rotations on {percent(said.get('prior'))} of the items, one on each of the rest with the slot prior taken out"
    return said if isinstance(said, str) else ", ".join(map(str, said))


def estimate(found: object) -> str:
    """A share with its interval, signed where it may be below 0; a dash where it was not measured.

    >>> estimate({"value": 0.25, "low": 0.2, "high": 0.31, "n": 40}), estimate(None)
    ('25.0 % (20.0 % to 31.0 %, n = 40)', '\u2013')
    """
    if not isinstance(found, Mapping):
        return percent(found)
    if found.get("low") is None or found.get("high") is None:
        return percent(found.get("value"))
    return f"{percent(found['value'])} ({percent(found['low'])} to {percent(found['high'])}, n = {found['n']:,})"


def _config(config: Mapping[str, Any], facts: Facts, manifest: Mapping[str, Any]) -> dict[str, Any]:
    name, preset = config["name"], config["preset"]
    rows = sum(config["splits"].values())
    return {
        **config,
        "rows": rows,
        "effective": round(config["effective"]) if "effective" in config else None,
        "empty": "" if rows else why_empty(manifest, config),
        "about": PRESETS[preset].about,
        "reader": PRESETS[preset].reader,
        "columns": [(field.name, str(field.type), meaning(preset, field.name)) for field in facts.schemas[name]],
    }


def _models(manifest: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(name, model and revision, engine) of every model; addresses and keys are nobody's business."""
    return [
        (
            name,
            " ".join(str(part) for part in (model.get("model"), model.get("revision")) if part),
            str(model.get("engine")),
        )
        for name, model in manifest["models"].items()
    ]

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
from prefgen.publish.exports.presets import PRESETS
from prefgen.store.folder import RunFolder, write_aside


def write_card(folder: RunFolder, manifest: Mapping[str, Any]) -> None:
    """Write RUN/README.md from the manifest and the data it names."""
    write_aside(folder.card_path, card_of(manifest, gather(folder, manifest)).encode())


def card_of(manifest: Mapping[str, Any], facts: Facts) -> str:
    """The card as text. Whatever strangers wrote (titles, options, sources) shows as plain text."""
    title = manifest["publish"].get("title") or manifest["name"]
    body = _template().render(
        manifest={"appended": [], **manifest},
        facts=facts,
        title=title,
        judges=judge_settings(facts.pipeline),
        draws=[step for step in manifest["steps"] if step["kind"] == "draw"],
        judged=[step for step in manifest["steps"] if step["kind"] == "judge"],
        models=_models(manifest),
        configs=[_config(config, facts) for config in manifest["configs"]],
        year=str(manifest.get("finished") or "")[:4],
        default=manifest["configs"][0]["name"] if manifest["configs"] else "",
    )
    return f"---\n{front_matter(manifest, facts.schemas, title)}---\n\n{body.strip()}\n"


def _template() -> Any:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # Markdown, not HTML: `plain` escapes both
    environment.filters.update(plain=plain, percent=percent, fenced=fenced, count=lambda number: f"{number:,}")
    return environment.get_template("card.md.jinja")


def _config(config: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    name, preset = config["name"], config["preset"]
    return {
        **config,
        "rows": sum(config["splits"].values()),
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

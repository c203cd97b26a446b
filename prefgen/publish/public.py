"""What of a run goes out into the world: everything but the addresses and places that are nobody's business.

The run's manifest, tables and responses keep them. What is made to be shown (data/, the card, the report page) never
has them, and what is pushed is looked through once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from prefgen.errors import FileError
from prefgen.ids import content_id
from prefgen.publish.private import Private, file_name, is_place, said_in, without_addresses, without_places
from prefgen.store.folder import RunFolder

_PRIVATE = ("base_url", "api_key_env")
"""Keys of a model that say where and as whom it was asked, and not what was asked."""

_TOLD = {
    "notes": without_addresses,
    "nonresponse": without_addresses,
    "silence": without_addresses,
    "source": without_places,
}
"""Keys under which sentences stand that may name an address or a path; `silence` as older folders have it."""


def text_of_run(path: Path) -> str:
    """A text that a run wrote. FileError where it cannot be read, or is no text any more."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(
            f"{path}: cannot be read ({type(error).__name__})", fix="run the pipeline again: it is written anew"
        ) from None


def public_pipeline(text: str) -> str:
    """A resolved pipeline without addresses of servers, and with the names alone of files outside of the run."""
    said = yaml.safe_load(text)
    if not isinstance(said, dict) or not isinstance(said.get("models"), dict):
        return text
    private = _private(said["models"])
    said["models"] = _public_models(said["models"])
    if isinstance(said.get("steps"), dict):
        said["steps"] = {name: _public_step(step) for name, step in said["steps"].items()}
    if isinstance(said.get("calibrate"), str):
        said["calibrate"] = _public_place(said["calibrate"])
    return yaml.safe_dump(_mapped(said, private.out_of), sort_keys=False, allow_unicode=True, width=100)


def shown_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest as it is shown to others, on the card and in the report: without addresses and without paths."""
    private = _private(manifest.get("models", {}))
    told = {
        **manifest,
        "models": _public_models(manifest["models"]),
        "steps": [_told(step) for step in manifest["steps"]],
    }
    shown: dict[str, Any] = _mapped(told, private.out_of)
    return shown


def public_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest as it is shown, with the files that are published as data only.

    Adds `version`, the hash of the data of the run that began the dataset.
    """
    files = [entry for entry in manifest["files"] if entry["path"].startswith("data/")]
    return {**shown_manifest(manifest), "files": files, "version": version_of(manifest)}


def public_page(text: str, folder: RunFolder, manifest: Mapping[str, Any]) -> str:
    """A card or report page without the addresses of the run's models and without paths of this machine's user.

    Those that notes and failures of the run name are taken out too: an earlier version wrote them into its pages.
    """
    sentences = [one for step in manifest["steps"] for one in _sentences_of(step, folder)]
    return _private(manifest["models"], folder, sentences).out_of(text)


def public_rows(judgments: pl.DataFrame) -> pl.DataFrame:
    """Judgments whose `failure` names no address, and whose `model` is no path."""
    changed = []
    for name, public in _said_of_judgments().items():
        found = judgments[name].drop_nulls().unique().to_list() if name in judgments.columns else []
        new = {text: public(text) for text in found if public(text) != text}
        changed += [pl.col(name).replace(new)] if new else []
    return judgments.with_columns(changed) if changed else judgments


def check_rows(folder: RunFolder, manifest: Mapping[str, Any]) -> None:
    """FileError where judgments in data/ name an address or a path, as those of an earlier version may."""
    names = [config["name"] for config in manifest["configs"] if config["preset"] == "judgments"]
    for path in sorted(path for name in names for path in (folder.data / name).glob("*.parquet")):
        rows = pl.scan_parquet(path)
        for column, public in _said_of_judgments().items():
            if column not in rows.collect_schema():
                continue
            found = rows.select(pl.col(column).drop_nulls().unique()).collect(engine="streaming")[column]
            odd = next((text for text in found.sort() if public(text) != text), None)
            if odd is not None:
                raise FileError(
                    f"{path}: {column} names an address or a place of a machine, here in brackets or as a file alone: {public(odd)!r:.200}",
                    fix=f"remove {folder.data} and run the pipeline again: data, card and report are written anew without them, "
                    "and what was answered is kept",
                )


def _said_of_judgments() -> Mapping[str, Callable[[str], str]]:
    return {"failure": without_addresses, "model": _public_place}


def version_of(manifest: Mapping[str, Any]) -> str:
    """Name of a version: the hash of its data files. The same data are the same version, whoever pushes them."""
    files = sorted((entry["path"], entry["sha256"]) for entry in manifest["files"] if entry["path"].startswith("data/"))
    return content_id("v", files)[:14]


def _sentences_of(step: Mapping[str, Any], folder: RunFolder) -> list[str]:
    """Those of a step in which a program speaks of an exchange."""
    notes = [*step.get("notes", ()), *step.get("nonresponse", ()), *step["summary"].get("notes", ())]
    name = step["name"]
    if step["grain"] != "judgments" or not folder.tables.has(name) or folder.tables.is_damaged(name):
        return notes
    failures = folder.tables.read(name, check=False).scan().select(pl.col("failure").drop_nulls().unique())
    return notes + failures.collect(engine="streaming")["failure"].to_list()


def _private(models: Mapping[str, Any], folder: RunFolder | None = None, sentences: Iterable[str] = ()) -> Private:
    urls = [model.get("base_url") for model in models.values() if isinstance(model, dict)]
    flat = [url for one in urls for url in (one if isinstance(one, list) else [one]) if isinstance(url, str)]
    addresses, folders = said_in("\n".join(sentences))
    return Private.of(flat, folders if folder is None else {*folders, folder.path.resolve()}, addresses)


def _public_models(models: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _public_model(model) if isinstance(model, dict) else model for name, model in models.items()}


def _public_model(model: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: _mapped(value, _public_place) for key, value in model.items() if key not in _PRIVATE}
    named = {"gguf": file_name(str(kept["gguf"]))} if "gguf" in kept else {}
    return kept | named | ({"responses": "responses.sqlite"} if "responses" in kept else {})


def _public_step(step: Any) -> Any:
    """A step as written; rows and texts that stand in the pipeline itself are data, and stay."""
    if not isinstance(step, dict):
        return step
    inline = {key: value for key, value in step.items() if key == "table" and not isinstance(value, str)}
    return {**_mapped(step, _public_place), **inline}


def _public_place(text: str) -> str:
    return file_name(text) if is_place(text) else text


def _told(account: Any) -> Any:
    """An account whose sentences name no address and no path."""
    if isinstance(account, list):
        return [_told(one) for one in account]
    if not isinstance(account, dict):
        return account
    return {key: _mapped(value, _TOLD[key]) if key in _TOLD else _told(value) for key, value in account.items()}


def _mapped(value: Any, public: Callable[[str], str]) -> Any:
    """A value of JSON with every text in it as `public` says it."""
    if isinstance(value, str):
        return public(value)
    if isinstance(value, dict):
        return {key: _mapped(one, public) for key, one in value.items()}
    return [_mapped(one, public) for one in value] if isinstance(value, list) else value

"""What an earlier run left in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from prefgen.errors import FileError, UsageError
from prefgen.flow.planned import Made
from prefgen.spec.pipeline import Pipeline
from prefgen.store.folder import RunFolder
from prefgen.store.manifest import is_as_listed
from prefgen.store.tables import Tables


def standing(tables: Tables, prints: Mapping[str, str], step: str) -> Made | None:
    """A step's table as an earlier run of just this step left it."""
    account = tables.account(step, fingerprint=prints[step])
    return None if account is None else Made(tables.raw(step), account["summary"], account["seconds"])


def check_same_dataset(folder: RunFolder, pipeline: Pipeline) -> None:
    """A folder belongs to one dataset: changed steps are made anew, another dataset is not mixed in."""
    try:
        name = orjson.loads(folder.manifest_path.read_bytes())["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if name != pipeline.name:
        raise UsageError(f"{folder.path} holds the dataset {name!r}, not {pipeline.name!r}", fix="choose another --out")


def finished_before(folder: RunFolder, fingerprint: str, *, with_report: bool) -> dict[str, Any] | None:
    """The manifest where just this run stands finished; asked before anything is planned, for a plan draws people."""
    if not folder.manifest_path.exists() or (with_report and not folder.report_path.exists()):
        return None
    with folder.locked():
        return folder.read_manifest() if _is_finished(folder, fingerprint) else None


def _is_finished(folder: RunFolder, fingerprint: str) -> bool:
    """Whether just this run stands here finished, with its card, every file as the manifest says and no table damaged."""
    try:
        manifest = folder.read_manifest()
    except FileError:
        return False  # none yet, or a damaged one: it is written anew
    if manifest["status"] != "finished" or manifest["fingerprint"] != fingerprint:
        return False
    return (
        folder.card_path.is_file()
        and all(is_as_listed(folder, entry) for entry in manifest["files"])
        and not any(folder.tables.is_damaged(step["name"]) for step in manifest["steps"])
    )

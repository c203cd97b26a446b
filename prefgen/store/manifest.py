"""What is written down about a run: accounts of its steps, gates, files, and the resolved pipeline."""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from prefgen.errors import FileError
from prefgen.ids import content_id, file_sha256
from prefgen.spec.pipeline import LEAKS, Pipeline
from prefgen.store.files import write_aside, write_json
from prefgen.store.folder import RunFolder
from prefgen.store.table import Table
from prefgen.store.tables import Account
from prefgen.version import __version__

RUN = ""
"""Key of the whole run among the fingerprints; no step is named so."""


_TRANSPORT = frozenset(
    [
        "engine",
        "base_url",
        "api_key_env",
        "concurrency",
        "timeout_s",
        "max_attempts",
        "batch_size",
        "batch_bytes",
        "folder",
        "threads",
        "context",
        "tensor_parallel",
        "data_parallel",
        "max_model_len",
        "responses",
        "gguf",
        "ray",
        "constrain",
        "logprobs",
    ]
)
"""Keys that say how an answer travels, not what it is: they may differ between runs that share answers."""


def pinned(pipeline: Pipeline, folder: RunFolder) -> Pipeline:
    """The same pipeline with what its steps read from outside named by version, as an earlier run here named it."""
    try:
        before = yaml.safe_load(folder.pipeline_path.read_text("utf-8"))["steps"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        before = {}
    steps = {name: step.pinned(before.get(name) or {}) for name, step in pipeline.steps.items()}
    return pipeline.model_copy(update={"steps": steps})


def fingerprints(pipeline: Pipeline) -> dict[str, str]:
    """For every step, the hash of all that decides its rows: spec, seed, files read, model, and the steps above.

    The content of files counts, not their paths; how a model is reached does not count.
    """
    prints: dict[str, str] = {}
    for name, step in pipeline.steps.items():
        asked = [model for _, model in step.asks()]
        prints[name] = content_id(
            "step",
            {
                "prefgen": __version__,  # a newer one may make other rows from the same answers
                "kind": step.kind,
                "spec": _replaced(
                    step.model_dump(mode="json", by_alias=True),
                    {str(path): file_sha256(path) for path in step.inputs()},
                ),
                "seed": pipeline.seed,
                "limit": pipeline.limit if asked else None,
                "models": [_said_model(pipeline, model) for model in (*asked, *(one for _, one in step.counts()))],
                "above": [prints[read] for _, read in step.reads()],
            },
        )
    published, gates = pipeline.publish.model_dump(mode="json"), pipeline.model_dump(mode="json", include={"expect"})
    survey = None if pipeline.calibrate is None else file_sha256(pipeline.calibrate)
    analyses = [one.model_dump(mode="json", by_alias=True) for one in pipeline.analyse]
    prints[RUN] = content_id(
        "run", [pipeline.name, published, gates, survey, list(prints.values()), *([analyses] if analyses else [])]
    )
    return prints


def _said_model(pipeline: Pipeline, name: str) -> dict[str, Any]:
    model = pipeline.models[name]
    said = model.model_dump(mode="json", exclude=set(_TRANSPORT))
    return {"model": said["model"], "identity": model.identity} | {
        key: said[key] for key in ("temperature", "top_p", "max_tokens", "seed", "prefill", "system_role")
    }


def step_account(
    *,
    name: str,
    kind: str,
    grain: str,
    fingerprint: str,
    rows_in: int,
    table: Table,
    summary: Mapping[str, Any],
    models: Sequence[str],
    asked: Mapping[str, Any],
    seconds: float,
) -> Account:
    """One entry of the manifest's `steps`."""
    dropped: dict[str, int] = {}
    if table.parts and "reject_reason" in table.schema:
        counts = table.scan().group_by("reject_reason").len().collect(engine="streaming")
        dropped = dict(sorted(counts.drop_nulls().iter_rows()))
    return {
        "name": name,
        "kind": kind,
        "grain": grain,
        "fingerprint": fingerprint,
        "model": ", ".join(models) or None,
        "rows_in": rows_in,
        "rows": table.n_rows,
        "kept": table.n_rows - sum(dropped.values()),
        "dropped": dropped,
        **asked,
        "seconds": round(seconds, 3),
        "summary": dict(summary),
    }


def without_texts(account: Account) -> Account:
    """The same for the log, which has no prompts and no portraits."""
    summary = {key: value for key, value in account["summary"].items() if key != "example"}
    return {key: value for key, value in account.items() if key != "nonresponse"} | {"summary": summary}


def gate_results(pipeline: Pipeline, accounts: Sequence[Account]) -> list[dict[str, Any]]:
    """Every gate of `expect:`, with what was found; a run with a limit says nothing of how many rows there should be."""
    results = []
    for account in accounts:
        gate = pipeline.expect.get(account["name"])
        if gate is None:
            continue
        rows = account["rows"]
        failed = account["summary"].get("statuses", {}).get("failed", 0)
        found: dict[str, tuple[float, Callable[[float, float], bool]]] = {
            "rows": (rows, operator.eq),
            "min_rows": (rows, operator.ge),
            "min_yield": (account["kept"] / rows if rows else 0.0, operator.ge),
            "max_failed": (failed / rows if rows else 0.0, operator.le),
        }
        if gate.max_near_duplicates is not None:
            found["max_near_duplicates"] = (_near_duplicates(pipeline, account), operator.le)
        if pipeline.limit is not None:
            del found["rows"], found["min_rows"]
        for name, (have, holds) in found.items():
            wanted = getattr(gate, name)
            if wanted is not None:
                passed = bool(holds(have, wanted))
                results.append(
                    {"step": account["name"], "gate": name, "wanted": wanted, "found": have, "passed": passed}
                )
    return results


def leak_gate(pipeline: Pipeline, configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The gate on rows of all exports in which a hidden value stands, where there is one."""
    gate = pipeline.expect.get(LEAKS)
    if gate is None or gate.max_leaks is None:
        return []
    found = sum(config["leaks"]["rows"] for config in configs)
    passed = found <= gate.max_leaks
    return [{"step": "publish", "gate": LEAKS, "wanted": gate.max_leaks, "found": found, "passed": passed}]


def write_audit(folder: RunFolder, accounts: Sequence[Account]) -> list[Path]:
    """RUN/audit.json, the audit of every draw, derived from their accounts; [] for a run that drew nobody."""
    draws = [{"step": one["name"], **one["summary"]} for one in accounts if one["kind"] == "draw"]
    if not draws:
        folder.audit_path.unlink(missing_ok=True)
        return []
    write_json(folder.audit_path, {"format": 1, "draws": draws})
    return [folder.audit_path]


def _near_duplicates(pipeline: Pipeline, account: Account) -> float:
    share = account["summary"].get("near_duplicates")
    if share is None:  # an earlier run made the table, on a machine that could not count them
        name = account["name"]
        raise pipeline.document.error(
            ("expect", name, "max_near_duplicates"),
            f"the table of {name!r} was made while rensa was not installed",
            f"remove the folder tables/{name} of the run and run again",
        )
    return float(share)


def file_entries(folder: RunFolder, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Path (relative, posix), bytes, sha256 and, for Parquet, rows of files in a run folder."""
    entries = []
    for path in sorted(paths):
        rows = pl.scan_parquet(path).select(pl.len()).collect().item() if path.suffix == ".parquet" else None
        place = path.relative_to(folder.path).as_posix()
        entries.append({"path": place, "bytes": path.stat().st_size, "sha256": file_sha256(path), "rows": rows})
    return entries


def is_as_listed(folder: RunFolder, entry: Mapping[str, Any]) -> bool:
    """Whether a file of a run folder is the one that an entry of the manifest's `files` describes."""
    path = folder.path / entry["path"]
    try:
        return bool(path.stat().st_size == entry["bytes"] and file_sha256(path) == entry["sha256"])
    except OSError:
        return False


def check_files(folder: RunFolder, manifest: Mapping[str, Any]) -> None:
    """FileError for a file that is not the one that the manifest describes."""
    for entry in manifest["files"]:
        if not is_as_listed(folder, entry):
            raise FileError(
                f"{folder.path / entry['path']}: not the file that the manifest describes",
                fix="run the pipeline again; the responses are kept, so nothing is asked twice",
            )


def write_resolved(pipeline: Pipeline, folder: RunFolder) -> None:
    """RUN/pipeline.yaml: everything said, defaults included, paths relative to the run folder."""
    said = pipeline.model_dump(mode="json", by_alias=True, exclude_none=True)
    files = [path for step in pipeline.steps.values() for path in step.inputs()]
    files += [
        path
        for model in pipeline.models.values()
        for key in ("gguf", "responses")
        if (path := getattr(model, key, None))
    ]
    files += [pipeline.calibrate] if pipeline.calibrate is not None else []
    moved = {str(path): Path(os.path.relpath(path.resolve(), folder.path.resolve())).as_posix() for path in files}
    text = yaml.safe_dump(_replaced(said, moved), sort_keys=False, allow_unicode=True, width=100)
    write_aside(folder.pipeline_path, text.encode())


def _replaced(data: Any, by: Mapping[str, str]) -> Any:
    if isinstance(data, dict):
        return {key: _replaced(value, by) for key, value in data.items()}
    if isinstance(data, list):
        return [_replaced(value, by) for value in data]
    return by.get(data, data) if isinstance(data, str) else data


def new_manifest(pipeline: Pipeline, fingerprint: str, status: str, started: str) -> dict[str, Any]:
    """A run's manifest before anything is made; `status` is `unfinished`, `finished` or `unanswered`."""
    return {
        "format": 1,
        "prefgen": __version__,
        "name": pipeline.name,
        "fingerprint": fingerprint,
        "seed": pipeline.seed,
        "status": status,
        "started": started,
        "publish": pipeline.publish.model_dump(mode="json"),
        "analyse": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in pipeline.analyse],
        "models": {name: model.model_dump(mode="json", exclude_none=True) for name, model in pipeline.models.items()},
        "seconds": 0.0,
        "steps": [],
        "gates": [],
        "configs": [],
        "files": [],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
    }


_LIBRARIES = ("polars", "pyarrow", "numpy", "pydantic", "jinja2", "openai", "huggingface-hub")

"""Run folders that were right, changed: their JSON with keys gone, retyped or huge, their files cut, gone or others."""

from __future__ import annotations

import copy
import json
import random
import shutil
from pathlib import Path
from typing import Any

import orjson
import yaml

from prefgen.store.seal import SEAL, sealed
from tests.fuzz.parquets import broken, changed, read

JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    2**63,
    2**70,
    -(2**63),
    "",
    "x",
    "../../x",
    "/etc/passwd",
    "\x1b[31m",
    "\ud800",
    "a\0b",
    "z" * 100_000,
    "none",
    "judgments",
    [],
    [None],
    [[]],
    [{}],
    ["x"] * 2000,
    {},
    {"": None},
    {"x": {}},
    {"value": None},
    {"x": [1]},
    {"x": -1},
    {"train": 2**70},
    {"train": None},
]


def change(run: Path, rng: random.Random) -> str:
    """Change a run folder where it lies; what was done."""
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name != ".lock"]
    kind = rng.random()
    victim = run / "manifest.json" if kind < 0.45 and (run / "manifest.json").is_file() else rng.choice(files)
    if kind >= 0.45 and rng.random() < 0.4:
        victim = rng.choice([path for path in files if path.suffix == ".json"])
    if victim.suffix == ".json" and rng.random() < 0.85:
        return _other_json(victim, rng)
    if victim.name == "pipeline.yaml" and rng.random() < 0.8:
        said = tree(yaml.safe_load(victim.read_text()), rng)
        victim.write_bytes(yaml.safe_dump(said, allow_unicode=True).encode("utf-8", "surrogatepass"))
        return "pipeline.yaml mutated"
    return f"{victim.relative_to(run)} {_other_file(victim, rng)}"


def tree(data: Any, rng: random.Random) -> Any:
    """JSON with one to three of its values replaced, taken out, doubled, renamed, or put in another's place."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        holders = list(_holders(data))
        if not holders:
            return rng.choice(JUNK)
        holder, key = rng.choice(holders)
        value, act = holder[key], rng.random()
        if act < 0.5:
            holder[key] = copy.deepcopy(rng.choice(JUNK))
        elif act < 0.65:
            del holder[key]
        elif act < 0.75:
            other, place = rng.choice(holders)
            holder[key] = copy.deepcopy(other[place])
        elif act < 0.85 and isinstance(holder, dict):
            holder[rng.choice(["", "x", "train", f"{key}s", "\x1b[2J"])] = holder.pop(key)
        elif act < 0.92 and isinstance(value, int | float):
            holder[key] = -value * 1000
        else:
            holder[key] = [value] if rng.random() < 0.5 else {"x": value}
    return data


def _holders(data: Any) -> list[tuple[Any, Any]]:
    """Every place of a tree: what holds it, and its key. Places near the root are as many as those deep below."""
    found, layer = [], [data]
    while layer:
        places = [
            (one, key)
            for one in layer
            for key in (list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ())
        ]
        found += places[:: max(1, len(places) // 60)]
        layer = [holder[key] for holder, key in places]
    return found


def _other_json(path: Path, rng: random.Random) -> str:
    try:
        content = orjson.loads(path.read_bytes())
    except (OSError, ValueError):  # changed a moment ago
        return f"{path.name} left as it is"
    seal = rng.choice(["right", "right", "none", "old"]) if path.name in _CHECKED else "old"
    if not isinstance(content, dict):
        return f"{path.name} left as it is"
    other = retold({key: value for key, value in content.items() if key != SEAL}, rng)
    if isinstance(other, dict) and SEAL in content and seal != "none":
        try:
            other = sealed(other) if seal == "right" else other | {SEAL: content[SEAL]}
        except (TypeError, ValueError):  # of a number or half a character that no seal can be of
            other[SEAL] = content[SEAL]
    path.write_text(json.dumps(other, ensure_ascii=rng.random() < 0.8), "utf-8", "surrogatepass")
    return f"{path.name} mutated, seal {seal}"


_CHECKED = ("manifest.json", "done.json", "audit.json")
"""Files whose content is looked at in detail. Only their seal says that the others are as they were written."""


def retold(said: Any, rng: random.Random) -> Any:
    """Changed anywhere, half of the times in the summary of a step that has one."""
    steps = said.get("steps") if isinstance(said, dict) else None
    told = [one for one in steps if isinstance(one, dict) and one.get("summary")] if isinstance(steps, list) else []
    if not told or rng.random() < 0.5:
        return tree(said, rng)
    other = copy.deepcopy(said)
    step = rng.choice([one for one in other["steps"] if one in told])
    step["summary"] = tree(step["summary"], rng)
    return other


def _other_file(path: Path, rng: random.Random) -> str:
    act = rng.choice(["cut", "changed", "empty", "gone", "a folder", "a link to itself", "unreadable text", "other"])
    content = path.read_bytes()
    if act == "changed" and path.suffix == ".parquet":
        path.write_bytes(changed(read(content), rng))
    elif act == "changed":
        path.write_bytes(broken(content or b"x", rng))
    elif act in ("gone", "a folder", "a link to itself"):
        path.unlink()
        if act == "a folder":
            (path / "x").mkdir(parents=True)
        elif act == "a link to itself":
            path.symlink_to(path.name)
    else:
        path.write_bytes(
            {"cut": content[: len(content) // 2], "empty": b"", "unreadable text": b"\xff\xfe\0x: [" * 9}.get(
                act, b"PAR1"
            )
        )
    return act


def resummed(run: Path, rng: random.Random) -> str:
    """Change nothing but the summaries that a manifest or a table's record holds, under a right seal."""
    records = sorted(run.glob("tables/*/done.json"))
    path = run / "manifest.json" if rng.random() < 0.8 else rng.choice(records)
    said = orjson.loads(path.read_bytes())
    account = rng.choice([one for one in said["steps"] if one["summary"]]) if "steps" in said else said["account"]
    account["summary"] = tree(account["summary"], rng)
    try:
        content = sealed(said)
    except (TypeError, ValueError):
        content = {key: value for key, value in said.items() if key != SEAL}
    path.write_text(json.dumps(content), "utf-8")
    return f"{path.relative_to(run)}, {account['name']}"


def copy_of(whole: Path, run: Path) -> None:
    """A fresh copy of a run folder."""
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)

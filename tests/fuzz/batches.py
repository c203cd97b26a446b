"""Folders of batches that were right, changed between two calls of a run: the ledger, ids, rows and results."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import orjson

from prefgen.store.seal import SEAL, sealed
from tests.fuzz.folders import tree
from tests.fuzz.parquets import broken


def change(batches: Path, rng: random.Random) -> tuple[str, bool]:
    """Change one file; what was done, and whether a right seal or none stands over it, so that nobody can see it."""
    files = [path for path in sorted(batches.rglob("*")) if path.is_file()]
    ledger = next(path for path in files if path.name == "ledger.json")
    victim = ledger if rng.random() < 0.4 else rng.choice(files)
    if victim == ledger and rng.random() < 0.7:
        seal = rng.choice(["right", "none", "old"])
        _other_ledger(ledger, seal, rng)
        return f"ledger.json, seal {seal}", seal != "old"
    act = rng.choice(["cut", "broken", "empty", "gone", "a folder", "a loop", "no JSON", "huge", "doubled", "swapped"])
    _other_file(victim, act, files, rng)
    return f"{victim.name} {act}", False


def _other_ledger(path: Path, seal: str, rng: random.Random) -> None:
    said = orjson.loads(path.read_bytes())
    kept = said.pop(SEAL)
    other = tree(said, rng)
    if rng.random() < 0.3 and isinstance(other, dict) and isinstance(other.get("chunks"), list):
        other["chunks"] = rng.choice([other["chunks"] * 2, other["chunks"][::-1], other["chunks"][:-1]])
    if isinstance(other, dict) and seal != "none":
        try:
            other = sealed(other) if seal == "right" else other | {SEAL: kept}
        except (TypeError, ValueError):
            other[SEAL] = kept
    path.write_text(json.dumps(other, ensure_ascii=rng.random() < 0.8), "utf-8", "surrogatepass")


def _other_file(path: Path, act: str, files: list[Path], rng: random.Random) -> None:
    content = path.read_bytes()
    lines = content.splitlines(keepends=True) or [b"x"]
    if act in ("gone", "a folder", "a loop"):
        path.unlink()
        if act == "a folder":
            (path / "x").mkdir(parents=True)
        elif act == "a loop":
            path.symlink_to(path.name)
    elif act == "swapped":
        path.write_bytes(rng.choice(files).read_bytes())
    else:
        path.write_bytes(
            {
                "cut": content[: len(content) // 2],
                "broken": broken(content or b"x", rng),
                "empty": b"",
                "no JSON": b"\xff\xfe\0x: [" * 9,
                "huge": content + b"[" * 2_000_000,
                "doubled": b"".join([*lines, rng.choice(lines)]),
            }[act]
        )


def copy_of(stage: Path, out: Path, rng: random.Random) -> None:
    """A fresh copy of a run folder; half of the times without the responses that had come."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(stage, out)
    if rng.random() < 0.5:
        for path in out.glob("responses.sqlite*"):
            path.unlink()

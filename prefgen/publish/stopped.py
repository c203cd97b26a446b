"""A run that did not come to its end: how far it is, and how it goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote

from prefgen.errors import SpecError
from prefgen.spec.document import read_document
from prefgen.store.folder import RunFolder


def is_stopped(manifest: Mapping[str, Any]) -> bool:
    """Whether the run has not finished."""
    return bool(manifest.get("status") != "finished")


def stopped_facts(folder: RunFolder) -> dict[str, Any]:
    """The same for programs: steps made, those ahead, the one that it stopped at (None where none is ahead), answers stored."""
    steps = _steps(folder)
    made = [name for name in steps if folder.tables.has(name)]
    ahead = [name for name in steps if name not in made]
    return {"made": made, "ahead": ahead, "stopped_at": next(iter(ahead), None), "answers_stored": _stored(folder)}


def stopped_lines(folder: RunFolder) -> Iterator[str]:
    """What stands, what does not yet, and the command that goes on."""
    facts = stopped_facts(folder)
    made, n_steps = facts["made"], len(facts["made"]) + len(facts["ahead"])
    yield f"not finished: {len(made)} of {n_steps} steps are made" + (f" ({', '.join(made)})" if made else "")
    if facts["ahead"]:
        yield f"stopped at {facts['stopped_at']!r}; {facts['answers_stored']:,} answers of models are stored and are not asked for again"
    yield f"go on: the same `prefgen run PIPELINE --out {folder.path}` again"


def _steps(folder: RunFolder) -> list[str]:
    try:
        return list(read_document(folder.pipeline_path).data["steps"])
    except (SpecError, KeyError, TypeError):
        return []


def _stored(folder: RunFolder) -> int:
    """Answers in the store; read-only, for another process may be at work on it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(folder.responses_path))}?mode=ro", uri=True, timeout=1)) as db:
            return int(db.execute("SELECT count(*) FROM responses").fetchone()[0])
    except (sqlite3.Error, OSError):
        return 0

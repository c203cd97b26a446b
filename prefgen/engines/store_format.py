"""A responses file: its tables, how one of an earlier format is taken over, and a response as a row."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from types import NoneType
from typing import Any

import orjson

from prefgen.errors import FileError
from prefgen.records import Response

_APPLICATION_ID = 0x70726667  # "prfg", so that somebody else's SQLite file is never written into
_VERSION = 2

_SCHEMA = """
CREATE TABLE responses (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    text TEXT NOT NULL,
    alternatives TEXT,
    method TEXT NOT NULL,
    finish TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    failure TEXT,
    final INTEGER NOT NULL,
    chosen TEXT NOT NULL DEFAULT '',
    raw INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX responses_by_id ON responses (id);
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE VIEW answers AS SELECT * FROM responses WHERE failure IS NULL;
CREATE VIEW failures AS SELECT * FROM responses WHERE failure IS NOT NULL;
"""

_COLUMNS_OF_1 = "text, alternatives, method, finish, prompt_tokens, completion_tokens, cached_tokens, failure, final"
_COLUMNS = f"{_COLUMNS_OF_1}, chosen, raw"

# Format 1 told neither. What was held to its choices by anything but a grammar had been normalised over them.
_RAW_OF_1 = "method NOT LIKE '%structured_outputs%' AND method NOT LIKE '%json_schema%'"
_FROM_1 = f"""
BEGIN IMMEDIATE;
ALTER TABLE responses ADD COLUMN chosen TEXT NOT NULL DEFAULT '';
ALTER TABLE responses ADD COLUMN raw INTEGER NOT NULL DEFAULT 1;
UPDATE responses SET raw = 0 WHERE NOT ({_RAW_OF_1});
PRAGMA user_version = {_VERSION};
COMMIT;
"""

# An answer or a final failure stays for good; only a failure that may be asked again gives way.
PUT = f"""
INSERT INTO responses (id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    text = excluded.text, alternatives = excluded.alternatives, method = excluded.method,
    finish = excluded.finish, prompt_tokens = excluded.prompt_tokens,
    completion_tokens = excluded.completion_tokens, cached_tokens = excluded.cached_tokens,
    failure = excluded.failure, final = excluded.final, chosen = excluded.chosen, raw = excluded.raw
WHERE failure IS NOT NULL AND NOT final
"""


def check_or_make(db: sqlite3.Connection, path: Path, *, read_only: bool) -> str:
    """The columns of a response in this file, as SQL; makes the tables in an empty file, and brings an older one up to date.

    FileError for a file of another program, or of a newer prefgen.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application == _APPLICATION_ID and version == _VERSION:
        return _COLUMNS
    if application == _APPLICATION_ID and version > _VERSION:
        raise FileError(
            f"{path}: written by a newer prefgen (format {version}, this one reads {_VERSION})",
            fix="update prefgen: pip install -U prefgen",
        )
    if application == _APPLICATION_ID and version == 1:
        if read_only:
            return f"{_COLUMNS_OF_1}, '', {_RAW_OF_1}"
        db.executescript(_FROM_1)
        return _COLUMNS
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if not empty or read_only:
        raise FileError(
            f"{path}: not a responses file of prefgen",
            fix="name the responses.sqlite that `prefgen run` wrote, or another --out folder",
        )
    db.executescript(
        f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION}; COMMIT;"
    )
    return _COLUMNS


def key_of(request_id: str) -> bytes:
    """The 12 bytes of a request id: half the index of the text form."""
    return bytes.fromhex(request_id[4:])


def to_row(response: Response) -> tuple[Any, ...]:
    """A response in the order of `PUT`."""
    return (
        key_of(response.request_id),
        _clean(response.text),
        None if response.alternatives is None else _to_json(response.alternatives),
        response.method,
        response.finish,
        response.prompt_tokens,
        response.completion_tokens,
        response.cached_tokens,
        None if response.failure is None else _clean(response.failure),
        response.final,
        _clean(response.chosen),
        response.raw,
    )


def _to_json(alternatives: tuple[tuple[str, float], ...]) -> str:
    try:
        return orjson.dumps(alternatives).decode()
    except orjson.JSONEncodeError:  # half a character
        return orjson.dumps([(_clean(token), p) for token, p in alternatives]).decode()


def _from_json(alternatives: str) -> tuple[tuple[str, float], ...]:
    """JSON has no infinity: a token that cannot come is written as null. ValueError or TypeError where it is of another kind."""
    listed = orjson.loads(alternatives)
    found = tuple(
        [
            (token, -math.inf if p is None else p)
            for token, p in listed
            if type(token) is str and (type(p) is float or type(p) is int or p is None)
        ]
    )
    if type(listed) is not list or len(found) < len(listed):
        raise ValueError("alternatives that are not tokens and log-probabilities")
    return found


def _clean(text: str) -> str:
    """Half a character (a lone surrogate), which no file takes, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


_KINDS = frozenset(
    (str, alternatives, str, str, int, int, int, failure, int, str, int)
    for alternatives in (str, NoneType)
    for failure in (str, NoneType)
)
"""Types of a row's columns, the id left out; SQLite takes any type into any column."""


def to_response(request_id: str, row: tuple[Any, ...]) -> Response:
    """A response from its id and the columns of `check_or_make`. TypeError or ValueError where it is damaged."""
    if tuple(map(type, row[1:])) not in _KINDS:
        raise TypeError(f"the response {request_id} has values of other types")
    _, text, alternatives, method, finish, prompt, completion, cached, failure, final, chosen, raw = row
    likely = None if alternatives is None else _from_json(alternatives)
    return Response(
        request_id, text, likely, method, finish, prompt, completion, cached, failure, final != 0, chosen, raw != 0
    )

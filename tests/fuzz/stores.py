"""Files of responses that were right, changed: other values, other tables, another program's marks, and bytes lost."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.fuzz.parquets import broken

COLUMNS = [
    "id",
    "text",
    "alternatives",
    "method",
    "finish",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "failure",
    "final",
    "chosen",
    "raw",
]
VALUES: list[Any] = [
    None,
    0,
    1,
    -1,
    2**63 - 1,
    -(2**63),
    1.5,
    1e308,
    float("inf"),
    "",
    "A",
    "x" * 200_000,
    "-1",
    "many",
    "\0",
    "\x1b[31m",
    b"",
    b"A",
    b"\xff" * 12,
    b"\0" * 5000,
]
JSON = [
    "",
    "null",
    "[]",
    "{}",
    "3",
    '"A"',
    "[3]",
    "[[]]",
    '[["A"]]',
    '[["A","x"]]',
    "[[1,-0.5]]",
    '[["A",-0.1,3]]',
    '[["A",null]]',
    '[["A",null],["B",null]]',
    '[["A",1e308],["B",5]]',
    '[["A",1e999]]',
    '[["A",NaN]]',
    '[["A",true]]',
    '[["A",[]]]',
    '[[["A"],-1]]',
    '[{"A":1}]',
    '[["A",-0.1]',
    "[" * 5000,
    '["AB","CD"]',
    '[["A",99999999999999999999999999]]',
    '[["\\ud83d",-1]]',
    '[["A",-1e308],["B",-1e308]]',
]
RAW = [
    "CAST(x'ff' AS TEXT)",
    "CAST(x'eda0bd' AS TEXT)",
    "CAST(x'41ff42' AS TEXT)",
    "zeroblob(3000)",
    "9e999",
    "-9e999",
    "randomblob(12)",
    "printf('%.*c', 300000, 'A')",
]
MARKS = [
    "PRAGMA application_id = 0",
    "PRAGMA application_id = 252006674",
    "PRAGMA user_version = 0",
    "PRAGMA user_version = 1",
    "PRAGMA user_version = -1",
    "PRAGMA user_version = 99",
    "ALTER TABLE responses RENAME TO answered",
    "DROP TABLE facts",
    "ALTER TABLE responses DROP COLUMN raw",
    "ALTER TABLE responses RENAME COLUMN text TO said",
    "DROP INDEX responses_by_id",
    "DELETE FROM responses",
    "DELETE FROM responses WHERE n % 2",
    "PRAGMA journal_mode = WAL",
    "PRAGMA encoding = 'UTF-16'",
    "CREATE TRIGGER t BEFORE INSERT ON responses BEGIN SELECT RAISE(ABORT, 'no'); END",
    "INSERT OR REPLACE INTO facts SELECT key, CAST(x'ff' AS TEXT) FROM facts",
    "UPDATE facts SET value = '[[[['",
    "UPDATE facts SET value = 'null'",
    "UPDATE facts SET value = '{}'",
]


def change(path: Path, rng: random.Random) -> None:
    """Change a file of responses where it lies."""
    if rng.random() < 0.4:
        path.write_bytes(broken(path.read_bytes(), rng) if rng.random() < 0.8 else _holed(path.read_bytes(), rng))
        return
    if rng.random() < 0.1:
        path.with_name(path.name + rng.choice(["-wal", "-journal", "-shm"])).write_bytes(rng.choice([b"", b"x" * 4096]))
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        if rng.random() < 0.35:
            db.execute(rng.choice(MARKS)).fetchall()
            return
        _loosen(db)
        for _ in range(rng.choice([1, 1, 2, 3])):
            column, rows = (
                rng.choice([*COLUMNS, "alternatives", "alternatives", "text"]),
                rng.choice(["1", "n = 1", "n % 2"]),
            )
            if rng.random() < 0.3:
                db.execute(f"UPDATE OR IGNORE responses SET {column} = {rng.choice(RAW)} WHERE {rows}")
            else:
                value = rng.choice(JSON if column == "alternatives" and rng.random() < 0.8 else VALUES)
                db.execute(f"UPDATE OR IGNORE responses SET {column} = ? WHERE {rows}", (value,))


def _loosen(db: sqlite3.Connection) -> None:
    """The same rows in a table that takes any value."""
    db.executescript(
        "DROP VIEW answers; DROP VIEW failures; ALTER TABLE responses RENAME TO strict_ones; DROP INDEX responses_by_id;"
        f"CREATE TABLE responses (n INTEGER PRIMARY KEY, {', '.join(COLUMNS)});"
        f"INSERT INTO responses SELECT n, {', '.join(COLUMNS)} FROM strict_ones; DROP TABLE strict_ones;"
        "CREATE UNIQUE INDEX responses_by_id ON responses (id);"
    )


def _holed(content: bytes, rng: random.Random) -> bytes:
    """A page of zeros, or of another page."""
    pages = len(content) // 4096
    at, other = rng.randrange(pages), rng.randrange(pages)
    page = b"\0" * 4096 if rng.random() < 0.5 else content[other * 4096 : other * 4096 + 4096]
    return content[: at * 4096] + page + content[at * 4096 + 4096 :]

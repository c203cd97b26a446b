"""Files of items with bytes put in, taken out, changed or doubled: `check` is right about them or says what is wrong."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import polars as pl
import pytest
import yaml

from prefgen.errors import PrefgenError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan

_ROWS = [
    {
        "item_id": f"i{k}",
        "prompt": f"Q{k}?",
        "options": ["a", "b", "c"],
        "neither": "C",
        "topic": "t",
        "m": {"a": [1.5]},
    }
    for k in range(6)
]
_CSV = "item_id,prompt,options,neither,topic\n" + "".join(f'{k:03d},"Q, {k}?",a | b | c,C,t\n' for k in range(6))
_PUT_IN = [
    b"null",
    b"NaN",
    b"1e999",
    b"{}",
    b"[]",
    b'""',
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"\r",
    b'"',
    b",",
    b";",
    b"\t",
    b"|",
    b" | ",
    b"9" * 30,
    b"[[[[",
    b"true",
    b"\\ud800",
    b"-0",
    b"PAR1",
    b"\xed\xa0\x80",
]


def parquet() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(_ROWS).write_parquet(buffer)
    return buffer.getvalue()


def mutant(content: bytes, rng: random.Random) -> bytes:
    """The content with one to four changes."""
    found = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at, other, kind = rng.randrange(len(found) + 1), rng.randrange(len(found) + 1), rng.random()
        if kind < 0.4:
            found[at:at] = rng.choice(_PUT_IN)
        elif kind < 0.7:
            del found[at : at + rng.choice([1, 3, 10, 50])]
        elif kind < 0.85:
            found[at : at + 1] = bytes([rng.randrange(256)])
        else:
            found[at:at] = found[min(at, other) : max(at, other)][:80]
    return bytes(found)


def pipeline(folder: Path, file: str) -> Path:
    (folder / "people.yaml").write_text(
        "population: town\nsource: made up\nattributes: {age: {young: 0.5, old: 0.5}}\ntext: 'You are {{ age }}.'\n"
    )
    steps = {
        "people": {"draw": "people.yaml", "n": 2},
        "items": {"table": file},
        "topics": {"product": {"item_id": {"file": file}}},
        "answers": {"judge": "pick", "items": "items", "as": "people", "model": "m"},
        "pairs": {"pair": "chosen_vs_other", "from": "answers", "items": "items"},
        "parts": {"split": "pairs", "by": ["topic"], "test": 0.5},
    }
    said = {"name": "c", "models": {"m": {"engine": "openai", "model": "m"}}, "steps": steps}
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump(said | {"publish": {"exports": ["judgments", "dpo"]}}, sort_keys=False))
    return path


@pytest.mark.parametrize("n", [100, pytest.param(3_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "parquet"])
def test_no_file_of_items_ends_in_a_traceback(folder: Path, suffix: str, n: int) -> None:
    jsonl = "".join(f"{json.dumps(row)}\n" for row in _ROWS).encode()
    whole = {"jsonl": jsonl, "csv": _CSV.encode(), "tsv": _CSV.replace(",", "\t").encode(), "parquet": parquet()}
    path = pipeline(folder, f"items.{suffix}")
    right = 0
    for seed in range(n):
        (folder / f"items.{suffix}").write_bytes(mutant(whole[suffix], random.Random(seed)))
        try:
            make_plan(load(path))
            right += 1
        except PrefgenError as error:
            assert error.exit_code == 2, (seed, error)
            assert "\n  fix: " in str(error), (seed, error)
    assert right < n

"""People into a file of their own, for `prefgen personas`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import polars as pl

from prefgen.errors import FileError, UsageError, one_of
from prefgen.personas.controls import Control
from prefgen.personas.draw import Drawn, draw_audited
from prefgen.spec.population import read_population

_WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": lambda people, path: people.write_parquet(path),
    ".csv": lambda people, path: people.write_csv(path),
    ".jsonl": lambda people, path: people.write_ndjson(path),
}


def draw_from(spec_path: Path, *, n: int | None, seed: int, controls: Sequence[Control] = ()) -> Drawn:
    """People from a spec's file. Raises SpecError."""
    return draw_audited(read_population(spec_path), n=n, seed=seed, controls=controls)


def write_personas(spec_path: Path, *, n: int | None, seed: int, out: Path, controls: Sequence[Control] = ()) -> Drawn:
    """Draw people and write them to `out` (parquet, csv or jsonl by its suffix), whole or not at all.

    The audit is written beside them, as `<name>.audit.json`.

    Raises SpecError for the spec, UsageError for a name that cannot be written, FileError when writing fails.
    """
    if ".." in out.parts:
        raise UsageError(f"--out {str(out)!r} leads out of its folder through '..'", fix="write the path without '..'")
    writer = _WRITERS.get(out.suffix.lower())
    if writer is None:
        raise UsageError(
            f"--out {str(out)!r}: people cannot be written as {out.suffix!r}",
            fix=f"end the name in {one_of(out.suffix, _WRITERS)}",
        )
    drawn = draw_from(spec_path, n=n, seed=seed, controls=controls)
    aside = out.with_name(f".{out.name}.aside")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        writer(drawn.people, aside)
        audit = orjson.dumps(drawn.audit.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        out.with_suffix(".audit.json").write_bytes(audit)
        aside.replace(out)
    except OSError as error:
        raise FileError(
            f"{out}: cannot be written: {error.strerror or error}", fix="choose another folder, or free some space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
    return drawn

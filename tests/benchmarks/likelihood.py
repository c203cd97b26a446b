"""Whether words tell personas apart better than letters, and what that costs: `python -m tests.benchmarks.likelihood [FOLDER]`.

Runs the demo with the embedded model twice, options by their letters over all rotations and by the likelihood of their
words, and splits the variance of the log-odds of option A against B. FOLDER keeps both runs; those that are there are read.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prefgen.engines.store import ResponseStore
from prefgen.judging.likelihood import Score, read_likelihood
from tests.caches import own_caches

Floats = NDArray[np.float64]

_ROOT = Path(__file__).parents[2]
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Split:
    """Variance components of the log-odds, as shares of their sum.

    apart      standard deviation of what is a persona's own (persona, persona x item), in log-odds
    general    of the differences between personas within one kind of question, the share that other topics and groups repeat
    """

    persona: float
    item: float
    both: float
    noise: float
    general: float
    apart: float


def split(odds: Floats, kinds: list[Floats]) -> Split:
    """Random effects of persona and item by analysis of variance.

    odds     (persona, item, order); with one order nothing tells persona x item from noise, and there is none
    kinds    for each kind of question, rows of its items
    """
    people, items, orders = odds.shape
    mean = odds.mean()
    of_person, of_item, of_both = odds.mean(axis=(1, 2)), odds.mean(axis=(0, 2)), odds.mean(axis=2)
    ms_person = items * orders * ((of_person - mean) ** 2).sum() / (people - 1)
    ms_item = people * orders * ((of_item - mean) ** 2).sum() / (items - 1)
    apart = of_both - of_person[:, None] - of_item[None, :] + mean
    ms_both = orders * (apart**2).sum() / ((people - 1) * (items - 1))
    noise = 0.0
    if orders > 1:
        by_person, by_item, by_order = odds.mean(axis=1), odds.mean(axis=0), odds.mean(axis=(0, 1))
        left = odds - of_both[:, :, None] - by_person[:, None, :] - by_item[None, :, :]
        left += of_person[:, None, None] + of_item[None, :, None] + by_order[None, None, :] - mean
        noise = (left**2).sum() / ((people - 1) * (items - 1) * (orders - 1))
    both = max(0.0, (ms_both - noise) / orders)
    person = max(0.0, (ms_person - ms_both) / (items * orders))
    item = max(0.0, (ms_item - ms_both) / (people * orders))
    whole = person + item + both + noise
    return Split(
        person / whole,
        item / whole,
        both / whole,
        noise / whole,
        _general(of_both, kinds),
        float((person + both) ** 0.5),
    )


def _general(odds: Floats, kinds: list[Floats]) -> float:
    """1 - (what differs within persons) / (what differs between them), over all kinds."""
    between = within = 0.0
    for rows in kinds:
        some = odds[:, rows]
        people, items = some.shape
        own = some.mean(axis=1)
        apart = some - own[:, None] - some.mean(axis=0)[None, :] + some.mean()
        between += items * ((own - some.mean()) ** 2).sum() / (people - 1)
        within += (apart**2).sum() / ((people - 1) * (items - 1))
    return float(1 - within / between)


def _run(out: Path, *settings: str) -> float | None:
    """Seconds that a run of the demo took; None where it was there."""
    if (out / "manifest.json").is_file():
        return None
    words = [word for one in settings for word in ("--set", one)]
    began = time.perf_counter()
    code = "from prefgen.cli import main; main()"
    arguments = ["run", str(_ROOT / "pipelines/quickstart.yaml"), "--out", str(out), "--no-report", *words]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=_ROOT, capture_output=True)
    return time.perf_counter() - began


def _odds(frame: pl.DataFrame) -> tuple[Floats, list[Floats]]:
    """(persona, item, order) log-odds of A against B of the drawn personas, and the rows of items of each kind."""
    frame = frame.filter(pl.col("control").is_null()).sort("persona_id", "item_id", "order")
    items = frame.unique("item_id").sort("item_id")
    kinds = items.with_row_index("row").group_by("dimension", "form").agg("row")["row"].to_list()
    shape = frame["persona_id"].n_unique(), items.height, frame["order"].n_unique()
    p = [np.maximum(frame["p"].struct.field(name).to_numpy(), _LEAST) for name in "AB"]
    return (np.log(p[0]) - np.log(p[1])).reshape(shape), [np.array(rows) for rows in kinds]


def _scored(out: Path, score: Score) -> pl.DataFrame:
    """Judgments as another score makes them of the same answers; the control without a persona is there for a gain."""
    frame = _answers(out)
    told = ResponseStore(out / "responses.sqlite", read_only=True).find(frame["request_id"].to_list())
    nobody = dict(frame.filter(control="none").select("item_id", "request_id").iter_rows())
    ps = []
    for request, item in frame.select("request_id", "item_id").iter_rows():
        p = read_likelihood(told[request], 3, score, told[nobody[item]]).p
        assert p is not None
        ps.append(p)
    return frame.with_columns(p=pl.Series([dict(zip("ABC", p, strict=True)) for p in ps]))


def _choices(frame: pl.DataFrame) -> tuple[int, float]:
    """(items on which personas choose differently, share of choices that are the third option, which is none of them)."""
    frame = frame.filter(pl.col("control").is_null()).with_columns(
        *(pl.col("p").struct.field(name).clip(_LEAST).log().alias(name) for name in "ABC")
    )
    mean = frame.group_by("persona_id", "item_id").agg(pl.col("A", "B", "C").mean())
    chosen = mean.with_columns(best=pl.concat_list("A", "B", "C").list.arg_max())
    differ = chosen.group_by("item_id").agg(pl.col("best").n_unique() > 1)
    return int(differ["best"].sum()), float((chosen["best"] == 2).mean())  # type: ignore[arg-type]


def _answers(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "tables" / "answers" / "*.parquet")


@own_caches()
def main() -> None:
    with tempfile.TemporaryDirectory() as own:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(own)
        letters, words = folder / "letters", folder / "words"
        took = {
            "letters": _run(letters),
            "words": _run(words, "steps.answers.readout=likelihood", "expect.answers=672"),
        }
        print({name: "there" if seconds is None else f"{seconds:.0f} s" for name, seconds in took.items()})
        print({name: "there" if seconds is None else f"{seconds:.0f} s" for name, seconds in took.items()})
        heads = [
            "readout",
            "persona",
            "item",
            "persona x item",
            "noise of orders",
            "general",
            "apart",
            "items",
            "neither",
        ]
        print(f"| {' | '.join(heads)} |", f"|---|{'---:|' * 8}", sep="\n")
        for name, frame in (
            ("letters, 3 orders", _answers(letters)),
            ("likelihood, sum", _scored(words, "sum")),
            ("likelihood, mean", _scored(words, "mean")),
            ("likelihood, gain", _scored(words, "gain")),
        ):
            one = split(*_odds(frame))
            shares = (one.persona, one.item, one.both, one.noise, one.general)
            differ, neither = _choices(frame)
            told = [*(f"{share:.1%}" for share in shares), f"{one.apart:.3f}", f"{differ} of 84", f"{neither:.0%}"]
            print(f"| {name} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()

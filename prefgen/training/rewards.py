"""`python -m prefgen.training.rewards RUN --by ATTRIBUTE`: who someone is, as part of what they prefer.

A Bradley-Terry model (doi:10.2307/2334029) whose utilities depend on the person: P(a over b) = sigmoid(u(a) - u(b)) with
u(option) = base + sum of what each of the person's levels adds. Trained on the people of `train`, tested on people held out,
beside the same model without the person and beside the majority of each question. It is for options that recur, as goals, brands or
policies do; for texts that are read once take a reward model on the export `margin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from prefgen.cli.ending import ended
from prefgen.errors import UsageError, one_of
from prefgen.estimates import Estimate, crossed_mean, mean_difference
from prefgen.face import open_run
from prefgen.training.groups import check_split_by_person

Floats = NDArray[np.float64]
_MOST = 2_000  # numbers that a model may have: options times levels
_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Choices:
    """One row a choice: x (rows, levels of persons), z (rows, options; 1 the chosen, -1 the rejected), who, and item."""

    x: Floats
    z: Floats
    who: NDArray[np.int64]
    item: NDArray[np.int64]

    def of(self, rows: NDArray[np.bool_]) -> Choices:
        """Some of them."""
        return Choices(self.x[rows], self.z[rows], self.who[rows], self.item[rows])


def fit(choices: Choices, penalty: float, *, personal: bool = True) -> Floats:
    """Weights (1 + levels, options) of most penalised likelihood: u = [1, x] @ weights. By Newton's method.

    penalty    of the squares of what levels add; the base has a thousandth of it, so that it is determined
    personal   False: the base alone
    """
    given = np.hstack([np.ones((len(choices.x), 1)), choices.x if personal else choices.x[:, :0]])
    design = (given[:, :, None] * choices.z[:, None, :]).reshape(len(given), -1)
    ridge = np.repeat(np.where(np.arange(given.shape[1]) == 0, penalty / 1000, penalty), choices.z.shape[1])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (1 - p) - ridge * weights
        curve = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return weights.reshape(given.shape[1], -1)


def probabilities(weights: Floats, choices: Choices) -> Floats:
    """Of what was chosen, one a row; `weights` of the base alone leave out who chose."""
    given = np.hstack([np.ones((len(choices.x), 1)), choices.x])[:, : len(weights)]
    p: Floats = 1 / (1 + np.exp(-((given @ weights) * choices.z).sum(axis=1)))
    return p


def best_penalty(choices: Choices, *, seed: int) -> float:
    """Of least log-loss over folds of people."""
    folds = np.random.default_rng(seed).integers(0, _FOLDS, choices.who.max() + 1)[choices.who]

    def loss(penalty: float) -> float:
        held = [probabilities(fit(choices.of(folds != k), penalty), choices.of(folds == k)) for k in range(_FOLDS)]
        return float(-np.log(np.concatenate(held)).sum())

    return min(_PENALTIES, key=loss)


@dataclass(frozen=True, slots=True)
class Tested:
    """A model on people held out, people weighing alike.

    accuracy    share of their choices that it finds likelier than not, ties half
    log_loss    mean of -log2 p of what they chose, in bits: 1 is a coin's
    gain        accuracy less that of the model without the person, person by person
    """

    model: str
    accuracy: Estimate
    log_loss: float
    gain: Estimate


def compare(train: Choices, test: Choices, *, seed: int) -> tuple[Tested, ...]:
    """The majority of each question, the model without the person, and that with them."""
    penalty = best_penalty(train, seed=seed)
    p = {
        "majority": _majority(train, test),
        "no person": probabilities(fit(train, penalty, personal=False), test),
        "person": probabilities(fit(train, penalty), test),
    }
    right = {name: np.sign(each - 0.5) / 2 + 0.5 for name, each in p.items()}
    counts = np.bincount(test.who)
    asked = counts > 0

    def by_person(values: Floats) -> Floats:
        return np.asarray((np.bincount(test.who, values)[asked] / counts[asked]), np.float64)

    of_nobody = by_person(right["no person"])
    return tuple(
        Tested(
            name,
            crossed_mean(by_person(right[name]), np.ones(asked.sum()), within=(0.0, 1.0)),
            float(by_person(-np.log2(each)).mean()),
            mean_difference(by_person(right[name]) - of_nobody),
        )
        for name, each in p.items()
    )


def _majority(train: Choices, test: Choices) -> Floats:
    """Of each question the share of `train` that chose the same, one added to both sides."""
    chosen = _chose_first(train)
    total, of_first = (np.bincount(train.item, w, minlength=test.item.max() + 1) for w in (None, chosen.astype(float)))
    share = (of_first + 1) / (total + 2)
    return np.where(_chose_first(test), share[test.item], 1 - share[test.item])


def _chose_first(choices: Choices) -> NDArray[np.bool_]:
    """Whether it was the one of the two options that comes first among all."""
    return np.asarray(choices.z.argmax(axis=1) == (choices.z != 0).argmax(axis=1))


def read_choices(run: str | Path, by: Sequence[str], *, export: str = "dpo") -> tuple[Choices, Choices]:
    """(train, test) of a run whose pairs are split by persona. Raises UsageError for a column that there is not, or too many options."""
    found = open_run(run)
    people = found.personas.filter(pl.col("control").is_null()).collect()
    for name in by:
        if name not in people.columns:
            raise UsageError(f"{run}: personas have no column {name!r}", fix=f"name {one_of(name, people.columns)}")
    parts = [found.data(export, split).with_columns(split=pl.lit(split)).collect() for split in ("train", "test")]
    rows = pl.concat(parts).select(
        "persona_id",
        "item_id",
        "split",
        *(pl.col(side).list.last().struct.field("content").alias(side) for side in ("chosen", "rejected")),
    )
    check_split_by_person(run, *(rows.filter(split=split) for split in ("train", "test")))
    levels = people.select(pl.col(by).cast(pl.String).fill_null("")).to_dummies()
    options = sorted({*rows["chosen"], *rows["rejected"]})
    if len(options) * (levels.width + 1) > _MOST:
        raise UsageError(
            f"{run}: {len(options)} options and {levels.width} levels are too many numbers for this model",
            fix="take fewer attributes, or a reward model on the export `margin`",
        )
    place = {name: k for k, name in enumerate(people["persona_id"])}
    who = rows["persona_id"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    both = (
        rows[side].replace_strict({o: k for k, o in enumerate(options)}, return_dtype=pl.Int64)
        for side in ("chosen", "rejected")
    )
    chosen, rejected = (np.eye(len(options))[side.to_numpy()] for side in both)
    item = rows["item_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    every = Choices(levels.to_numpy().astype(np.float64)[who], chosen - rejected, who, item)
    of_train = (rows["split"] == "train").to_numpy()
    return every.of(of_train), every.of(~of_train)


def table(found: Sequence[Tested]) -> str:
    """As Markdown."""
    lines = ["| model | choices of people held out | log-loss (bits) | beyond no person |", "|---|---|---|---|"]
    for one in found:
        gain = "" if one.model == "no person" else _interval(one.gain)
        lines.append(f"| {one.model} | {_interval(one.accuracy)} | {one.log_loss:.4f} | {gain} |")
    return "\n".join(lines)


def _interval(one: Estimate) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "unknown"
    return f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})"


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `prefgen run` wrote.")],
    by: Annotated[list[str], typer.Option(help="Attribute of the people; may be repeated.")],
    export: Annotated[str, typer.Option(help="Name of the export with the pairs.")] = "dpo",
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
) -> None:
    """Predict the choices of people held out from who they are."""
    train, test = read_choices(run, by, export=export)
    typer.echo(f"{len(train.who):,} choices to learn from, {len(test.who):,} of others to predict", err=True)
    typer.echo(table(compare(train, test, seed=seed)))


if __name__ == "__main__":
    ended(lambda: app(standalone_mode=False))

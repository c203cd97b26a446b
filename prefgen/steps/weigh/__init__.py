"""`weigh`: one number for every persona and item: how much a preference should count."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from prefgen.errors import one_of
from prefgen.judging.aggregate import preference_columns, preferences
from prefgen.spec.pipeline import Grain, StepSpec
from prefgen.steps.context import Context
from prefgen.steps.step import Parts, Step
from prefgen.store.table import Table

Floats = NDArray[np.float64]
_PARTS = 8  # of the judgments, read at once: they are few columns, and both cores have something to do
_P = "^p_([A-Z]|tie|na)$"  # all answers that compete: options, a tie, does not apply
_CELLS = 2_000_000  # item x persona x persona of one block


class Weigh(Step):
    """One row per drawn persona and item with a kept choice: persona_id, item_id, the measure, weight.

    ```yaml
    weights: {weigh: tier, from: kept, target: loyal_nationals, alpha: 1, beta: 1}
    pairs:   {pair: chosen_vs_other, from: kept, items: questions, weight: weights}
    ```

    K personas are judged, and n others have a kept choice on an item. `tier`: 1 + (K - 1) x share of those n that choose
    otherwise, rounded: 1 where nobody does, K for a sole dissenter, whoever else a filter dropped (Fair-PP,
    arXiv:2505.11861, where everybody answers). Its weight is (tier / K)^alpha x (1 / N_tier)^beta over the sum of that
    over the tiers, N_tier items of the persona in the tier. `divergence`: the same from probabilities instead of
    choices, 1 + (K - 1) x mean Jensen-Shannon divergence (bits) to those n. `vote`: share of the personas with a
    choice, by weight, who choose the same. `margin`: the choice's probability less that of the runner-up (an option,
    a tie, `na`). All but `tier` weigh by measure^alpha. Where n is below `least`, what compares with others is null and
    the weight 0. `weight` has mean 1 over the other rows of a persona, so it can stand beside any learning rate.
    """

    kind: ClassVar[str] = "weigh"
    presets: ClassVar[tuple[str, ...]] = ("tier", "fit", "rank")

    @classmethod
    def preset(cls, said: object) -> type[StepSpec]:
        """`fit` and `rank` have keys of their own."""
        if said not in ("fit", "rank"):
            return cls
        found: type[StepSpec] = getattr(importlib.import_module(f"{__name__}.{said}"), f"Weigh{str(said).capitalize()}")
        return found

    weigh: Literal["tier", "divergence", "vote", "margin"] = Field(description="How a preference is weighed.")
    from_: str = Field(alias="from", description="Name of a step whose rows are judgments.")
    target: str | None = Field(
        None,
        description="The persona whose preferences count; those of others get weight 0. Without it each persona is its own target.",
    )
    alpha: float = Field(1.0, ge=0, description="How strongly the measure counts; 0 is not at all.")
    beta: float = Field(1.0, ge=0, description="`tier`: how strongly a crowded tier is played down; 0 is not at all.")
    least: int | None = Field(
        None,
        ge=0,
        description="Fewest other personas with a kept choice on an item that `tier`, `divergence` and `vote` need; by default half of them.",
    )

    grain: ClassVar[Grain] = "rows"

    def reads(self) -> tuple[tuple[str, str], ...]:
        return (("from", self.from_),)

    def make(self, tables: Mapping[str, Table], context: Context) -> Parts:
        """The weights, in the order of the judgments."""
        table = tables[self.from_]
        if not {"persona_id", "item_id", "item_choice", "control", "p", "reject_reason"} <= set(table.schema):
            raise context.error(
                "from", f"{self.from_!r} has no judgments", "name a `judge: pick` step, or a `keep` of one"
            )
        columns = preference_columns(table.schema, coordinates=False)
        chosen = pl.concat(
            [
                _choices(pl.concat(table.parts[start : start + _PARTS]).select(columns))
                for start in range(0, len(table.parts), _PARTS)
            ]
        )
        _check_target(self, chosen, tables, context)
        n_personas = _personas(table)
        measured = _MEASURES[self.weigh](chosen, n_personas)
        if self.weigh != "margin":
            least = -(-(n_personas - 1) // 2) if self.least is None else self.least
            measured = _where_enough_answered(measured, chosen, self.weigh, least)
            if unmeasured := measured[self.weigh].null_count():
                context.note(
                    f"{unmeasured:,} of {measured.height:,} preferences weigh 0: fewer than {least} other personas have a kept choice on the item"
                )
        weighed = (
            tier_weights(measured, n_personas, alpha=self.alpha, beta=self.beta)
            if self.weigh == "tier"
            else _powers(measured, self.weigh, self.alpha)
        )
        if self.target is not None:
            weighed = weighed.with_columns(
                weight=pl.when(pl.col("persona_id") == self.target).then("weight").otherwise(0.0)
            )
        yield weighed
        return {"personas": n_personas}


def _check_target(spec: Weigh, chosen: pl.DataFrame, tables: Mapping[str, Table], context: Context) -> None:
    """The target is one of the people drawn, which a plan knows too, and something that it chose was kept."""
    if spec.target is None:
        return
    people: list[str] = []
    for name in context.lineage:
        columns = set(tables[name].schema)
        if {"persona_id", "text", "control"} <= columns and "item_id" not in columns:
            drawn = tables[name].read().filter(pl.col("control").is_null())
            people += drawn["persona_id"].to_list()
    if people and spec.target not in people:
        raise context.error("target", f"there is no persona {spec.target!r}", f"name {one_of(spec.target, people)}")
    if chosen.height and spec.target not in chosen["persona_id"]:
        known = one_of(spec.target, chosen["persona_id"])
        raise context.error("target", f"no kept judgment of a persona {spec.target!r}", f"name {known}")


def _choices(judgments: pl.LazyFrame) -> pl.DataFrame:
    """Kept choices of drawn persons: persona_id, item_id, choice, persona_weight, p_<option>."""
    kept = judgments.filter(pl.col("control").is_null() & pl.col("reject_reason").is_null()).collect()
    return (
        preferences(kept)
        .filter(pl.col("choice").is_not_null())
        .select("persona_id", "item_id", "choice", pl.col("weight").alias("persona_weight"), pl.col(_P))
    )


def _personas(table: Table) -> int:
    """How many personas were judged, controls left out; those without any kept choice too."""
    drawn = pl.concat(table.parts).filter(pl.col("control").is_null())
    return int(drawn.select(pl.col("persona_id").n_unique()).collect().item())


def _where_enough_answered(measured: pl.DataFrame, chosen: pl.DataFrame, measure: str, least: int) -> pl.DataFrame:
    """The measure with null where fewer than `least` other personas have a choice on the item; adds `n_others`."""
    others = chosen.select("persona_id", "item_id", n_others=(pl.len().over("item_id") - 1).cast(pl.Int64))
    joined = measured.join(others, on=["persona_id", "item_id"], how="left", maintain_order="left")
    return joined.with_columns(pl.when(pl.col("n_others") >= least).then(measure).alias(measure))


def tiers(chosen: pl.DataFrame, n_personas: int) -> pl.DataFrame:
    """`tier`: 1 + (K - 1) x share of the others with a choice on the item that choose otherwise, to the nearest whole."""
    others, otherwise = pl.len().over("item_id") - 1, pl.len().over("item_id") - pl.len().over("item_id", "choice")
    twice = 2 * otherwise.cast(pl.Int64) * (n_personas - 1) + others.cast(
        pl.Int64
    )  # whole numbers: halves always go up
    share = pl.when(others > 0).then(twice // (2 * others.cast(pl.Int64))).otherwise(0)
    return chosen.select("persona_id", "item_id", tier=(1 + share).cast(pl.Int64))


def tier_weights(measured: pl.DataFrame, n_personas: int, *, alpha: float, beta: float) -> pl.DataFrame:
    """Adds `tier_weight`, as published (over the tiers of a persona it sums to 1), and `weight`, the same with mean 1.

    measured    persona_id, item_id, tier (1 to `n_personas`; null weighs 0)
    """
    tiered = measured.drop_nulls("tier")
    by_tier = tiered.group_by("persona_id", "tier").agg(n=pl.len()).sort("persona_id", "tier")  # sums in one order
    raw = (pl.col("tier") / n_personas) ** alpha * (1 / pl.col("n")) ** beta
    by_tier = by_tier.with_columns(raw=raw).select(
        "persona_id", "tier", tier_weight=pl.col("raw") / pl.col("raw").sum().over("persona_id")
    )
    joined = measured.join(by_tier, on=["persona_id", "tier"], how="left", maintain_order="left")
    mean = pl.col("tier_weight").mean().over("persona_id")
    return joined.with_columns(weight=(pl.col("tier_weight") / mean).fill_null(0.0))


def votes(chosen: pl.DataFrame, n_personas: int) -> pl.DataFrame:
    """`vote`: share of the personas with a choice on the item, by their weight, who choose the same; in (0, 1]."""
    del n_personas  # a share of those who answered whatever their number
    weight = pl.col("persona_weight")
    return chosen.select(
        "persona_id", "item_id", vote=weight.sum().over("item_id", "choice") / weight.sum().over("item_id")
    )


def margins(chosen: pl.DataFrame, n_personas: int) -> pl.DataFrame:
    """`margin`: probability of the likeliest answer less that of the runner-up, in [0, 1]."""
    del n_personas  # a matter of one persona alone
    ranked = pl.concat_list(pl.col(_P).fill_null(0.0)).list.sort(descending=True)
    return chosen.select(
        "persona_id", "item_id", margin=ranked.list.get(0) - ranked.list.get(1, null_on_oob=True).fill_null(0.0)
    )


def divergences(chosen: pl.DataFrame, n_personas: int) -> pl.DataFrame:
    """`divergence`: 1 + (K - 1) x mean Jensen-Shannon divergence, in bits, to the others with a choice on the item; 1 to K."""
    people = {name: place for place, name in enumerate(chosen["persona_id"].unique(maintain_order=True))}
    items = chosen["item_id"].unique(maintain_order=True)
    at = chosen.select(
        k=pl.col("persona_id").replace_strict(people, return_dtype=pl.Int64),
        i=pl.col("item_id").replace_strict(items, pl.int_range(items.len(), eager=True), return_dtype=pl.Int64),
    )
    k, i = at["k"].to_numpy(), at["i"].to_numpy()
    p = chosen.select(pl.col(_P).fill_null(0.0)).to_numpy()
    found = np.zeros(chosen.height)
    order = np.argsort(i, kind="stable")
    step = max(1, _CELLS // max(1, len(people) ** 2))
    for start in range(0, items.len(), step):
        rows = order[np.searchsorted(i[order], start) : np.searchsorted(i[order], start + step)]
        cube = np.full((min(step, items.len() - start), len(people), p.shape[1]), np.nan)
        cube[i[rows] - start, k[rows]] = p[rows]
        found[rows] = _apart(cube)[i[rows] - start, k[rows]]
    others = chosen.select(pl.len().over("item_id") - 1).to_series().to_numpy()
    mean = np.divide(found, others, out=np.zeros(chosen.height), where=others > 0)
    return chosen.select("persona_id", "item_id", divergence=pl.Series(1 + (n_personas - 1) * mean))


def _apart(p: Floats) -> Floats:
    """(items, personas): sum of divergences to the others; p is (items, personas, options), NaN without an answer."""
    own = _entropy(p)
    apart = np.zeros(own.shape)
    for other in range(p.shape[1]):
        between = _entropy((p + p[:, other : other + 1]) / 2) - (own + own[:, other : other + 1]) / 2
        apart += np.nan_to_num(np.clip(between, 0.0, 1.0))
    return apart


def _entropy(p: Floats) -> Floats:
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(-(p * logs).sum(axis=-1), np.float64)


def _powers(measured: pl.DataFrame, name: str, alpha: float) -> pl.DataFrame:
    raised = pl.col(name) ** alpha
    mean = raised.mean().over("persona_id")
    return measured.with_columns(weight=pl.when(mean > 0).then(raised / mean).otherwise(0.0).fill_null(0.0))


_MEASURES = {"tier": tiers, "divergence": divergences, "vote": votes, "margin": margins}

"""Spec to people: the one way in which personas are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from prefgen.personas.arrival import units
from prefgen.personas.audit import Audit, audit_of_people, audit_of_portraits, combined_audit
from prefgen.personas.cells import Axis, level_column
from prefgen.personas.controls import Control, none_control, shuffled_control, wrong_control
from prefgen.personas.corpus import from_corpus
from prefgen.personas.correlated import correlated
from prefgen.personas.joint import DrawnCodes, drawn_codes, privacy_of
from prefgen.personas.names import named_by_content
from prefgen.personas.portray import with_text, wordings_of
from prefgen.personas.sample import numbers_in_bins, numbers_of, systematic_counts
from prefgen.personas.strata import sampling_frame
from prefgen.personas.targets import targets_of
from prefgen.personas.weights import weights_of
from prefgen.seeds import rng_for, unit_for
from prefgen.spec.population import Population

_FIRST = ("persona_id", "population", "control", "control_of", "weight")
_MOST = 50_000_000  # people; beyond this a typing error is likelier than a wish


@dataclass(frozen=True, slots=True)
class Drawn:
    """People and how well they match their spec.

    people    columns persona_id, population, control, control_of, weight, [person, wording], [portrait],
              attributes, text; controls stand after the people they stand beside
    audit     realised against target
    """

    people: pl.DataFrame
    audit: Audit


def draw(population: Population, *, n: int | None = None, seed: int, controls: Sequence[Control] = ()) -> pl.DataFrame:
    """The personas table of `n` people (for portraits, by default one a portrait) and their controls.

    weight     what a person stands for; mean 1 over drawn people, controls weigh what their person does
    control    null for a drawn person
    attributes one typed column each; bins give a number and `<attribute>_band`; null where a combined
               population has no such attribute
    text       '' for the control `none`

    Deterministic in `seed` and the population's name. Raises SpecError when the spec cannot be fulfilled.
    """
    return draw_audited(population, n=n, seed=seed, controls=controls).people


def draw_audited(population: Population, *, n: int | None = None, seed: int, controls: Sequence[Control] = ()) -> Drawn:
    """`draw`, with the audit that belongs to it."""
    _check_n(population, n)
    if population.combine:
        return _draw_combined(population, n=n or 0, seed=seed, controls=controls)
    drawn = (
        _portrait_people(population, n=n, seed=seed)
        if population.portraits
        else _attribute_people(population, n=n or 0, seed=seed)
    )
    attributes = [name for name in drawn.people.columns if name not in (*_FIRST, "portrait")]
    people = drawn.people.with_columns(
        pl.lit(population.population).alias("population"),
        pl.lit(None, dtype=pl.String).alias("control"),
        pl.lit(None, dtype=pl.String).alias("control_of"),
        (pl.col("weight") / pl.col("weight").mean()).alias("weight"),
    )
    return Drawn(_in_order(_with_controls(population, people, attributes, seed=seed, controls=controls)), drawn.audit)


def _check_n(population: Population, n: int | None) -> None:
    if n is None and not population.portraits:
        raise population.error((), "attributes do not say how many people to draw", "give n, e.g. n: 200")
    if n is not None and not 1 <= n <= _MOST:
        raise population.error((), f"cannot draw n={n} people", f"give n between 1 and {_MOST:,}")
    if n is None and population.oversample is not None:
        raise population.error(
            ("oversample",), "there is nothing to oversample when each portrait is one persona", "give n"
        )


def _portrait_people(population: Population, *, n: int | None, seed: int) -> Drawn:
    """Named portraits: one persona each, or `n` people whose portraits follow the shares."""
    portraits = pl.DataFrame(
        [{"portrait": p.id, **p.extras} for p in population.portraits], infer_schema_length=None, strict=False
    )
    share = np.array([p.share for p in population.portraits])
    frame = sampling_frame(population, share, lambda: portraits)
    if n is None:
        chosen = np.flatnonzero(frame.kept > 0)
        weight, ids = frame.kept[chosen], portraits["portrait"].gather(pl.Series(chosen))
    else:
        counts = systematic_counts(frame.drawn, n, rng_for(seed, "draw", population.population).random())
        chosen = np.repeat(np.arange(len(share)), counts)
        number = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        weight, named = frame.weight[chosen], portraits["portrait"].gather(pl.Series(chosen))
        ids = named + "-" + pl.Series(number).cast(pl.String)
    people = portraits[chosen].with_columns(persona_id=ids, weight=pl.Series(weight))
    audit = audit_of_portraits(population, ids=portraits["portrait"].to_list(), target=frame.kept, people=people)
    return Drawn(people, audit)


def _attribute_people(population: Population, *, n: int, seed: int) -> Drawn:
    """`n` people drawn from the tables of a population; twice as many begin with the same ones."""
    name = population.population
    targets = targets_of(population)
    drawn = drawn_codes(population, targets, n=n, rng=rng_for(seed, "draw", name))
    privacy = privacy_of(population, targets, rng_for(seed, "privacy", name))
    columns = _columns(population, targets.axes, drawn, seed=seed)
    people = pl.DataFrame([*columns, *weights_of(population, drawn.number, rng_for(seed, "weights", name))])
    people = people.with_columns(named_by_content(population, people), weight=pl.Series(drawn.weight))
    audit = audit_of_people(
        population, targets, cells=drawn.cells, codes=drawn.codes, weight=drawn.weight, fit=drawn.facts, privacy=privacy
    )
    return Drawn(people, audit)


def _columns(population: Population, axes: Sequence[Axis], drawn: DrawnCodes, *, seed: int) -> list[pl.Series]:
    """The columns of all attributes, in the order of the spec."""
    coded = {axis.name: (axis, code) for axis, code in zip(axes, drawn.codes, strict=True)}
    columns = []
    start = {name: unit_for(seed, "numbers", population.population, name) for name in population.names}
    quantiles = correlated(population, {name: units(drawn.number, name, start[name]) for name in population.names})
    for name in population.names:
        unit = quantiles[name]
        if name not in coded:
            attribute = population.attributes[name]
            if attribute.rows is not None:
                columns.append(from_corpus(population, name, drawn.number, unit, seed=seed))
            else:
                columns.append(pl.Series(name, numbers_of(attribute, unit)))
            continue
        axis, code = coded[name]
        if axis.bins:
            columns.append(pl.Series(name, numbers_in_bins(axis.levels, code, unit)))
        columns.append(level_column(axis, code))
    return columns


def _draw_combined(population: Population, *, n: int, seed: int, controls: Sequence[Control]) -> Drawn:
    """People of several populations, each in its share of `n`."""
    share = np.array([part.share for part in population.combine])
    counts = systematic_counts(share, n, rng_for(seed, "draw", population.population).random())
    parts = [
        (draw_audited(part, n=int(count), seed=seed, controls=controls), wanted * n / count)
        for part, count, wanted in zip(population.parts, counts, share / share.sum(), strict=True)
        if count > 0
    ]
    frames = [drawn.people.with_columns(pl.col("weight") * correction) for drawn, correction in parts]
    people = pl.concat(frames, how="diagonal_relaxed")
    audit = combined_audit(population, [drawn.audit for drawn, _ in parts], people)
    nobody = pl.col("control").eq_missing("none")
    people = pl.concat([people.filter(~nobody), people.filter(nobody).head(1)])
    twice = people.filter(pl.col("persona_id").is_duplicated())["persona_id"]
    if len(twice):
        raise population.error(
            ("combine",), f"two of the populations have a persona {twice[0]!r}", "give them names of their own"
        )
    return Drawn(_in_order(people), audit)


def _worded(population: Population, people: pl.DataFrame) -> pl.DataFrame:
    """Everyone once, or once in every wording when the spec has several."""
    wordings = wordings_of(population)
    if len(wordings) == 1:
        return with_text(population, people, wordings[0])
    told = [
        with_text(population, people, wording).with_columns(
            pl.col("persona_id").alias("person"),
            (pl.col("persona_id") + f"-{wording}").alias("persona_id"),
            pl.lit(wording).alias("wording"),
        )
        for wording in wordings
    ]
    return pl.concat(told)


def _with_controls(
    population: Population, people: pl.DataFrame, attributes: Sequence[str], *, seed: int, controls: Sequence[Control]
) -> pl.DataFrame:
    told = _worded(population, people)
    frames = [told]
    if "none" in controls:
        frames.append(none_control(told))
    if "wrong" in controls:
        wrong = wrong_control(told, seed=seed)
        if wrong is None:
            raise population.error(
                (),
                "everybody has the same portrait, so nobody can get a wrong one",
                "draw more people, or leave out the control `wrong`",
            )
        frames.append(wrong)
    if "shuffled" in controls:
        if population.portraits:
            raise population.error(
                ("portraits",), "named portraits have no attributes to shuffle", "use the control `wrong`"
            )
        frames.append(
            shuffled_control(
                people, told, attributes, seed=seed, portray=lambda shuffled: _worded(population, shuffled)
            )
        )
    return pl.concat(frames, how="diagonal_relaxed")


def _in_order(people: pl.DataFrame) -> pl.DataFrame:
    """The columns that every table of personas has first, attributes after them, the text last."""
    before = [name for name in (*_FIRST, "person", "wording", "portrait") if name in people.columns]
    return people.select(*before, pl.exclude(*before, "text"), "text")

"""What can be wrong with a persona spec, found before any table is read or person drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prefgen.errors import Complaint, one_of
from prefgen.schemas import PERSONAS
from prefgen.spec.attribute import share_problem
from prefgen.spec.document import Key
from prefgen.spec.template import template_complaints

if TYPE_CHECKING:
    from prefgen.spec.population import Population

RESERVED = PERSONAS.names - {"reject_reason"}
"""Columns of the personas table that are not attributes."""


def complaints_about(population: Population) -> Iterator[Complaint]:
    """Everything wrong with a population that can be found without reading its tables and survey rows."""
    say = population.document.complaint
    kinds = [bool(population.portraits), bool(population.attributes or population.microdata), bool(population.combine)]
    if sum(kinds) != 1:
        yield say(
            (),
            "a population has portraits, or attributes and microdata, or combines others",
            "write exactly one of `portraits:`, `attributes:` (and/or `microdata:`), `combine:`",
        )
        return
    if not population.attributes and not population.microdata:
        for key in (
            "tables",
            "impossible",
            "exact_margins",
            *(("keep", "oversample", "text") if population.combine else ()),
        ):
            if getattr(population, key):
                yield say((key,), "only attribute populations have this", "take it out, or write `attributes:`")
    yield from _share_complaints(population)
    yield from _portrait_complaints(population)
    yield from _name_complaints(population)
    yield from _text_complaints(population)
    for key, file in _files(population):
        if not file.is_file():
            yield say(key, f"no such file: {file}", "check the path; it is relative to this YAML file")


def _files(population: Population) -> Iterator[tuple[Key, Path]]:
    for index, table in enumerate(population.tables):
        if table.file is not None:
            yield ("tables", index, "file"), table.file
    for name, attribute in population.attributes.items():
        if attribute.rows is not None:
            yield ("attributes", name, "rows", "file"), attribute.rows.file
    if population.microdata is not None:
        yield ("microdata", "file"), population.microdata.file
    for index, part in enumerate(population.combine):
        yield ("combine", index, "file"), part.file


def _share_complaints(population: Population) -> Iterator[Complaint]:
    groups: list[tuple[Key, list[float]]] = [
        (("attributes", name), list(attribute.shares.values()))
        for name, attribute in population.attributes.items()
        if attribute.shares is not None
    ]
    if population.portraits:
        groups.append((("portraits",), [portrait.share for portrait in population.portraits]))
    if population.combine:
        groups.append((("combine",), [part.share for part in population.combine]))
    for key, shares in groups:
        problem = share_problem(shares, normalize=population.normalize)
        if problem is not None:
            yield population.document.complaint(key, problem.problem, problem.fix)
    stratum = population.oversample
    if stratum is not None and (
        min(stratum.shares.values(), default=-1) < 0 or sum(stratum.shares.values()) > 1 + 1e-6
    ):
        yield population.document.complaint(
            ("oversample", "shares"), "shares of strata must be 0 or more and sum to 1 at most", "change them"
        )


def _portrait_complaints(population: Population) -> Iterator[Complaint]:
    say = population.document.complaint
    seen: set[str] = set()
    for index, portrait in enumerate(population.portraits):
        key: Key = ("portraits", index, "id")
        if portrait.id in seen:
            yield say(key, f"another portrait is called {portrait.id!r}", "give every portrait an id of its own")
        if portrait.id == "none" or portrait.id.startswith(("wrong-", "shuffled-")):
            yield say(key, f"{portrait.id!r} is the name of a control", "choose another id")
        seen.add(portrait.id)
        for extra in portrait.extras:
            if extra in RESERVED or not extra.isidentifier():
                yield say(
                    ("portraits", index, extra), "unknown key, and no name for an attribute", "choose another name"
                )
        if portrait.text is None and not population.wordings:
            yield say(("portraits", index), "this portrait has no text", "add `text: You ...`")


def _name_complaints(population: Population) -> Iterator[Complaint]:
    say, known = population.document.complaint, population.names
    bands = {f"{name}_band" for name, attribute in population.attributes.items() if attribute.bins is not None}
    for name in known:
        at: Key = ("attributes", name) if name in population.attributes else ("microdata", "columns")
        if name in RESERVED or not name.isidentifier():
            yield say(
                at, f"{name!r} cannot be an attribute: it is a column of every persona or no plain name", "rename it"
            )
        if name in bands:
            yield say(at, f"{name!r} is the name of the bands of {name[:-5]!r}", "rename it")
    weights = population.weights.over if population.weights is not None else []
    for place, name in enumerate(weights):
        if name in (*known, *RESERVED) or weights.count(name) > 1:
            yield say(("weights", "over", place), f"{name!r} is another column already", "rename it")
    if population.weights is not None and (population.portraits or population.combine):
        yield say(("weights",), "weights are drawn for people with attributes", "write them as keys of each portrait")
    yield from _use_complaints(population)


def _use_complaints(population: Population) -> Iterator[Complaint]:
    say, known = population.document.complaint, population.names
    used: list[tuple[Key, str]] = []
    for index, table in enumerate(population.tables):
        if table.correlations is not None:
            yield from _correlation_complaints(population, index)
        else:
            used += [(("tables", index, "given" if name in table.given else "of"), name) for name in table.names]
    for index, combination in enumerate(population.impossible):
        used += [(("impossible", index, name), name) for name in combination]
    yield from _column_complaints(population)
    for key, name in used:
        if name not in known:
            yield say(
                key,
                f"no attribute named {name!r}",
                f"use {one_of(name, known)}" if known else "write it under `attributes:`",
            )
        elif name in population.attributes and not population.attributes[name].has_levels:
            yield say(key, f"{name!r} has no levels", "give it `levels:` or `bins:` to use it in tables")


def _correlation_complaints(population: Population, index: int) -> Iterator[Complaint]:
    """Correlations are of normal and lognormal attributes, and between -1 and 1."""
    table, say = population.tables[index], population.document.complaint
    bell = [name for name, one in population.attributes.items() if one.normal or one.lognormal]
    if table.given:
        yield say(("tables", index, "given"), "correlations are given nothing", "take it out")
    for name in table.of:
        if name not in bell:
            fix = f"use {one_of(name, bell)}" if bell else "write `normal: {mean: ..., sd: ...}` under `attributes:`"
            yield say(("tables", index, "of"), f"{name!r} has no numbers that can be correlated", fix)
    for two, r in table.correlated.items():
        if two[0] == two[1] or not set(two) <= set(table.of):
            said, fix = f"{' and '.join(map(repr, two))} are no two of this table", "name two of `of`"
            yield say(("tables", index, "correlations"), said, fix)
        if not -1 < r < 1:
            said = f"the correlation of {two[0]!r} and {two[1]!r} is {r:g}"
            yield say(("tables", index, "correlations"), said, "write a number above -1 and below 1")


def _column_complaints(population: Population) -> Iterator[Complaint]:
    """Attributes that the keys of `microdata` name and no column gives."""
    data = population.microdata
    if data is None:
        return
    named: list[tuple[Key, str]] = [(("microdata", "labels", name), name) for name in data.labels]
    if isinstance(data.na, dict):
        named += [(("microdata", "na", name), name) for name in data.na]
    if isinstance(data.tables, list):
        named += [(("microdata", "tables", index), name) for index, names in enumerate(data.tables) for name in names]
    for key, name in named:
        if name not in data.sources:
            yield population.document.complaint(key, f"no column named {name!r}", f"use {one_of(name, data.sources)}")


def _text_complaints(population: Population) -> Iterator[Complaint]:
    known = {
        *population.names,
        *(f"{name}_band" for name, attribute in population.attributes.items() if attribute.bins),
        *(population.weights.over if population.weights else ()),
    }
    wordings = population.wordings
    if not wordings and not population.portraits and not population.combine:
        yield population.document.complaint(
            ("text",), "missing", 'add a template, e.g. text: "You are {{ age }} years old."'
        )
    for wording, template in wordings.items():
        key: Key = ("text", wording) if wording else ("text",)
        if population.portraits:
            common = set.intersection(*(set(portrait.extras) for portrait in population.portraits)) | {"portrait"}
            yield from template_complaints(population.document, key, template, common)
        else:
            yield from template_complaints(population.document, key, template, known)
    for index, portrait in enumerate(population.portraits):
        if portrait.text is not None:
            allowed = {*portrait.extras, "portrait"}
            yield from template_complaints(population.document, ("portraits", index, "text"), portrait.text, allowed)

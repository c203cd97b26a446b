"""Who was asked, on the page: portraits to read, and how well a draw has what was asked for."""

from __future__ import annotations

from typing import Any

import polars as pl

from prefgen.personas.said import told_rest, told_size, told_tables
from prefgen.publish.report.drawn import audits_of
from prefgen.publish.report.readings import cut
from prefgen.publish.report.words import Record, count, decimal
from prefgen.store.finished import Lineage, finished
from prefgen.store.folder import RunFolder
from prefgen.store.table import Table

MOST_PEOPLE = 24
_MOST_TABLES = 12


def describe_people(folder: RunFolder, manifest: Record) -> dict[str, Any] | None:
    """The personas to show: all of a few, else the first of many; None for a run without personas.

    lead      how many, of which population, from which sources
    shown     name, note and text of each
    audits    of each population drawn: sentences, rows of its tables, how many more there are
    """
    table = finished(folder, manifest).personas
    if table is None or not table.n_rows or not {"persona_id", "text"} <= set(table.schema):
        return None
    rows = table.scan().head(MOST_PEOPLE).collect()
    facts = _population(manifest, table.name)
    sources = [facts["source"]] if isinstance(facts.get("source"), str) else list(facts.get("source") or [])
    source = f" Source: {'; '.join(sources).rstrip('.')}." if sources else " No source is given for the population."
    controls = _controls(table)
    told = _wordings(table)
    beside = f", {told}" if told else ""
    beside += f" and {count(controls)} control{'s' * (controls != 1)}" if controls else ""
    hidden = table.n_rows - rows.height
    return {
        "lead": f"{count(table.n_rows - controls)} personas of the population “{facts.get('population', table.name)}”{beside}.{source}"
        + (f" The first {rows.height} are shown, {count(hidden)} more are in the tables." if hidden > 0 else ""),
        "shown": [_person(row) for row in rows.iter_rows(named=True)],
        "audits": [one for audit in audits_of(manifest) if (one := _audit(audit)) is not None],
    }


def _population(manifest: Record, step: str) -> Record:
    """What the step says that drew the personas of a step."""
    summaries: dict[str, Record] = {one["name"]: one["summary"] for one in manifest["steps"]}
    above = (summaries[name] for name in Lineage.of_manifest(manifest).upward(step))
    return next((summary for summary in above if summary.get("population")), {})


def _controls(table: Table) -> int:
    if "control" not in table.schema:
        return 0
    return int(table.scan().select(pl.col("control").is_not_null().sum()).collect().item())


def _wordings(table: Table) -> str:
    """`4 people in 3 wordings`, or nothing where everybody is told in one way."""
    if not {"person", "wording"} <= set(table.schema):
        return ""
    drawn = table.scan().filter(pl.col("wording").is_not_null() & pl.col("control").is_null())
    people, wordings = drawn.select(pl.col("person").n_unique(), pl.col("wording").n_unique()).collect().row(0)
    return f"{count(people)} people in {count(wordings)} wordings" if wordings > 1 else ""


def _person(row: Record) -> dict[str, str]:
    weight = row.get("weight")
    notes = [f"control: {row['control']}"] if row.get("control") else []
    notes += [f"weight {decimal(weight)}"] if isinstance(weight, float) and abs(weight - 1) > 1e-9 else []
    said = row["text"] or ("No portrait." if row["text"] is None else "No text: the model answers as itself.")
    return {"name": str(row["persona_id"]), "note": ", ".join(notes), "text": cut(said)}


def _audit(audit: Record) -> dict[str, Any] | None:
    """None where every table is the target itself and there is nothing else to say."""
    tables, rest = told_tables(audit), list(told_rest(audit))
    if not tables and not rest:
        return None
    return {
        "sentences": [f"{told_size(audit)}.", *(f"{said[:1].upper()}{said[1:]}." for said in rest)],
        "rows": [
            (row["table"], count(row["cells"]), f"{row['total_variation']:.5f}", f"{row['largest_count_error']:.1f}")
            for row in tables[:_MOST_TABLES]
        ],
        "more": len(tables[_MOST_TABLES:]),
    }

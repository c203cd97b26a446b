"""One prompt of a run, as its model read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from jinja2 import TemplateError

from prefgen.errors import PrefgenError
from prefgen.judging.prompts import Prompts
from prefgen.store.folder import RunFolder


def prompt_of(folder: RunFolder, judges: Sequence[Mapping[str, Any]]) -> str | None:
    """The first item as the first judge step asked the first person, each message under its role.

    judges    the judge steps of the resolved pipeline

    None where no step judges, and where its tables or its template are not there any more.
    """
    if not judges:
        return None
    judge = judges[0]
    try:
        prompts = Prompts.load(
            readout=judge.get("readout", "logprobs"),
            extra=tuple(str(word).upper() for word in judge.get("also", ())),
            page=(folder.path / judge["template"]).read_text("utf-8") if judge.get("template") else None,
        )
        people, items = folder.table(judge["as"]), folder.table(judge["items"])
        person = people.scan().filter(pl.col("text") != "").select("text").head(1).collect()
        item = items.parts[0].head(1).collect()
        if person.is_empty() or item.is_empty():
            return None
        page = prompts.render_page(item.row(0, named=True), judge.get("orders", ["given"])[0])
        messages = [*prompts.system(person["text"][0]), *page.messages]
    except (OSError, KeyError, PrefgenError, TemplateError, pl.exceptions.PolarsError):
        return None
    return "\n\n".join(f"[{role}]\n{text}" for role, text in messages)

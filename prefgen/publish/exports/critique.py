"""The export `critique`: a draft, what is said of it, and what was made of both."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from prefgen.publish.exports.details import Details
from prefgen.publish.exports.messages import conversation
from prefgen.publish.exports.presets import Preset
from prefgen.publish.exports.source import Source, beside_texts


def critiques(_: Preset, source: Source) -> Iterator[pl.DataFrame]:
    """Rows that have all three.

    messages                     list of {role, content}: what was asked (where something was), the draft, the feedback, the revision
    draft, feedback, revision    the three texts
    persona_id, item_id          where the rows have them; then labels and columns named, split
    """
    details = source.details or Details()
    three = {"draft": details.draft or "", "feedback": details.feedback or "", "revision": details.revision or ""}
    for frame in source.judgments():
        rows = source.kept(frame).filter(pl.col(name).is_not_null() for name in three.values())
        asked = details.input or ("prompt" if "prompt" in rows.columns else None)
        before = () if asked is None else (("user", rows[asked]),)
        said = ("assistant", rows[three["draft"]]), ("user", rows[three["feedback"]])
        yield rows.select(
            conversation(*before, *said, ("assistant", rows[three["revision"]])).alias("messages"),
            *(pl.col(name).alias(out) for out, name in three.items()),
            *beside_texts(rows, source.columns, ("messages", *three)),
        )

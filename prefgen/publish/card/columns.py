"""What the columns of the exports mean, in one line each."""

from __future__ import annotations

from prefgen.publish.exports.columns import schema_of, taken_names
from prefgen.publish.exports.presets import PRESETS

_OF_USER = "carried over from the items"


def meaning(preset: str, column: str) -> str:
    """One line about a column of an export; one that the export does not make itself is the user's, whatever its name."""
    schema = schema_of(PRESETS[preset])
    if column in schema.names:
        return schema.meaning(column)
    if preset == "personas":
        return "attribute of the population"
    if PRESETS[preset].unit == "row":
        return "carried over from the rows of the step"
    known = column.startswith("item_") and column.removeprefix("item_") in taken_names(PRESETS[preset])
    return f"{_OF_USER}, where it is called `{column.removeprefix('item_')}`" if known else _OF_USER

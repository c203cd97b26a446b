"""Names that people give to columns, and that something else might take for its own."""

from __future__ import annotations

from prefgen.publish.exports.columns import TRAINERS, own_columns
from prefgen.publish.exports.presets import PRESETS
from prefgen.schemas import JUDGMENTS

_INTERNAL = """_user _persona _prompt _text _pair _before _time _run _place _index _factor _options _sources _neither _k _a _b
_row _first _group _split _there p_rejected p_tie2 rejected_text n n_all agree_share shots level time user item turn judge option label
sources retold_ no pair_id chosen_text"""
_SQL = """select from where group order_ by join on table column index primary key values null true false and or not in is case when
then else end distinct count sum max min avg limit offset union all as with date timestamp interval row rows user_"""
_ODD = [
    "",
    " ",
    "a b",
    "a.b",
    "a:b",
    "item:x",
    "item:",
    "item_",
    "**",
    "^x",
    "x$",
    "$",
    "%",
    '"',
    "'",
    "`",
    "\\",
    "/",
    "../x",
    "a\tb",
    "a\nb",
    "é",
    "名前",
    "🙂",
    "👩\u200d👧",
    "\u202ex",
    "A",
    "Topic",
    "TOPIC",
    "0",
    "1e3",
    "-1",
    "None",
    "nan",
    "__index_level_0__",
    "Unnamed: 0",
    "len",
    "literal",
    "struct",
    "x" * 200,
]
_PLAIN = [f"column {number}" for number in range(102)]


def names() -> list[str]:
    """300 and more names, each once; none that the judge step itself refuses, nor of an item's own columns.

    `*` and `^...$` are patterns to polars wherever a column is named, and refused."""
    ours = {name for preset in PRESETS.values() for name in own_columns(preset)}
    prefixed = [f"item_{name}" for name in sorted(ours)[:30]]
    found = dict.fromkeys([*_INTERNAL.split(), *sorted(ours | TRAINERS), *_SQL.split(), *_ODD, *prefixed, *_PLAIN])
    core = {"item_id", "prompt", "options", "neither"}
    return [name for name in found if name not in JUDGMENTS.names | core]

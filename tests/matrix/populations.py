"""Cells of persona specs: every key and value of a population, drawn and judged as all others are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.matrix.cells import Change

Said = Mapping[str, Any]
_VOTES = {"left": 0.5, "right": 0.5}
_AGES = {"young": 0.3, "old": 0.7}
_TEXT = "You vote {{ vote }}."
_JOINT = {"young": {"left": 0.2, "right": 0.1}, "old": {"left": 0.3, "right": 0.4}}
_GIVEN = {"young": {"left": 0.7, "right": 0.3}, "old": {"left": 0.4, "right": 0.6}}
_TWO = {"vote": _VOTES, "age": _AGES}
_PORTRAITS = [
    {"id": "a", "share": 0.6, "text": "You are Ann.", "vote": "left"},
    {"id": "b", "share": 0.4, "vote": "right"},
]
_SURVEY = {"file": "respondents.csv", "columns": ["vote", "age"]}
FILES = {
    "respondents.csv": "vote,age,degree,w\n"
    + "1,20,a,1\n2,40,b,2\n2,70,a,1\n1,35,b,1\n" * 30
    + "1,60,a,1\n" * 10
    + "1,95,c,1\n" * 3,
    "holes.csv": "vote,age,w\n" + "left,20,1\nright,,2\n-9,70,1\nleft,35,1\n" * 30,
    "joint.csv": "age,vote,share\nyoung,left,0.2\nyoung,right,0.1\nold,left,0.3\nold,right,0.4\n",
    "other.yaml": "population: other\nattributes: {vote: {left: 0.1, right: 0.9}}\ntext: You vote {{ vote }}.\n",
}
_CODED = {"vote": {"1": "left", "2": "right"}}
_BINNED = {"age": {"bins": ["18-29", "30-44", "45-89", "90-99"]}}


def populations() -> Iterator[tuple[str, Change]]:
    """A persona spec each: (name, change)."""
    for name, said in _SAID.items():
        yield f"people: {name}", {"people": {"population": "town", **said}}


def _survey(**more: Any) -> dict[str, Any]:
    keys = {"labels": _CODED} | more
    return {"microdata": _SURVEY | keys, "attributes": _BINNED, "text": _TEXT}


_SAID: dict[str, Said] = {
    "portraits": {"portraits": _PORTRAITS, "text": _TEXT},
    "oversampled portraits": {
        "portraits": _PORTRAITS,
        "text": _TEXT,
        "oversample": {"by": "portrait", "shares": {"b": 0.7}},
    },
    "source and licence": {"attributes": _TWO, "text": _TEXT, "source": ["a", "b"], "license": "cc0-1.0"},
    "wordings": {"attributes": _TWO, "text": {"plain": _TEXT, "grand": "Thou votest {{ vote }}."}},
    "levels": {
        "attributes": {"vote": {"levels": _VOTES, "ordered": True}, "age": {"levels": _AGES, "ordered": False}},
        "text": _TEXT,
    },
    "numbers": {
        "attributes": {
            "vote": _VOTES,
            "years": {"bins": {"0-9": 0.4, "10-40": 0.6}},
            "height": {"normal": {"mean": 170, "sd": 10, "min": 140, "max": 210, "decimals": 1}},
            "income": {"lognormal": {"mean": 10, "sd": 0.5}},
            "number": {"uniform": {"min": 1, "max": 9}},
        },
        "text": _TEXT,
    },
    "traits that go together": {
        "attributes": {
            "vote": _VOTES,
            "open": {"normal": {"mean": 50, "sd": 10}},
            "calm": {"normal": {"mean": 50, "sd": 10}},
        },
        "text": _TEXT,
        "tables": [{"of": ["open", "calm"], "correlations": 0.4}],
    },
    "rows of a corpus": {
        "attributes": {
            "vote": _VOTES,
            "age": {"rows": {"file": "areas.csv", "column": "area", "once": False}},
        },
        "text": _TEXT,
    },
    "rows of a corpus, each once": {
        "attributes": {
            "vote": _VOTES,
            "seed": {"rows": {"file": "respondents.csv", "column": "vote", "once": True}},
        },
        "text": _TEXT,
    },
    "a joint table": {"attributes": _TWO, "text": _TEXT, "tables": [{"of": ["age", "vote"], "shares": _JOINT}]},
    "a conditional table": {
        "attributes": {"vote": ["left", "right"], "age": _AGES},
        "text": _TEXT,
        "tables": [{"of": ["vote"], "given": ["age"], "shares": _GIVEN}],
    },
    "a table of counts": {
        "attributes": _TWO,
        "text": _TEXT,
        "tables": [
            {"of": ["age", "vote"], "counts": {"young": {"left": 2, "right": 1}, "old": {"left": 3, "right": 4}}}
        ],
    },
    "a table in a file": {"attributes": _TWO, "text": _TEXT, "tables": [{"of": ["age", "vote"], "file": "joint.csv"}]},
    "impossible": {
        "attributes": _TWO,
        "text": _TEXT,
        "impossible": [{"age": "young", "vote": ["right"]}],
        "max_disagreement": 1,
    },
    "kept": {"attributes": _TWO, "text": _TEXT, "keep": "vote != 'right' OR age = 'old'"},
    "oversampled": {"attributes": _TWO, "text": _TEXT, "oversample": {"by": "vote", "shares": {"left": 0.9}}},
    "normalised": {"attributes": {"vote": {"left": 3, "right": 5}}, "text": _TEXT, "normalize": True},
    "exact": {"attributes": _TWO, "text": _TEXT, "exact_margins": True, "normalize": False},
    "a survey": _survey(),
    "a survey, weighted": _survey(weight="w"),
    "a survey, renamed": {"microdata": _SURVEY | {"columns": {"vote": "vote", "school": "degree"}}, "text": _TEXT},
    "a survey, its tables": _survey(tables=[["vote", "age"]]),
    "a survey, pairs": _survey(tables="pairs"),
    "a survey, rare cells refused": _survey(min_cell=3, small="refuse"),
    "a survey, rare cells merged": {
        "microdata": {"file": "respondents.csv", "columns": ["vote", "degree"], "min_cell": 5, "small": "merge"},
        "text": _TEXT,
    },
    "a survey with holes, dropped": _survey(file="holes.csv", labels={}, missing="drop", na=[-9]),
    "a survey with holes, a level": {
        "microdata": {"file": "holes.csv", "columns": ["vote"], "missing": "level", "na": {"vote": [-9]}},
        "text": _TEXT,
    },
    "a survey without holes": _survey(missing="error"),
    "combined": {"combine": [{"file": "people.yaml", "share": 0.4}, {"file": "other.yaml", "share": 0.6}]},
}

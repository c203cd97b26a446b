"""Real people's preferences between goals for a country: the European Values Study, as the R package psychotree has it.

    apt-get download r-cran-psychotree && dpkg -x r-cran-psychotree_*.deb psychotree && pip install rdata
    python -m tests.examples.evs psychotree/usr/lib/R/site-library/psychotree/data/EuropeanValuesStudy.rda OUT
    prefgen run OUT/european_values.yaml --out OUT/run
    python -m prefgen.training.rewards OUT/run --by country --by gender --by born --by schooling --by marital --by employment

3,584 people of 32 countries and regions, each asked which of two goals matters more, for the six pairs of four goals. The data are under GPL-2
and stay out of this repository; the wording of the questions is ours.
"""

from __future__ import annotations

import shutil
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import orjson

GOALS = {
    "order": "maintaining order in the country",
    "decisions": "giving people more say in important decisions",
    "prices": "fighting rising prices",
    "freedom": "protecting freedom of speech",
}
PIPELINE = Path(__file__).parent / "european_values.yaml"


def people(path: Path) -> dict[str, Any]:
    """The data frame by column; `paircomp` as (people, 6), 1 where the first of the pair is preferred, NaN without an answer."""
    from rdata import conversion, parser

    classes = conversion.DEFAULT_CLASS_MAP | {
        "data.frame": lambda columns, _: columns,
        "paircomp": lambda matrix, _: np.asarray(matrix),
    }
    found: dict[str, Any] = conversion.convert(parser.parse_file(path), classes)["EuropeanValuesStudy"]
    return found


def votes(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a person and pair: persona_id, item_id, said, and who they are."""
    pairs = sorted(combinations(range(4), 2), key=lambda pair: (pair[1], pair[0]))  # 1:2, 1:3, 2:3, 1:4, 2:4, 3:4
    goals = list(GOALS)
    rows = []
    for k, said in enumerate(frame["paircomp"]):
        who = {name: _text(frame[name][k]) for name in ("country", "gender", "marital", "employment")}
        who["born"] = _decade(frame["birthyear"][k])
        who["schooling"] = _schooling(frame["eduage"][k])
        for (a, b), first in zip(pairs, said, strict=True):
            if not np.isnan(first):
                answer = GOALS[goals[a if first == 1 else b]]
                rows.append({"persona_id": f"evs-{k:04d}", "item_id": f"{goals[a]}-{goals[b]}", "said": answer, **who})
    return rows


def questions() -> list[dict[str, Any]]:
    """One row a pair of goals."""
    return [
        {"item_id": f"{a}-{b}", "prompt": "Which of these two matters more to you?", "options": [GOALS[a], GOALS[b]]}
        for a, b in combinations(GOALS, 2)
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else "not said"


def _decade(year: float) -> str:
    return "not said" if np.isnan(year) else f"{int(year) // 10 * 10}s"


def _schooling(age: float) -> str:
    """By the age at which it ended."""
    return "not said" if np.isnan(age) else "up to 15" if age <= 15 else "16 to 19" if age <= 19 else "20 and more"


def write(path: Path, out: Path) -> None:
    """OUT/votes.jsonl, OUT/questions.jsonl and the pipeline over them."""
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in (("votes", votes(people(path))), ("questions", questions())):
        (out / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    shutil.copy(PIPELINE, out)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))

"""Card and report say whose the rows are: a model's, people's, or nobody's."""

from __future__ import annotations

from typing import Any

import pytest

import prefgen
from prefgen.publish.report.limits import limits_of
from prefgen.store.finished import answered_by
from tests.language.conftest import Run

ASKS = {"table": [{"ask_id": "t", "prompt": "What is tea?"}]}
WRITTEN = {"write": "response", "for": "asks", "model": "m", "prompt": "{{ prompt }}"}
RATED = {"judge": "score", "items": "said", "criteria": {"plain": "It is plain."}, "range": "1..5"}
SAID = {"table": [{"prompt": "What is tea?", "response": "a leaf", "stars": 4, "persona_id": "ann", "item_id": "t"}]}
PICKED = {"table": [{"item_id": "t", "prompt": "Tea?", "options": ["yes", "no"], "persona_id": "ann", "said": "yes"}]}


@pytest.mark.parametrize(
    ("steps", "models", "card", "page"),
    [
        ({"asks": ASKS}, {}, "no model was asked", "No model was asked"),
        ({"asks": ASKS, "said": WRITTEN}, {"m": {}}, "written or rated by language models", "is a model's"),
        ({"said": SAID, "rated": RATED | {"model": "m"}}, {"m": {}}, "written or rated by language models", "is a model's"),
        ({"picks": PICKED, "told": {"judge": "pick", "items": "picks", "given": "said"}}, {}, "people gave themselves", "answers of people"),
    ],
)  # fmt: skip
def test_whose_the_rows_are(whole: Run, steps: dict[str, Any], models: dict[str, Any], card: str, page: str) -> None:
    last = next(reversed(steps))
    exports = ["judgments"] if last == "told" else [{"rows": {"from": last}}]
    pipeline = {"name": "whose", "steps": steps, "models": models, "publish": {"exports": exports}}
    done = whole(pipeline, (lambda _system, _page: "3") if models else None)
    told = (done.folder / "README.md").read_text()
    assert card in told
    assert page in limits_of({}, answered_by(prefgen.open_run(done.folder).manifest))[0]
    assert ("played by a language model" in told) == (card not in told)
    assert ("- synthetic\n" in told) == bool(models)

"""Every documented key and value in a small run to its end: what `check` passes, `run` can do.

Each variant changes one key of one pipeline; the slow test combines them at random. A new field of any kind of step,
of a gate, of what is published or of a calibration has to stand in `VARIANTS`, or `test_every_key_is_exercised` fails.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import orjson
import pytest
import yaml
from pydantic import BaseModel

from prefgen.errors import GateError, SpecError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import foresee
from prefgen.flow.run import run
from prefgen.publish.exports.presets import PRESETS
from prefgen.spec.calibration import CalibrationSpec
from prefgen.spec.models import OpenAIModel
from prefgen.spec.pipeline import Gate, Pipeline, Publish
from prefgen.steps import KINDS, draw, judge, keep, pair, product, split, table, weigh
from prefgen.steps.write import life, vignettes
from tests.servers.running import thread
from tests.test_run import Nobody

PEOPLE = """
population: town
source: made up
attributes:
  vote: {left: 0.5, right: 0.5}
  age: {young: 0.3, old: 0.7}
text: You are {{ age }} and vote {{ vote }}.
"""
ITEMS = """\
{"prompt": "Tea?", "options": ["yes", "no"], "area": "a", "year": 1}
{"prompt": "Jam?", "options": ["yes", "no"], "area": "b", "year": 2}
"""
PAGE = "{{ item.prompt }}\n{% for slot, text in options %}{{ slot }}) {{ text }}\n{% endfor %}Answer with one letter."
EVERY = {
    "answers": "kept",
    "ordered": False,
    "weight": "w",
    "least": 20,
    "max_excess": 1.0,
    "min_gain": -99.0,
    "min_spread": 0.0,
}
BASE: dict[str, Any] = {
    "name": "matrix",
    "models": {"m": {"engine": "openai", "model": "test-model"}},
    "steps": {
        "people": {"draw": "people.yaml", "n": 4},
        "cells": {"product": {"area": ["parks", "roads", "schools"], "year": [1, 2]}},
        "items": {
            "table": "cells",
            "forms": {
                "short": {
                    "prompt": "{{ area }} in year {{ year }}?",
                    "options": ["more money", "less money", "neither"],
                    "neither": "C",
                }
            },
        },
        "answers": {"judge": "pick", "items": "items", "as": "people", "model": "m"},
        "kept": {"keep": "answers", "where": "p_choice >= 0.3"},
        "weights": {"weigh": "tier", "from": "kept"},
        "pairs": {"pair": "chosen_vs_other", "from": "kept", "items": "items"},
        "parts": {"split": "pairs", "by": ["item"], "test": 0.4},
    },
    "publish": {"exports": ["judgments", "dpo"]},
}
Change = Mapping[str, Any]
"""Dotted keys and what stands there instead; None takes a key out."""


def variants() -> Iterator[tuple[str, Change]]:
    """Every key and value, each in a pipeline of its own: (name, change)."""
    for key, values in _VALUES.items():
        for value in values:
            yield f"{key}={orjson.dumps(value).decode()[:60]}", {key: value}
    yield from _TOGETHER.items()
    for preset in PRESETS:
        stated = {"steps.items.set": {"condition": "A farmer."}} if preset == "cond" else {}
        yield f"export {preset}", {"publish.exports": [preset], **stated}
        if preset not in ("personas", "items"):
            yield (
                f"export {preset} with whom and what it is about",
                {"publish.exports": [preset, "personas", "items"], **stated},
            )


_VALUES: dict[str, list[Any]] = {
    "seed": [0, 7, 2**63 - 1],
    "limit": [1, 2, 100],
    "expect.answers": [72, {"rows": 72}, {"min_rows": 1}, {"min_yield": 0.0}, {"max_failed": 1.0}],
    "expect.parts": [{"max_near_duplicates": 1.0}, {"min_rows": 0}],
    "steps.people.n": [1, 9],
    "steps.people.seed": [0, 5],
    "steps.people.controls": [["none"], ["wrong"], ["shuffled"], ["none", "wrong", "shuffled"], []],
    "steps.cells.where": ["year = 1", "area <> 'parks' and year < 3"],
    "steps.cells.product": [
        {"area": ["a", "b"], "on": [True, False], "x": [0.5, 1.5], "year": [1]},
        {"area": [{"area": "parks", "colour": "green"}, {"area": "roads", "colour": "grey"}], "year": [1, 2]},
        {"area": {"by": ["theme"], "tree": {"free": ["parks"], "paved": ["roads", "lanes"]}}, "year": [1]},
        {"area": {"file": "areas.csv"}, "year": [1]},
    ],
    "steps.items.limit": [1, 3],
    "steps.items.drop": [["year"], []],
    "steps.items.set": [{"where": "{{ area }}!"}, {}],
    "steps.items.rename": [{}],
    "steps.answers.orders": [
        "balanced",
        ["given"],
        ["given", "swapped"],
        ["cyclic"],
        ["balanced"],
        ["swapped"],
        {"prior": 0.5},
        {"prior": 1.0},
    ],
    "steps.answers.repeats": [1, 3],
    "steps.answers.readout": ["logprobs", "text", "certainty", "reason"],
    "steps.answers.also": [[], ["tie"], ["na"], ["tie", "na"]],
    "steps.answers.template": ["page.jinja"],
    "steps.kept.where": [
        "false",
        "order_agreement",
        {"unsure": "p_choice >= 0.6", "swayed": "order_agreement"},
        "certainty > 5",
    ],
    "steps.weights.weigh": ["tier", "vote", "margin", "divergence"],
    "steps.weights.target": ["town-zahfzqayfavtd"],
    "steps.weights.alpha": [0, 0.5, 3],
    "steps.weights.beta": [0, 2.5],
    "steps.weights.least": [0, 1, 99],
    "steps.pairs.pair": ["chosen_vs_other", "best_vs_worst"],
    "steps.pairs.weight": ["weights"],
    "steps.parts.by": [["item"], ["persona"], ["area", "persona"], ["area", "year", "item"]],
    "steps.parts.test": [0.01, 0.99],
    "models.m.base_url": ["HERE"],
    "models.m.temperature": [0.0, 1.5],
    "models.m.top_p": [0.5],
    "models.m.max_tokens": [1, 500],
    "models.m.seed": [3],
    "models.m.revision": ["r1"],
    "models.m.prefill": [True, False],
    "models.m.system_role": [True, False],
    "models.m.constrain": ["auto", "none"],
    "models.m.logprobs": ["auto", False],
    "models.m.extra_body": [{}, {"min_p": 0.1, "chat_template_kwargs": {"enable_thinking": False}}],
    "models.m.concurrency": [1, 128],
    "models.m.timeout_s": [5.0],
    "models.m.max_attempts": [1],
    "publish.judgments": ["answers"],
    "publish.license": ["cc-by-4.0"],
    "publish.title": ["A title"],
    "publish.description": ["Some | words."],
    "publish.tags": [["a", "b"], []],
    "publish.shard_mb": [1],
    "publish.exports": [
        [{"dpo": {"from": "pairs"}}, {"dpo": {"from": "parts", "name": "dpo_parts"}}],
        [{"fewshot": {"shots": 2}}],
        [{"dpo": {"system_role": False}}],
        ["items"],
        ["personas"],
    ],
}
_LIVES = {"steps.lives": {"write": "life", "as": "people", "model": "m"}, "steps.answers.as": "lives"}
_SCENES = {
    "steps.scenes": {"write": "vignettes", "items": "items", "model": "m", "words": 20},
    "steps.answers.items": "scenes",
    "steps.pairs.items": "scenes",
}
_TOGETHER: dict[str, Change] = {
    "as it is": {},
    "an axis of another step": {
        "steps.first": {"table": [{"area": "parks"}, {"area": "roads"}]},
        "steps.cells.product": {"area": {"step": "first"}, "year": [1]},
    },
    "rows written here": {
        "steps.items": {
            "table": [
                {"prompt": "Tea?", "options": ["yes", "no"], "area": "a"},
                {"prompt": "Cake?", "options": ["yes", "no"], "area": "b"},
            ]
        }
    },
    "rows of a file": {"steps.items": {"table": "items.jsonl"}},
    "items that are none": {"steps": {"rows": {"table": [{"a": 1}]}}, "models": {}, "publish.exports": ["items"]},
    "a survey about other things": {"calibrate": "calibration-other.json"},
    "held against a survey": {"calibrate": "calibration.json", "steps.people.n": 30},
    "held against a survey, all keys": {"calibrate": "calibration-all.json", "steps.people.n": 30},
    "columns under other names": {"steps.items": {"table": "items.jsonl", "rename": {"area": "field", "year": "when"}}},
    "items elsewhere": {"expect.parts": {"rows": 1}, "limit": 2},
    "two forms": {
        "steps.items.forms": {
            "a": {"prompt": "{{ area }}?", "options": ["yes", "no"]},
            "b": {"prompt": "No {{ area }}?", "options": ["no", "yes"]},
        }
    },
    "time": {"steps.parts": {"split": "pairs", "time": {"column": "year", "test": 2}}},
    "time and validation": {"steps.parts": {"split": "pairs", "time": {"column": "year", "validation": 1, "test": 2}}},
    "a share of the time": {"steps.parts": {"split": "pairs", "time": {"column": "year", "share": 0.5}}},
    "time and people": {
        "steps.parts": {"split": "pairs", "by": ["persona"], "test": 0.5, "time": {"column": "year", "test": 2}}
    },
    "no splits, no weights": {"steps.parts": None, "steps.weights": None},
    "lives": _LIVES,
    "lives, all keys": _LIVES
    | {
        "steps.lives": {
            "write": "life",
            "as": "people",
            "model": "m",
            "voice": "first",
            "facts": ["vote"],
            "words": 30,
            "tries": 2,
        }
    },
    "lives, second person": _LIVES
    | {"steps.lives": {"write": "life", "as": "people", "model": "m", "voice": "second"}},
    "scenes": _SCENES,
    "scenes, all keys": _SCENES
    | {
        "steps.scenes": {
            "write": "vignettes",
            "items": "items",
            "model": "m",
            "prompt": "Which scene?",
            "leaks": ["area"],
            "words": 25,
            "sentences": [1, 9],
            "length_ratio": 10,
            "tries": 2,
        }
    },
}


def changed(change: Change) -> dict[str, Any]:
    """The pipeline with a change; steps that others read keep their place before them."""
    data = copy.deepcopy(BASE)
    for key, value in change.items():
        *path, last = key.split(".")
        place = data
        for name in path:
            place = place.setdefault(name, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)
    early = {
        name: data["steps"].pop(name)
        for name in ("first", "people", "cells", "items", "lives", "scenes")
        if name in data["steps"]
    }
    data["steps"] = early | data["steps"]
    return data


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files that a pipeline names, and the address of the server."""
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "people.yaml").write_text(PEOPLE)
    (folder / "areas.csv").write_text("area,colour\nparks,green\nroads,grey\n")
    (folder / "items.jsonl").write_text(ITEMS)
    (folder / "page.jinja").write_text(PAGE)
    (folder / "survey.csv").write_text("vote,parks,roads,w\n" + "left,more,less,1\nright,less,more,2\n" * 40)
    asked = {"survey": "survey.csv", "by": ["vote"], "column": "area", "levels": ["more", "less", None]}
    (folder / "calibration.json").write_bytes(orjson.dumps(asked))
    (folder / "calibration-all.json").write_bytes(orjson.dumps(asked | EVERY))
    (folder / "calibration-other.json").write_bytes(orjson.dumps(asked | {"column": "item_id"}))
    with thread() as served:
        (folder / "address").write_text(served.base_url)
        yield folder


def finished(files: Path, out: Path, change: Change, *, report: bool = False) -> str:
    """`refused` by check, `missed` a gate, or `made`; anything else is raised."""
    data = changed(change)
    for model in data.get("models", {}).values():
        address = (files / "address").read_text()
        model["base_url"] = [address, address] if "base_url" in model else address
    path = files / "pipeline.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    try:
        pipeline = load(path)
        foresee(pipeline)
    except SpecError as error:
        assert "fix:" in str(error)
        return f"refused: {error}"
    try:
        run(pipeline, out, Nobody(), report=report)
    except GateError:
        return "missed"
    return "made"


SINGLE = dict(variants())
MISSED = ("held against a survey, all keys",)
REFUSED = ("items that are none", "a survey about other things")


@pytest.mark.slow
@pytest.mark.parametrize("name", SINGLE)
def test_every_key_and_value_runs_to_the_end(name: str, files: Path, tmp_path: Path) -> None:
    found = finished(files, tmp_path / "out", SINGLE[name], report=sum(name.encode()) % 4 == 0)
    assert found.partition(":")[0] == ("refused" if name in REFUSED else "missed" if name in MISSED else "made"), found


@pytest.mark.slow
@pytest.mark.parametrize("number", range(80))
def test_what_check_passes_run_can_do(number: int, files: Path, tmp_path: Path) -> None:
    drawn = random.Random(number)
    change: dict[str, Any] = {}
    for name in drawn.sample(sorted(SINGLE), 5):
        change |= SINGLE[name]
    finished(files, tmp_path / "out", change)


FIELDS: dict[str, type[BaseModel]] = {
    "steps.people": draw.Draw,
    "steps.cells": product.Product,
    "steps.items": table.TableStep,
    "steps.answers": judge.Judge,
    "steps.kept": keep.Keep,
    "steps.weights": weigh.Weigh,
    "steps.pairs": pair.Pair,
    "steps.parts": split.Split,
    "steps.lives": life.Life,
    "steps.scenes": vignettes.Vignettes,
    "models.m": OpenAIModel,
    "publish": Publish,
    "expect.answers": Gate,
    "": Pipeline,
}
_ELSEWHERE = {"api_key_env", "document", "parts"}  # secrets, and what no file says


@pytest.mark.parametrize("where", FIELDS)
def test_every_key_is_exercised(where: str) -> None:
    told = [changed(change) for change in SINGLE.values()]
    for path in where.split(".") if where else ():
        told = [data[path] for data in told if isinstance(data, dict) and path in data]
    written = [data for data in told if isinstance(data, dict)]
    if where == "expect.answers":
        written += [
            data["expect"]["parts"] for data in map(changed, SINGLE.values()) if "parts" in data.get("expect", {})
        ]
    for name, field in FIELDS[where].model_fields.items():
        key = field.alias or name
        values = [data[key] for data in written if key in data]
        assert values or key in _ELSEWHERE, f"no variant says {where}.{key}"
        if get_origin(field.annotation) is Literal:
            assert set(get_args(field.annotation)) - {"json_schema", "grammar", "structured_outputs"} <= {
                *values,
                field.default,
            }


def test_every_kind_of_step_is_exercised() -> None:
    assert {Path(str(sys.modules[one.__module__].__file__)).stem for one in FIELDS.values()} >= {*KINDS} - {
        "write",
        "table",
        "split",
    }


def test_every_key_of_a_calibration_is_exercised() -> None:
    assert set(CalibrationSpec.model_fields) == {"survey", "by", "column", "levels", *EVERY}

"""The cells of the matrix: one pipeline, and for every key and value a change of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from prefgen.publish.exports.presets import PRESETS
from tests.matrix.language import language

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
    yield from language()
    for preset in ("attr", "ordinal"):
        yield f"export {preset}", {"publish.exports": [{preset: {"from": "kept", "labels": ["p_choice"]}}]}
    texts = {"draft": "area", "feedback": "item_choice", "revision": "area"}
    yield "export critique", {"publish.exports": [{"critique": {"from": "kept", **texts}}]}
    said = [{"role": "user", "content": "Parks?"}, {"role": "assistant", "content": "More."}]
    chats = {"steps.chats": {"table": [{"turns": said}, {"turns": said}]}}
    yield "export dialogue", {**chats, "publish.exports": ["judgments", {"dialogue": {"from": "chats"}}]}
    of_other_rows = ("attr", "ordinal", "history", "mcq", "critique", "dialogue")
    for preset in (name for name in PRESETS if name not in of_other_rows):
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
    "steps.cells.draw": [2, 100],
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
_LIVES = {"steps.lives": {"write": "backstory", "as": "people", "model": "m"}, "steps.answers.as": "lives"}
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
    "held against a survey, nothing kept": {"calibrate": "calibration-all.json", "steps.kept.where": "certainty > 5"},
    "held against a survey, nothing kept, no gates": {
        "calibrate": "calibration.json",
        "steps.kept.where": "certainty > 5",
    },
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
    "a hidden column": {"publish.hidden": ["area"], "expect.max_leaks": 1000},
    "no splits, no weights": {"steps.parts": None, "steps.weights": None},
    "lives": _LIVES,
    "lives, all keys": _LIVES
    | {
        "steps.lives": {
            "write": "backstory",
            "as": "people",
            "model": "m",
            "voice": "first",
            "facts": ["vote"],
            "words": 30,
            "tries": 2,
        }
    },
    "lives, second person": _LIVES
    | {"steps.lives": {"write": "backstory", "as": "people", "model": "m", "voice": "second"}},
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
        if key == "people":  # the file beside the pipeline, which the draw reads
            data["steps"].setdefault("people", {"n": 4})["draw"] = "drawn.yaml"
            continue
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

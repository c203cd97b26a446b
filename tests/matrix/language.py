"""Cells with candidates: what is written, shown together, rated, packed and paired without a judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_RATED = [
    {
        "prompt": f"{question}?",
        "response": f"{question} {answer}",
        "fit": (3 * place + 2 * number) % 5,
        "ease": (place * number) % 4,
        "cost": (number + 2 * place) % 3,
    }
    for place, question in enumerate(("Tea", "Jam"))
    for number, answer in enumerate(("yes", "no", "perhaps"))
]
_PEOPLE: Mapping[str, Any] = {
    "population": "town",
    "attributes": {"vote": {"left": 0.5, "right": 0.5}},
    "weights": {"dirichlet": 0.5, "over": ["fit", "ease", "cost"]},
    "text": "You vote {{ vote }}.",
}
_VOTES = {
    "table": [
        {"persona_id": who, "prompt": f"{what} for {who}?", "options": ["yes", "no"], "said": said, "age": age}
        for who, what, said, age in (("ann", "Tea", "yes", 30), ("ann", "Jam", "no", 30), ("bo", "Tea", "no", 40))
    ]
}
_BASE = {"people": {"draw": "drawn.yaml", "n": 3}, "rated": {"table": _RATED}}
_PICK = {"judge": "pick", "items": "rated", "as": "people"}
_OVER = ["fit", "ease", "cost"]
_FREE = {"write": "response", "for": "prompts", "model": "m"}

_STEPS: dict[str, Any] = {
    "picks of two": {"x": _PICK | {"show": 2, "model": "m"}},
    "picks of all, within": {"x": _PICK | {"show": "all", "within": ["item_id"], "model": "m"}},
    "picks by weights": {"x": _PICK | {"show": "all", "utility": "weights", "standardize": True, "noise": 0.5}},
    "picks by a utility": {"x": _PICK | {"show": 2, "utility": "people.fit * items.fit", "standardize": False}},
    "picks of models as themselves": {"x": {"judge": "pick", "items": "rated", "show": 2, "model": ["m"]}},
    "rankings": {
        "r": {
            "judge": "rank",
            "items": "rated",
            "show": "all",
            "as": "people",
            "where": "items.prompt <> ''",
            "per_persona": 1,
            "model": "m",
            "orders": ["given", "cyclic", "swapped"],
            "repeats": 2,
            "system": "{{ text }} Really.",
        },
        "x": {"pair": "best_vs_worst", "from": "r"},
    },
    "rankings of sets": {
        "r": {
            "judge": "rank",
            "items": ["rated"],
            "within": ["item_id"],
            "show": 3,
            "model": ["m"],
            "orders": "balanced",
        },
        "x": {"pair": "chosen_vs_other", "from": "r"},
    },
    "picks of a cast that several models play": {
        "x": {
            "judge": "pick",
            "items": "rated",
            "show": 2,
            "as": "people",
            "model": ["m"],
            "system": "{{ text }} Really.",
        }
    },
    "personas that several models play": {
        "who": {"people": "people", "models": ["m"]},
        "x": {"judge": "pick", "items": "rated", "show": 2, "as": "who", "model": ["m"]},
    },
    "rows as personas": {
        "v": {"table": [{"persona_id": "ann", "v_id": str(k), "text": f"You are {k}."} for k in range(2)]},
        "who": {"people": "v", "by": "v_id"},
        "x": {"judge": "pick", "items": "rated", "show": 2, "as": "who", "model": "m"},
    },
    "texts merged by words": {"x": {"merge": "rated", "column": "response", "near": 0.8}},
    "texts merged by a model": {
        "x": {"merge": "rated", "column": "response", "model": "m", "at_once": 3, "tries": 2},
    },
    "rows looked up": {
        "more": {"table": [{"prompt": "Tea?", "heat": 1}, {"prompt": "Jam?", "heat": 0}]},
        "x": {"join": ["rated", "more"], "match": ["prompt"]},
    },
    "pairs of judgments that others know": {
        "j": _PICK | {"show": 2, "utility": "weights"},
        "some": {"table": ["j"], "sql": "SELECT DISTINCT item_id FROM j"},
        "x": {"pair": "chosen_vs_other", "from": ["j", "some"]},
    },
    "picks of some": {
        "x": _PICK | {"show": 2, "model": "m", "per_persona": 1, "where": "items.prompt <> '' and people.vote <> ''"}
    },
    "scores": {
        "x": {
            "judge": "score",
            "items": "rated",
            "model": "m",
            "criteria": {"good": "it is good"},
            "range": "1..3",
            "repeats": 2,
            "readout": "text",
        }
    },
    "grades": {
        "x": {
            "judge": "grade",
            "items": "rated",
            "as": "people",
            "per_row": 1,
            "model": "m",
            "criteria": {"good": "it is good"},
            "levels": ["no", "yes"],
            "readout": "logprobs",
        }
    },
    "checks": {
        "x": {
            "judge": "check",
            "items": "rated",
            "model": "m",
            "criteria": {"good": "it is good"},
            "page": "{{ response }}!",
        }
    },
    "checks by criteria that are rows": {
        "c": {"table": [{"item_id": "t", "criterion": "it is hot"}, {"item_id": "t", "criterion": "it is wet"}]},
        "q": {"table": [{"item_id": "t", "prompt": "Tea?", "response": "yes"}]},
        "x": {"judge": "check", "items": "q", "model": "m", "criteria": "c", "reason": True, "system": "Be strict."},
    },
    "scores without a reason": {
        "x": {"judge": "score", "items": "rated", "model": "m", "criteria": {"good": "x"}, "reason": False}
    },
    "answers of people, each with its question": {"v": _VOTES, "x": {"judge": "pick", "items": "v", "given": "said"}},
    "answers of people about items": {
        "v": _VOTES,
        "q": {"table": "v", "drop": ["said", "persona_id"]},
        "w": {"table": ["v"], "sql": "SELECT persona_id, item_id, said, age FROM v"},
        "who": {"people": "w", "text": "You are {{ age }}.", "weight": "age"},
        "x": {"judge": "pick", "items": ["w", "q"], "as": "who", "given": "said", "also": ["tie"]},
    },
    "answers of people about candidates": {
        "v": {"table": [one | {"persona_id": "ann"} for one in _RATED]},
        "x": {"judge": "pick", "items": "v", "given": "fit", "show": 2},
    },
    "marks": {"x": {"judge": "mark", "items": "rated", "marks": ["fact", "taste"], "model": "m"}},
    "ratings of people": {
        "x": {"judge": "score", "items": "rated", "given": "fit", "criteria": {"good": "x"}, "range": "0..5"}
    },
    "texts apart": {
        "x": {"keep": "rated", "apart": {"column": "response", "within": ["item_id"], "below": 0.9, "most": 1}}
    },
    "packs": {
        "x": {
            "pack": "rated",
            "onto": "rated",
            "by": ["item_id"],
            "order": ["fit"],
            "before": True,
            "last": 1,
            "each": ["response"],
            "into": "h",
            "where": "cost >= 0",
        }
    },
    "packs of the first": {"x": {"pack": "people", "onto": "people", "by": ["vote"], "before": False, "first": 2}},
    "packs, drawn": {"x": {"pack": "rated", "onto": "rated", "by": ["item_id"], "draw": 1}},
    "packs within tokens, with distractors": {
        "q": {"table": ["rated"], "sql": "SELECT *, 'x' AS extra FROM rated"},
        "r": {"table": ["rated"], "sql": "SELECT item_id, count(*) AS n FROM rated GROUP BY item_id"},
        "x": {
            "pack": "rated",
            "onto": ["q", "r"],
            "by": ["item_id"],
            "differ": ["candidate_id"],
            "order": ["fit"],
            "tokens": 9,
            "model": "m",
            "mix": {"from": "rated", "share": 0.5},
            "each": "response",
            "into": "h",
        },
    },
    "the last of everybody": {
        "x": {"split": "rated", "time": {"column": "fit", "last": 1, "per": "item", "validation": 1}}
    },
    "analyses": {
        "x": _PICK | {"show": 2, "utility": "weights"},
        "y": _PICK | {"show": 2, "utility": "people.fit * items.fit"},
        "p": {"pair": "chosen_vs_other", "from": "x"},
        "l": {"pair": "rows", "from": "rated", "where": "chosen.fit > rejected.fit"},
        "analyse": [
            {"rank": {"name": "who wins", "from": "p", "of": "text", "by": ["vote"]}},
            {"calibrate": {"name": "right", "from": "x", "against": "y", "column": "choice"}},
            {"slices": {"name": "fit", "from": "rated", "of": "fit", "by": ["prompt"]}},
            {"spread": {"name": "texts", "from": "rated", "of": "response", "within": ["item_id"]}},
            {"loops": {"name": "order", "from": "p", "of": "text", "by": ["persona_id"]}},
            {"segments": {"name": "kinds", "from": "people", "by": "persona_id", "over": ["fit", "ease"], "n": 2}},
        ],
    },
    "what vectors differ in": {
        "v": {"table": [{"at": [float(n), 1.0 - n % 2], "kind": ("old", "new")[n % 2]} for n in range(4)]},
        "x": {"table": "v"},
        "analyse": [{"components": {"name": "kinds", "from": "x", "of": "at", "by": ["kind"], "n": 1}}],
    },
    "packs of the longest": {"x": {"pack": "rated", "onto": "rated", "by": ["item_id"], "longest": 1}},
    "packs without rows of their own": {"x": {"pack": "rated", "by": ["item_id"], "draw": 1, "copies": 2}},
    "elements": {
        "q": {"table": "rated", "drop": ["cost"]},
        "p": {"pack": "rated", "onto": "q", "by": ["item_id"], "each": ["cost"], "into": "h"},
        "x": {"table": "p", "each": "h", "drop": ["candidate_id"]},
    },
    "a query": {"x": {"table": ["rated", "people"], "sql": "SELECT prompt, count(*) AS n FROM rated GROUP BY prompt"}},
    "stacked": {
        "more": {"table": [{"prompt": "Milk?", "response": "yes"}]},
        "x": {"table": ["rated", "more"], "set": {"n": "{{ fit }}"}},
    },
    "loops": {"x": {"pair": "cycle", "from": "rated", "within": ["item_id"], "over": _OVER}},
    "loops of sets": {
        "s": {"show": "rated", "within": ["item_id"], "size": 2},
        "x": {"pair": "cycle", "from": "rated", "over": _OVER, "items": "s"},
    },
    "pairs by a rule": {
        "x": {
            "pair": "rows",
            "from": "rated",
            "within": ["item_id"],
            "where": "chosen.fit > rejected.fit",
            "take": "all",
        }
    },
    "pairs of sets": {
        "s": {"show": "rated", "size": 2},
        "x": {
            "pair": "rows",
            "from": "rated",
            "items": "s",
            "where": "chosen.fit > rejected.fit",
            "take": {"widest": "chosen.fit - rejected.fit"},
        },
    },
    "weights of attributes": {
        "j": _PICK | {"show": 2, "utility": "people.fit * items.fit", "noise": 1.0},
        "p": {"pair": "chosen_vs_other", "from": "j"},
        "x": {
            "weigh": "fit",
            "from": "p",
            "of": ["fit", "cost"],
            "by": ["persona_id"],
            "ridge": 1.0,
            "standardize": True,
        },
    },
    "weights of attributes, all together": {
        "j": _PICK | {"show": 2, "utility": "weights", "noise": 1.0},
        "p": {"pair": "chosen_vs_other", "from": "j"},
        "x": {"weigh": "fit", "from": "p", "of": ["fit"], "by": [], "standardize": False},
    },
    "ranks": {
        "j": _PICK | {"show": 2, "utility": "weights", "noise": 1.0},
        "p": {"pair": "chosen_vs_other", "from": "j"},
        "x": {"weigh": "rank", "from": "p", "of": "candidate_id", "by": ["prompt_id"], "ridge": 0.5},
    },
    "sets of all": {"x": {"show": "rated", "size": "all"}},
    "texts": {
        "prompts": {"table": [{"prompt": "Tea?"}]},
        "x": _FREE
        | {
            "system": "Be kind.",
            "max_tokens": 20,
            "repeats": 2,
            "tries": 2,
            "again": "Anew: {{ reason }}",
            "measure": {
                "n": {"words": "response"},
                "s": {"sentences": "response"},
                "o": {"overlap": "response", "with": "prompt"},
                "k": {"says": "response", "of": ["prompt"]},
            },
            "where": {"long": "n < 1000"},
        },
    },
    "texts read back": {
        "prompts": {"table": [{"prompt": "Tea?", "words": ["tea", "jam"]}]},
        "x": _FREE
        | {
            "tries": 2,
            "reader": {
                "unread": {
                    "ask": "{{ response }}?",
                    "options": "words",
                    "want": "tea",
                    "orders": "balanced",
                    "least": 0.5,
                },
                "missing": {"ask": "{{ element }}?", "each": "words", "orders": "given", "repeats": 2, "model": "m"},
            },
        },
    },
    "texts by which items are answered": {
        "prompts": {"table": [{"prompt": "Tea?"}]},
        "probes": {"table": [{"prompt": "Tea?", "options": ["yes", "no"]}]},
        "x": _FREE
        | {"reader": {"wavers": {"items": "probes", "as": "response", "want": "same", "orders": ["given", "swapped"]}}},
    },
    "texts read back in other orders": {
        "prompts": {"table": [{"prompt": "Tea?"}]},
        "x": _FREE
        | {
            "reader": {
                "a": {"ask": "{{ response }}?", "orders": "swapped"},
                "b": {"ask": "{{ response }}?", "orders": "cyclic"},
            }
        },
    },
    "conversations": {
        "prompts": {"table": [{"prompt": "Tea?", "k": 1, "item_id": "t"}]},
        "more": {"table": [{"k": 1, "want": "mint"}]},
        "hints": {"table": [{"item_id": "t", "hint": "warm"}]},
        "x": {
            "talk": 2,
            "for": ["prompts", "more"],
            "match": ["k"],
            "with": ["hints"],
            "opens": "person",
            "sides": {
                "person": {
                    "model": "m",
                    "system": "You want {{ want }}.",
                    "first": "{{ prompt }}",
                    "reply": {"say": "text", "score": "1..3"},
                },
                "assistant": {"model": "m", "max_tokens": 20},
                "watcher": {
                    "model": "m",
                    "when": "turn = 2",
                    "prompt": "{{ assistant.say }}?",
                    "reply": {"note": "text"},
                },
            },
            "until": "person.score = 1",
            "measure": {"n": {"words": "turns"}, "d": {"edits": "assistant.say", "with": "person.say"}},
            "repeats": 2,
            "tries": 2,
        },
    },
    "conversations that remember": {
        "prompts": {"table": [{"prompt": "Tea?", "k": 1}, {"prompt": "Jam?", "k": 2}]},
        "x": {
            "talk": 1,
            "for": "prompts",
            "sides": {
                "person": {"model": "m", "prompt": "{{ prompt }} {{ memory | join(' ') }}"},
                "assistant": {"model": "m"},
            },
            "memory": {"by": ["prompt"], "order": "k", "see": "assistant.say", "last": 1},
        },
    },
    "texts that remember": {
        "prompts": {"table": [{"prompt": "Tea?", "k": 2}, {"prompt": "Jam?", "k": 1}]},
        "x": _FREE
        | {"system": "{{ memory }}", "memory": {"by": ["prompt"], "order": "k", "see": "response", "last": 1}},
    },
    "texts as people": {
        "prompts": {"table": [{"prompt": "Tea?"}]},
        "x": _FREE | {"as": "people", "per_row": 1, "prompt": "{{ persona.text }} {{ prompt }}"},
    },
    "a list": {
        "prompts": {"table": [{"prompt": "Tea?", "k": 1}]},
        "more": {"table": [{"k": 1, "say": "x"}]},
        "x": {"write": [{"ask": "text"}], "count": 2, "for": ["prompts", "more"], "match": ["k"], "model": "m"},
    },
}


def language() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, change) of every cell."""
    for name, said in _STEPS.items():
        steps = {key: step for key, step in said.items() if key != "analyse"}
        asked = {"analyse": said["analyse"]} if "analyse" in said else {}
        yield name, {"people": _PEOPLE, "steps": _BASE | steps, "publish.exports": [{"rows": {"from": "x"}}], **asked}

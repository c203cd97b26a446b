"""Files that were right, changed at random: each mutant depends on its number alone."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import yaml

PIPELINE = """\
name: town
seed: 1
models:
  judge: {engine: openai, model: m, base_url: "http://127.0.0.1:9/v1", temperature: 0.5, max_tokens: 20}
  writer: {engine: batch, model: w, base_url: "http://127.0.0.1:9/v1"}
  small: {engine: embedded}
steps:
  people: {draw: people.yaml, n: 5, controls: [none, wrong]}
  cells:
    product:
      group: [women, men]
      topic: {by: [theme], tree: {rewards: [wages, bonuses], care: [time]}}
      side: [{side: a, first: this, second: that}, {side: b, first: here, second: there}]
    where: "NOT (topic = 'time' AND side = 'b')"
  questions:
    table: cells
    set: {label: "{{ group }}: {% for x in [1, 2] %}{{ x }}{% endfor %}"}
    forms:
      short: {prompt: "{{ topic }} for {{ group }}?", options: ["{{ first }}", "{{ second }}", neither], neither: C}
      long: {prompt: "Who gets {{ topic | upper }}?", options: [they, others]}
    drop: [first, second]
  mine: {table: items.jsonl}
  theirs: {table: items.csv}
  inline: {table: [{prompt: "Tea or coffee?", options: [tea, coffee], when: morning}, {prompt: "Cat or dog?", options: [cat, dog]}]}
  answers: {judge: pick, items: questions, as: people, model: judge, orders: [given, swapped], readout: certainty, also: [tie]}
  kept: {keep: answers, where: {swayed: order_agreement, unsure: "p_choice >= 0.6"}}
  weights: {weigh: tier, from: kept, alpha: 1}
  pairs: {pair: chosen_vs_other, from: kept, items: questions, weight: weights}
  parts: {split: pairs, by: [topic, persona], test: 0.2}
  others: {judge: pick, items: mine, as: people, model: small, repeats: 2}
expect: {questions: 20, answers: {min_yield: 0.5}}
publish: {exports: [judgments, dpo: {from: parts}, items], license: cc-by-4.0, title: A town, tags: [x]}
"""

PEOPLE = """\
population: town
source: made up
attributes:
  age: {18-34: 0.3, 35-64: 0.5, 65+: 0.2}
  vote: {left: 0.45, right: 0.35, none: 0.20}
  years: {bins: {0-9: 0.4, 10-40: 0.6}}
  number: {uniform: {min: 1, max: 9}}
keep: "vote <> 'none' OR age = '65+'"
oversample: {by: age, shares: {65+: 0.4}}
text: You are {{ age }}, vote {{ vote }}, have lived here {{ years }} years. ({{ number }})
"""

PORTRAITS = """\
population: three
source: made up
portraits:
  - {id: a, share: 0.5, text: You are a farmer., region: north}
  - {id: b, share: 0.3, text: You are a nurse., region: south}
  - {id: c, share: 0.2, text: You are a clerk., region: north}
"""

ITEMS = [
    {
        "item_id": f"i{n}",
        "prompt": f"Question {n}?",
        "options": ["yes", "no"],
        "topic": ["x", "y"][n % 2],
        "n": n,
        "neither": None,
    }
    for n in range(4)
]
CSV = 'prompt,options,neither,topic,n\nTea?,"[""yes"", ""no"", ""both""]",C,x,1\nCat?,yes | no | both,C,y,2\n'

RAW = [
    '!!int ""',
    "!!timestamp x",
    "!!binary x",
    "!!set {a, b}",
    "!!python/name:os.system",
    "!foo bar",
    ".nan",
    "-.inf",
    "1e999",
    "2020-01-01",
    "12:30:45",
    "0x1F",
    "1_000",
    "&a [*a]",
    "&b {<<: *b}",
    "{<<: 3}",
    "{<<: [1]}",
    "*nope",
    "9" * 30,
    "-" + "9" * 5000,
    "[" * 80 + "]" * 80,
    "{a: " * 70 + "1" + "}" * 70,
    '"\\ud83d"',
    '"\\0"',
    '"\\e[2J"',
    "? [1]\n",
    "|\n  text\n",
    "!!str",
    "~",
    "",
    "{}",
    "[]",
    "[[]]",
    "{a: {b: {}}}",
    "'" + "x" * 3000 + "'",
]
JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    3,
    10**6,
    2**31,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.5,
    1.5,
    1e300,
    "",
    " ",
    "x",
    "none",
    "no",
    "ä" * 40,
    "🙂",
    "\u202e",
    "a\nb",
    "{{",
    "{{ nope }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ age.__class__ }}",
    "(((",
    "a IN (SELECT 1)",
    "p_choice >=",
    "now() > 1",
    "CAST(topic AS INT) > 1",
    "../../etc/passwd",
    "/dev/null",
    "people.yaml",
    "items.jsonl",
    "items.csv",
    "nosuch.parquet",
    "questions",
    "answers",
    "embedded",
    "given",
    "A",
    "z" * 200,
    "item_id",
    [],
    [None],
    [[]],
    ["x"],
    ["x", "x"],
    [1, "x", None],
    [{}],
    {},
    {"": 1},
    {"x": None},
    {"x": {"y": []}},
    {"by": ["a"], "tree": {}},
    {"step": "mine"},
    {"file": "items.csv"},
    {"min": 5, "max": 1},
    {"bins": {}},
    {"given": "age"},
    {"engine": "nope"},
    {"hub": "a/b"},
    {"from": "kept"},
    {"prior": 0.1},
    list(range(300)),
]
_MARK = "@@raw@@"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A folder's files, one of them changed, and which of them is checked."""

    files: dict[str, bytes]
    checked: str
    changed: str


def mutants(seed: int, n: int, sources: dict[str, str]) -> Iterator[Mutant]:
    """`n` mutants; `sources` are further YAML files by the name under which they are checked."""
    for number in range(n):
        yield mutant(random.Random(f"{seed} {number}"), sources)


def mutant(rng: random.Random, sources: dict[str, str]) -> Mutant:
    right = {
        "p.yaml": PIPELINE.encode(),
        "people.yaml": PEOPLE.encode(),
        "portraits.yaml": PORTRAITS.encode(),
        "items.jsonl": b"".join(orjson.dumps(item) + b"\n" for item in ITEMS),
        "items.csv": CSV.encode(),
    }
    files = right | {name: text.encode() for name, text in sources.items()}
    name = rng.choice([*["p.yaml"] * 6, *["people.yaml"] * 3, "portraits.yaml", "items.jsonl", "items.csv", *sources])
    change = {"yaml": _yaml, "jsonl": _jsonl, "csv": _csv}[name.rsplit(".", 1)[1]]
    files[name] = change(files[name], rng)
    checked = name if (name.endswith(".yaml") and rng.random() < 0.7) or name in sources else "p.yaml"
    return Mutant(files, checked, name)


def _yaml(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.12:
        return _bytes(content, rng)
    data = yaml.safe_load(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = _tree(data, rng)
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=10_000)
    while _MARK in text:
        text = text.replace(f"'{_MARK}'", rng.choice(RAW), 1) if f"'{_MARK}'" in text else text.replace(_MARK, "x", 1)
    if rng.random() < 0.05:  # a line twice
        lines = text.splitlines(keepends=True)
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        text = "".join(lines)
    return text.encode("utf-8", "surrogatepass")


def _tree(data: Any, rng: random.Random) -> Any:
    """One thing of a tree changed: replaced, left out, twice, renamed, wrapped, moved."""
    data = copy.deepcopy(data)
    holders = list(_holders(data))
    if not holders:
        return rng.choice(JUNK)
    holder, key = rng.choice(holders)
    value = holder[key]
    act: Callable[[], Any] = rng.choice(
        [
            lambda: holder.__setitem__(key, copy.deepcopy(rng.choice(JUNK))),
            lambda: holder.__setitem__(key, _alike(value, rng)),
            lambda: holder.__setitem__(key, _alike(value, rng)),
            lambda: holder.__setitem__(key, _alike(value, rng)),
            lambda: holder.__setitem__(key, _MARK),
            lambda: holder.__setitem__(key, _MARK),
            lambda: holder.__delitem__(key),
            lambda: holder.__setitem__(key, [value]),
            lambda: holder.__setitem__(key, {"x": value}),
            lambda: holder.__setitem__(key, [value, copy.deepcopy(value)]),
            lambda: _renamed(holder, key, rng),
            lambda: _swapped(holders, holder, key, rng),
            lambda: holder.__setitem__(key, -value * 10 if isinstance(value, int | float) else str(value) * 2),
            lambda: (
                holder.append(value)
                if isinstance(holder, list)
                else holder.__setitem__(rng.choice(["x", "text", "n", "where", "kind"]), value)
            ),
        ]
    )
    act()
    return data


def _alike(value: Any, rng: random.Random) -> Any:
    """Another value of the same type, so that what reads it first does not refuse it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return rng.choice([one for one in JUNK if isinstance(one, int | float) and not isinstance(one, bool)])
    if isinstance(value, str):
        names = [
            "item_id",
            "prompt",
            "options",
            "neither",
            "persona_id",
            "text",
            "weight",
            "control",
            "choice",
            "p",
            "topic",
            "group",
            "form",
            "index",
            "_row",
            "literal",
            "len",
        ]
        return rng.choice([*names, *[one for one in JUNK if isinstance(one, str)]])
    kept = [
        (key, one)
        for key, one in (value.items() if isinstance(value, dict) else enumerate(value or []))
        if rng.random() < 0.6
    ]
    rng.shuffle(kept)
    return dict(kept) if isinstance(value, dict) else [one for _, one in kept]


def _holders(data: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(
        data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    ):
        yield data, key
        yield from _holders(value)


def _renamed(holder: Any, key: Any, rng: random.Random) -> None:
    if isinstance(holder, dict):
        holder[
            rng.choice(
                [f"{key}s", str(key)[:-1], str(key).upper(), "", " ", "_id", "chosen", "prompt", "é", 7, None, True]
            )
        ] = holder.pop(key)


def _swapped(holders: list[tuple[Any, Any]], holder: Any, key: Any, rng: random.Random) -> None:
    other, place = rng.choice(holders)
    mine, theirs = copy.deepcopy(holder[key]), copy.deepcopy(other[place])
    other[place] = mine
    if key in holder if isinstance(holder, dict) else key < len(holder):
        holder[key] = theirs


def _jsonl(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return _bytes(content, rng)
    rows = [orjson.loads(line) for line in content.splitlines()]
    for _ in range(rng.choice([1, 1, 2])):
        rows = _tree(rows, rng)
        rows = rows if isinstance(rows, list) else [rows]
    lines = [str(row).encode() if row == _MARK else yaml_json(row) for row in rows]
    return b"\n".join(lines) + b"\n"


def yaml_json(row: Any) -> bytes:
    import json

    raw = rng_free_raw(json.dumps(row, ensure_ascii=False))
    return raw.encode("utf-8", "surrogatepass")


def rng_free_raw(text: str) -> str:
    """What JSON does not write by itself."""
    return text.replace(f'"{_MARK}"', "NaN").replace(_MARK, "x")


def _csv(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return _bytes(content, rng)
    rows = [line.split(b",") for line in content.splitlines()]
    for _ in range(rng.choice([1, 1, 2])):
        row = rng.choice(rows)
        cell = rng.randrange(len(row)) if row else 0
        row[cell : cell + rng.choice([0, 1, 1, 2])] = rng.choice(
            [
                [],
                [b""],
                [b'"'],
                [b"NA"],
                [b"007"],
                [b"x", b"y"],
                [b"\xff"],
                ["ä;ö".encode()],
                [b"1e999"],
                [b"item_id"],
                [b"prompt"],
            ]
        )
    return rng.choice([b"\n", b"\r\n", b"\n\n"]).join(b",".join(row) for row in rows) + b"\n"


def _bytes(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    until = min(len(content), at + rng.choice([0, 0, 1, 5, 40, 10_000]))
    new = rng.choice(
        [
            b"",
            b"",
            b"\x00",
            b"\xff\xfe",
            b"\t",
            b"\r",
            b"\n",
            b"\xef\xbb\xbf",
            b"---\n",
            b"...",
            b": ",
            b"- ",
            b"{",
            b"]",
            b'"',
            b"'",
            b"#",
            b"&a ",
            b"*a ",
            b"<<: ",
            b"%YAML 1.2\n",
            b"\xc2\x85",
            b"9" * 400,
            content[:50],
        ]
    )
    return content[:at] + new + content[until:]

"""The export `dialogue`: what was said as messages, and nothing that was hidden; what reads it takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest
import yaml

import prefgen
from prefgen.errors import SpecError
from tests.servers.ruled import ruled

ROWS = [
    {
        "persona_id": "ann",
        "text": "You are Ann.",
        "prompt": "Which tea?",
        "want": "peppermint",
        "day": 1,
        "item_id": "t",
    },
    {
        "persona_id": "bo",
        "text": "You are Bo.",
        "prompt": "Which jams?",
        "want": "strawberry",
        "day": 2,
        "item_id": "j",
    },
]
SIDES: dict[str, Any] = {
    "person": {"model": "m", "first": "{{ prompt }}", "reply": {"say": "text", "score": "1..10", "doubt": "text"}},
    "agent": {"model": "m", "system": "Guess."},
    "watcher": {"model": "m", "prompt": "Watch {{ agent.say }}", "reply": {"note": "text"}},
}


def said(system: str, page: str) -> str:
    if page.startswith("Watch"):
        return "secretly noted"
    if system == "Guess.":
        return f"A guess after {len(page)} letters."
    return json.dumps({"say": "Not yet.", "score": 3, "doubt": "whatever for"})


def written(folder: Path, exports: list[Any], hidden: list[str] | None = None, **more: Any) -> Path:
    steps: dict[str, Any] = {
        "rows": {"table": ROWS},
        "people": {"people": "rows", "text": "{{ text }}"},
        "chats": {"talk": 2, "for": "rows", "opens": "person", "sides": SIDES},
    }
    steps |= more.pop("steps", {})
    pipeline = {"name": "town", "steps": steps, "publish": {"exports": exports, "hidden": hidden or []}, **more}
    path = folder / "p.yaml"
    pipeline["models"] = {"m": {"engine": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}}
    path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    return path


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, exports: list[Any], rule: Any = said, **more: Any) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    path = written(folder, exports, **more)
    with ruled(rule) as served:
        loaded = prefgen.load(path, {"models.m.base_url": served.base_url})
        prefgen.run(loaded, folder / "run", report=False)
    return folder / "run"


ROLES = {"roles": {"agent": "assistant"}}


def test_sides_are_renamed_and_notes_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path, monkeypatch, [{"dialogue": ROLES | {"labels": ["day"], "columns": ["want"]}}])
    data = pl.read_parquet(run / "data" / "dialogue" / "*.parquet")
    assert data.columns == ["messages", "persona_id", "item_id", "day", "want"]
    ann = data["messages"][0].to_list()
    assert [one["role"] for one in ann] == ["user", "assistant", "user", "assistant"]
    assert ann[0]["content"] == "Which tea?"
    assert not any(word in json.dumps(data["messages"].to_list()) for word in ("secretly", "whatever", "score"))
    loaded = datasets.load_dataset(str(run), "dialogue", split="train", cache_dir=str(tmp_path / "cache"))
    assert list(loaded[0]["messages"][0]) == ["role", "content"]


def test_portraits_become_the_system_or_the_first_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exports = [
        {"dialogue": ROLES | {"context": "profile"}},
        {"dialogue": ROLES | {"context": "profile", "system_role": False, "name": "plain"}},
    ]
    run = made(tmp_path, monkeypatch, exports)
    first, plain = (
        pl.read_parquet(run / "data" / name / "*.parquet")["messages"][0].to_list() for name in ("dialogue", "plain")
    )
    assert first[0] == {"role": "system", "content": "You are Ann."}
    assert plain[0] == {"role": "user", "content": "You are Ann.\n\nWhich tea?"}
    assert first[2:] == plain[1:]


def test_what_one_role_says_in_a_row_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path, monkeypatch, [{"dialogue": {"roles": {"person": "assistant"}}}])
    data = pl.read_parquet(run / "data" / "dialogue" / "*.parquet")["messages"][0].to_list()
    assert [one["role"] for one in data] == ["assistant", "user"] * 2
    steps = {
        "mixed": {
            "table": [{"turns": [{"role": r, "content": c} for r, c in (("a", "1"), ("b", "2"), ("assistant", "3"))]}]
        }
    }
    run = made(tmp_path, monkeypatch, [{"dialogue": {"from": "mixed"}}], steps=steps)
    (row,) = pl.read_parquet(run / "data" / "dialogue" / "*.parquet")["messages"].to_list()
    assert row == [{"role": "user", "content": "1\n\n2"}, {"role": "assistant", "content": "3"}]


def test_a_row_without_turns_is_its_prompt_and_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {
        "plain": {"write": "response", "for": "rows", "model": "m"},
        "both": {"table": ["chats", "plain"], "set": {"response": "{{ response or agent.say }}"}},
    }
    run = made(tmp_path, monkeypatch, [{"dialogue": {"from": "both"} | ROLES}], steps=steps)
    data = pl.read_parquet(run / "data" / "dialogue" / "*.parquet")["messages"].to_list()
    assert [len(one) for one in data] == [4, 4, 2, 2]
    assert data[2][0] == {"role": "user", "content": "Which tea?"}


def test_what_is_hidden_leaves_in_no_field_and_is_found_where_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaking(system: str, page: str) -> str:
        told = said(system, page)
        return told.replace("Not yet.", "I want peppermint.") if "10 letters" in page or "Guess" in system else told

    exports = [{"dialogue": ROLES}, {"rows": {"from": "chats"}}]
    run = made(tmp_path, monkeypatch, exports, leaking, hidden=["want", "doubt", "note"])
    rows = pl.read_parquet(run / "data" / "rows" / "*.parquet")
    assert "want" not in rows.columns
    assert [one.name for one in rows.schema["person"].fields] == ["say", "score"]
    assert [one.name for one in rows.schema["turns"].inner.fields] == ["role", "content", "score"]
    configs = {one["name"]: one for one in json.loads((run / "manifest.json").read_text())["configs"]}
    assert configs["dialogue"]["leaks"]["by"] == {"want": 1}
    assert configs["dialogue"]["leaks"]["searched"] >= 3  # two wants, a doubt, a note


def test_by_default_the_last_step_with_conversations_is_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []

    def rule(system: str, page: str) -> Any:
        if "How far does this hold?" in page:
            pages.append(page)
            return {"4": 0.9, "1": 0.1}
        return said(system, page)

    scored = {"judge": "score", "items": "chats", "criteria": {"kind": "it is kind"}, "range": "1..4", "model": "m"}
    run = made(tmp_path, monkeypatch, [{"dialogue": ROLES | {"labels": ["kind"]}}], rule, steps={"scored": scored})
    assert pl.read_parquet(run / "data" / "dialogue" / "*.parquet")["kind"].to_list() == pytest.approx([3.7] * 2)
    assert "agent: A guess" in pages[0]
    assert "None" not in pages[0]  # what was noted is not rated


def test_parts_of_replies_leave_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    critique = {"draft": "agent.say", "feedback": "watcher.note", "revision": "person.say", "labels": ["person.score"]}
    exports = [{"critique": critique}, {"dialogue": ROLES | {"labels": ["person.score"]}}]
    run = made(tmp_path, monkeypatch, exports, hidden=["note"])
    data = pl.read_parquet(run / "data" / "critique" / "*.parquet")
    assert data["feedback"].to_list() == ["secretly noted"] * 2
    assert data["person.score"].to_list() == [3, 3]
    assert pl.read_parquet(run / "data" / "dialogue" / "*.parquet")["person.score"].to_list() == [3, 3]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "nobody of person, agent, watcher is the assistant"),
        ({"roles": {"nobody": "assistant"}}, "nobody in its conversations is called 'nobody'"),
        ({"roles": {"agent": "robot"}}, "is not understood"),
        ({"from": "rows"}, "no column 'turns'"),
        (ROLES | {"turns": "person"}, "'person' has no conversations"),
        (ROLES | {"labels": ["nope"]}, "no column 'nope'"),
    ],
)
def test_what_cannot_be_exported_is_told_before_anybody_is_asked(tmp_path: Path, options: Any, problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        prefgen.plan(prefgen.load(written(tmp_path, [{"dialogue": options}])))


@pytest.mark.train
@pytest.mark.filterwarnings("ignore")  # torch and transformers have many of their own
def test_trl_takes_an_sft_step_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trl = pytest.importorskip("trl")
    from tests.publish.test_trainers import model, settings
    from tests.training import tiny

    run = made(tmp_path, monkeypatch, [{"dialogue": ROLES}])
    loaded = datasets.load_dataset(str(run), "dialogue", split="train", cache_dir=str(tmp_path / "cache"))
    texts = " ".join(message["content"] for row in loaded for message in row["messages"])
    words = tiny.tokenizer(sorted(set(texts.split())))
    trainer = trl.SFTTrainer(
        model(words, "LlamaForCausalLM", tmp_path),
        args=trl.SFTConfig(**settings(tmp_path / "out")),
        train_dataset=loaded,
        processing_class=words,
    )
    assert trainer.train().global_step == 1

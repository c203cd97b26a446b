"""Where nothing came that can be read, the run says why, ends with 3, and goes on once the settings are mended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from prefgen.errors import EngineError
from prefgen.flow.pipeline import load
from prefgen.judging.nonresponse import NonresponseReasons
from prefgen.records import Response
from prefgen.spec.pipeline import Pipeline
from tests.faults.pipelines import prefgen, write_pipeline
from tests.servers.running import Served
from tests.test_run import STEPS, Nobody, run

Start = Callable[..., Served]
REFUSE = {"storms": [{"rate": 1.0, "kinds": ["context_length"], "per": "prompt"}]}


def test_nothing_answered_is_exit_3_with_the_reason_and_the_next_run_goes_on(folder: Path, endpoint: Start) -> None:
    served = endpoint(REFUSE)
    path = write_pipeline(folder, served.base_url, personas=3, items=2, steps=STEPS)
    for _ in range(2):  # and a final failure is asked again, for it was nobody's answer
        before = served.log()["requests"]
        ran = prefgen("run", str(path), "--out", "out", "--no-report", XDG_CACHE_HOME=str(folder))
        assert ran.code == 3, ran.err
        assert "answers: nothing was answered" in ran.err
        assert "maximum context length" in ran.err
        assert "a larger context" in ran.err
        assert "load_dataset" not in ran.out + ran.err
        assert served.log()["requests"] > before
        assert orjson.loads((folder / "out" / "manifest.json").read_bytes())["status"] == "unanswered"
    served.follow({})
    assert run(load(path), folder / "out", Nobody()).manifest["status"] == "finished"


def test_nobody_is_paid_on_top_of_nothing(folder: Path, endpoint: Start) -> None:
    served = endpoint(REFUSE)
    lives = {"lives": {"write": "backstory", "as": "personas", "model": "judge"}}
    judged = {"more": {"judge": "pick", "items": "items", "as": "lives", "model": "judge"}}
    path = write_pipeline(folder, served.base_url, personas=3, items=2, steps=lives | judged)
    data = load(path).model_copy()
    steps = {name: data.steps[name] for name in ("personas", "items", "lives", "more")}
    with pytest.raises(EngineError, match="lives: nothing was answered"):
        run(data.model_copy(update={"steps": steps}), folder / "out", Nobody())
    assert not (folder / "out" / "tables" / "more").exists()


@pytest.mark.parametrize("fault", ["content_filter", "refusal"])
@pytest.mark.parametrize("more", [(), ("--limit", "1")], ids=["all", "preview"])
def test_nothing_but_refusals_is_exit_3_with_the_reason(
    folder: Path, endpoint: Start, fault: str, more: tuple[str, ...]
) -> None:
    served = endpoint({"storms": [{"rate": 1.0, "kinds": [fault], "per": "prompt"}]})
    path = write_pipeline(folder, served.base_url, personas=3, items=2, steps=STEPS)
    ran = prefgen("run", str(path), "--out", "out", "--no-report", *more)
    assert ran.code == 3, ran.err
    assert "answers: nothing was answered" in ran.err
    assert {"content_filter": "withheld by a filter", "refusal": "refusal, e.g. "}[fault] in ran.err
    assert "another model" in ran.err
    assert "load_dataset" not in ran.out + ran.err
    assert orjson.loads((folder / "out" / "manifest.json").read_bytes())["status"] == "unanswered"


LIVES = {"lives": {"write": "backstory", "as": "personas", "model": "judge"}}
SCENES = {"scenes": {"write": "vignettes", "items": "items", "model": "judge", "words": 20}}


def written_then_judged(folder: Path, base_url: str, writing: dict[str, dict[str, object]], **keys: object) -> Pipeline:
    """A pipeline whose judge reads what a model writes first."""
    (name,) = writing
    reads = {"items": "items", "as": "personas"} | ({"as": name} if name == "lives" else {"items": name})
    steps = {name: writing[name] | keys, "answers": {"judge": "pick", "model": "judge", **reads}}
    path = write_pipeline(folder, base_url, personas=3, items=2)
    said = yaml.safe_load(path.read_text())
    said["steps"] = {one: said["steps"][one] for one in ("personas", "items")} | steps
    said["publish"] = {"exports": ["judgments"]}
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return load(path)


@pytest.mark.parametrize("writing", [LIVES, SCENES], ids=["backstory", "vignettes"])
@pytest.mark.parametrize("fault", ["content_filter", "null_content", "context_length"])
def test_texts_of_which_none_came_are_exit_3(folder: Path, endpoint: Start, writing: Any, fault: str) -> None:
    served = endpoint({"storms": [{"rate": 1.0, "kinds": [fault], "per": "prompt"}]})
    (name,) = writing
    with pytest.raises(EngineError, match=f"{name}: nothing was answered"):
        run(written_then_judged(folder, served.base_url, writing), folder / "out", Nobody())
    assert not (folder / "out" / "tables" / "answers").exists()


def test_texts_of_which_none_passes_its_checks_are_exit_5(folder: Path, endpoint: Start) -> None:
    served = endpoint()
    written_then_judged(folder, served.base_url, SCENES, sentences=[9, 12])
    for _ in range(2):
        ran = prefgen("run", "pipeline.yaml", "--out", "out", "--no-report")
        assert ran.code == 5, ran.err
        assert "scenes: none of 2 rows was kept (2 sentences), so 'answers' has nothing to ask about" in ran.err
        assert "load_dataset" not in ran.out + ran.err
    assert served.log()["twice"] == 0, "what was written is not asked for again"
    assert run(written_then_judged(folder, served.base_url, SCENES), folder / "out", Nobody()).fresh


READING = "Read this"
"""How the page of a reader begins, and no other."""


@pytest.mark.parametrize("fault", ["wrong_option", "null_content", "refusal"])
def test_texts_that_came_and_are_all_unread_are_exit_5(folder: Path, endpoint: Start, fault: str) -> None:
    served = endpoint({"rules": [{"match": READING, "fault": fault}]})
    written_then_judged(folder, served.base_url, SCENES)
    for _ in range(2):
        ran = prefgen("run", "pipeline.yaml", "--out", "out", "--no-report")
        assert ran.code == 5, ran.err
        assert "scenes: none of 2 rows was kept (2 unread), so 'answers' has nothing to ask about" in ran.err
    assert served.log()["twice"] == 0, "what was written and paid for is not asked for again"


def test_texts_that_came_and_whose_readers_all_failed_are_exit_3_and_read_by_the_next_run(
    folder: Path, endpoint: Start
) -> None:
    served = endpoint({"rules": [{"match": READING, "fault": "400"}]})
    pipeline = written_then_judged(folder, served.base_url, SCENES)
    ran = prefgen("run", "pipeline.yaml", "--out", "out", "--no-report")
    assert ran.code == 3, ran.err
    assert "scenes: only 4 requests were answered; 0 of 2 rows have an answer: 8 x HTTP 400" in ran.err
    written = served.log()["answered"]
    served.follow({})
    assert run(pipeline, folder / "out", Nobody()).manifest["status"] == "finished"
    assert served.log()["twice"] == 0, "only the readers are asked again"
    assert written == 4


def test_items_dropped_before_anybody_is_asked_are_a_wrong_pipeline(folder: Path, endpoint: Start) -> None:
    served = endpoint()
    path = write_pipeline(folder, served.base_url, personas=3, items=2)
    said = yaml.safe_load(path.read_text())
    said["steps"]["some"] = {"keep": "items", "where": {"elsewhere": "topic = 'mars'"}}
    order = ("personas", "items", "some", "answers", "kept")
    said["steps"] = {name: said["steps"][name] for name in order}
    said["steps"]["answers"]["items"] = "some"
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    ran = prefgen("run", str(path), "--out", "out", "--no-report")
    assert ran.code == 2, ran.err
    assert served.log()["requests"] == 0


def test_what_failed_in_part_is_said_with_its_counts(folder: Path, endpoint: Start) -> None:
    served = endpoint({"storms": [{"rate": 0.3, "kinds": ["400"], "per": "prompt"}]})
    path = write_pipeline(folder, served.base_url, personas=6, items=4, steps=STEPS)
    ran = prefgen("run", str(path), "--out", "out", "--no-report", XDG_CACHE_HOME=str(folder))
    assert ran.code == 0
    judged = pl.concat(pl.read_parquet(part) for part in (folder / "out" / "tables" / "answers").glob("*.parquet"))
    failed = judged.filter(status="failed").height
    assert 0 < failed < judged.height
    assert f"{failed} x HTTP 400: " in ran.err


@pytest.mark.parametrize(
    ("response", "statuses", "words"),
    [
        (Response("r", failure="HTTP 400: System role not supported"), {"failed": 1}, "`system_role: false`"),
        (Response("r", failure="HTTP 400: logprobs are not allowed"), {"failed": 1}, "`logprobs: false`"),
        (Response("r", text="<think>Well", finish="length"), {"unparsed": 1}, "`max_tokens`"),
        (Response("r", finish="length"), {"unparsed": 1}, "`max_tokens`"),
        (Response("r", text="Hard to say."), {"unparsed": 1}, "'Hard to say.'"),
        (Response("r", text="I'm sorry, I can't."), {"refusal": 1}, "1 refusal, e.g. \"I'm sorry, I can't.\""),
        (Response("r", text="I'm sorry, I can't."), {"refusal": 1}, "reword these prompts"),
        (Response("r", finish="content_filter"), {"refusal": 1}, "1 x withheld by a filter"),
        (Response("r", finish="content_filter"), {"refusal": 1}, "reword these prompts"),
    ],
)
def test_a_reason_comes_with_what_would_help(response: Response, statuses: dict[str, int], words: str) -> None:
    nonresponse = NonresponseReasons()
    nonresponse.hear([response])
    assert words in " ".join(nonresponse.notes(statuses))


def test_failures_that_differ_in_numbers_and_ids_are_one_reason() -> None:
    nonresponse = NonresponseReasons()
    nonresponse.hear(Response(f"r{n}", failure=f"HTTP 500: worker {n} died (request-{n:08x})") for n in range(40))
    nonresponse.hear([Response("x", failure="HTTP 503: busy")])
    assert nonresponse.notes({"failed": 41})[0].startswith("40 x HTTP 500: worker 0 died")
    assert len(nonresponse.notes({"failed": 41})) == 2
    assert nonresponse.notes({"ok": 41}) == []


def test_a_plain_run_has_no_such_notes(folder: Path, endpoint: Start) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=3, items=2, steps=STEPS)
    steps = run(load(path), folder / "out", Nobody()).manifest["steps"]
    assert [step["nonresponse"] for step in steps] == [[]] * len(steps)

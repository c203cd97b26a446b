"""Batches through a folder: rows wait there as files until somebody, `vllm run-batch` say, has had them answered."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from pydantic import ValidationError

from prefgen.engines.batch import BatchEngine
from prefgen.engines.engine import Meter
from prefgen.errors import FileError, NotFinished
from prefgen.judging.readout import read
from prefgen.records import Request, Response
from prefgen.spec.models import BatchModel
from tests.dispatch.answering import answer_all


def requests(n: int) -> list[Request]:
    page = (("system", "You are Ann."), ("user", "A or B?"))
    return [Request("m", None, page, "logprobs", ("A", "B"), 0.0, 1.0, 16, None, number) for number in range(n)]


def call(spec: BatchModel, run: Path, asked: list[Request]) -> dict[str, Response]:
    found: dict[str, Response] = {}
    answer_all(
        BatchEngine(spec, run / "batches"), asked, lambda one, said: found.update({one.request_id: said}), Meter()
    )
    return found


def answered_by_vllm(rows: Path) -> None:
    """The lines that vLLM's run-batch writes, in an order of their own."""
    lines = []
    for row in map(orjson.loads, rows.read_bytes().splitlines()):
        assert (row["method"], row["url"], row["body"]["model"]) == ("POST", "/v1/chat/completions", "org/name")
        top = [{"token": "A", "logprob": -0.3, "bytes": None}, {"token": "B", "logprob": -1.4, "bytes": None}]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "A", "reasoning": None},
            "logprobs": {"content": [{"token": "A", "logprob": -0.3, "bytes": None, "top_logprobs": top}]},
            "finish_reason": "stop",
        }
        body = {
            "id": "c",
            "object": "chat.completion",
            "choices": [choice],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1},
        }
        response = {"status_code": 200, "request_id": "vllm-batch-1", "body": body}
        lines.append(orjson.dumps({"id": "vllm-2", "custom_id": row["custom_id"], "response": response, "error": None}))
    rows.with_name(rows.stem + ".out.jsonl").write_bytes(b"\n".join(reversed(lines)))  # no end of the last line


@pytest.fixture
def spec(tmp_path: Path) -> BatchModel:
    return BatchModel(engine="batch", model="org/name", folder=tmp_path / "waiting", batch_size=40)


def test_rows_wait_in_files_and_their_answers_are_collected(spec, tmp_path):
    asked = requests(100)
    with pytest.raises(NotFinished, match=r"100 requests wait in 3 batches at .*waiting") as left:
        call(spec, tmp_path, asked)
    assert left.value.exit_code == 75
    assert "`vllm run-batch -i NAME.jsonl -o NAME.out.jsonl --model org/name`" in left.value.fix
    files = sorted(spec.folder.glob("*.jsonl"))
    assert [len(file.read_bytes().splitlines()) for file in files] == [40, 40, 20]
    answered_by_vllm(files[0])
    with pytest.raises(NotFinished, match="60 requests wait in 2 batches"):
        call(spec, tmp_path, asked)
    for file in files[1:]:
        answered_by_vllm(file)
    found = call(spec, tmp_path, asked)
    assert len(found) == 100
    assert {response.failure for response in found.values()} == {None}
    readings = [read(response, ("A", "B"), "logprobs") for response in found.values()]
    assert {reading.by for reading in readings} == {"logprobs"}
    assert sorted(spec.folder.glob("*.jsonl"))[::2] == files, "nothing was put there twice"


def test_a_file_that_is_still_being_written_is_waited_for(spec, tmp_path):
    asked = requests(5)
    with pytest.raises(NotFinished):
        call(spec, tmp_path, asked)
    (rows,) = spec.folder.glob("*.jsonl")
    answered_by_vllm(rows)
    out = rows.with_name(rows.stem + ".out.jsonl")
    whole = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(whole[:3]))
    with pytest.raises(NotFinished, match=r"\(3 done\)"):
        call(spec, tmp_path, asked)
    out.write_bytes(b"".join(whole))
    assert len(call(spec, tmp_path, asked)) == 5


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    spec = BatchModel(engine="batch", model="m", folder=tmp_path / "file" / "waiting")
    with pytest.raises(FileError, match="Not a directory"):
        call(spec, tmp_path, requests(1))


def test_a_folder_and_an_address_exclude_each_other():
    with pytest.raises(ValidationError, match=r"`folder` stands in the place of `base_url`"):
        BatchModel(engine="batch", model="m", folder="x", base_url="http://127.0.0.1/v1")

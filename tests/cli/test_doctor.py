"""What the doctor says of odd servers: a finding and an exit code, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefgen.cli.doctor import examine
from tests.faults.pipelines import write_pipeline
from tests.servers.raw import http, raw_server

THOUGHT = {"choices": [{"message": {"content": None, "reasoning": "Hm"}, "finish_reason": "length"}]}
TEXT = {"choices": [{"message": {"content": "A"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (http("200 OK", json.dumps(TEXT).encode()), 0, "does not list its models; a small question is answered, by text"),
        (http("200 OK", json.dumps(THOUGHT).encode()), 3, "needs a larger `max_tokens`"),
        (http("200 OK", b'{"error": {"code": 402, "message": "Insufficient credits"}}'), 3, "HTTP 402: Insufficient credits"),
        (http("400 Oh", b'{"error": "System role not supported"}'), 3, "write `system_role: false`"),
        (http("400 Oh", b'{"error": "Invalid model name"}'), 3, "not answered: HTTP 400: Invalid model name"),
        (http("429 Slow", b"{}", "Retry-After: 9999"), 3, "asks for 9,999 s of patience"),
        (b"nothing like HTTP", 3, "what came is not HTTP"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_answer_is_a_finding_with_its_reason(tmp_path: Path, capsys, reply, code, words):
    with raw_server(lambda *_: reply) as server:
        path = write_pipeline(tmp_path, server.base_url, personas=1, items=1)
        assert examine(path, as_json=True) == code
    said = capsys.readouterr().out
    assert words in next(one["found"] for one in json.loads(said) if one["what"].startswith("model "))


@pytest.mark.parametrize("listed", [b"[]", b"null", b'{"data": null}', b'{"data": [1, {"id": 7}]}', b"no JSON"])
def test_a_list_of_models_that_is_none_is_no_harm(tmp_path: Path, capsys, listed):
    with raw_server(lambda *_: http("200 OK", json.dumps(TEXT).encode()), listed=listed) as server:
        path = write_pipeline(tmp_path, server.base_url, personas=1, items=1)
        assert examine(path, as_json=True) == 0
    capsys.readouterr()

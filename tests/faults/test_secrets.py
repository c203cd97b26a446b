"""The key goes to the address that was named and nowhere else: no file of a run and no line of output holds it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.faults.pipelines import Ran, prefgen, write_pipeline
from tests.servers.raw import Says, http, raw_server

KEY = "hidden-4f9a27c1e8b35d60-of-the-tests"
FORMS = [
    KEY,
    KEY[: len(KEY) // 2],
    KEY[len(KEY) // 2 :],
    KEY[::-1],
    base64.b64encode(KEY.encode()).decode().rstrip("="),
]


def chat(text: str, finish: str = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {}}).encode()


def error(text: str) -> bytes:
    return json.dumps({"error": {"message": text, "code": text, "type": text, "param": None}}).encode()


def header(head: bytes) -> str:
    return next(line for line in head.decode("latin-1").split("\r\n") if KEY in line)


REPLIES = {
    "204 with a body": lambda head: b"HTTP/1.1 204 No Content\r\n\r\n" + head,
    "no HTTP": lambda head: head + b"\r\n\r\n",
    "odd length": lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: " + KEY.encode() + b"\r\n\r\n{}",
    "header without colon": lambda head: b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n\r\n{}",
    "odd chunk": lambda head: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + KEY.encode() + b"\r\n{}\r\n",
    "odd status": lambda head: b"HTTP/1.1 " + KEY.encode() + b" OK\r\n\r\n{}",
    "long header": lambda head: b"HTTP/1.1 200 OK\r\nX: " + KEY.encode() * 1000 + b"\r\n\r\n{}",
    "odd encoding": lambda head: http("200 OK", head, f"Content-Encoding: {KEY}"),
    "no gzip": lambda head: http("200 OK", head, "Content-Encoding: gzip"),
    "error with header": lambda head: http("500 Oh", error(header(head))),
    "page with header": lambda head: http("502 Oh", b"<html>" + head + b"</html>"),
    "refusal with halves": lambda head: http("400 Oh", error(f"not {FORMS[1]} and {FORMS[2]}")),
    "refusal with other forms": lambda head: http("400 Oh", error(f"not {FORMS[3]}, {FORMS[4]} or {KEY.upper()}")),
    "redirect": lambda head: http("307 Away", b"", f"Location: http://127.0.0.1:1/{KEY}"),
    "answer with header": lambda head: http("200 OK", chat(header(head))),
    "finish with header": lambda head: http("200 OK", chat("A", header(head))),
    "error in an answer": lambda head: http("200 OK", error(header(head))),
    "wrong JSON": lambda head: http("200 OK", header(head).encode()),
}
STOPS = {
    "wrong key": lambda head: http("401 No", error(header(head))),
    "no money": lambda head: http("402 No", error(f"{FORMS[1]} {FORMS[3]}")),
    "no model": lambda head: http("404 No", error(header(head))),
}


def searched(folder: Path, ran: Ran) -> None:
    """Fail for any form of the key in any file of a run, or in what was said."""
    places = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    places |= {"stdout": ran.out.encode(), "stderr": ran.err.encode()}
    for place, content in places.items():
        for form in FORMS:
            assert form.encode().lower() not in content.lower(), f"{form} in {place}"


def ran_against(says: Says, folder: Path, n: int) -> Ran:
    with raw_server(says) as server:
        model = {"concurrency": 1, "max_attempts": 1, "logprobs": False, "constrain": "none", "api_key_env": "HIDDEN"}
        pipeline = write_pipeline(folder, server.base_url, personas=n, items=1, orders=["given"], model=model)
        return prefgen("run", str(pipeline), "--out", str(folder / "run"), HIDDEN=KEY)


def test_no_reply_however_hostile_brings_the_key_into_a_file_or_onto_the_screen(tmp_path):
    replies = list(REPLIES.values())

    def says(number: int, head: bytes, body: bytes) -> bytes:
        return replies[number // 2 - 1](head) if number % 2 == 0 and number else http("200 OK", chat("A"))

    ran = ran_against(says, tmp_path, 2 * len(replies) + 2)
    assert ran.code == 0, ran.err
    assert "Traceback" not in ran.err
    searched(tmp_path, ran)


@pytest.mark.parametrize("stop", STOPS)
def test_no_reply_that_stops_a_run_does(tmp_path, stop):
    ran = ran_against(lambda _number, head, _body: STOPS[stop](head), tmp_path, 2)
    assert ran.code == 3
    assert "Traceback" not in ran.err
    searched(tmp_path, ran)

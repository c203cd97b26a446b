"""Files and batches of the endpoint: uploaded JSONL, batches that move on when looked at, output and error files."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.servers.answers import RefusedError, completion
from tests.servers.script import CHAT, Script
from tests.servers.wire import Asked

_ACTIVE = ("validating", "in_progress", "finalizing", "cancelling")


@dataclass(slots=True)
class StoredFile:
    """One uploaded or made file, and its public description."""

    shown: dict[str, Any]
    content: bytes


@dataclass(slots=True)
class Batch:
    """One batch: its public description, its rows, and how often it was looked at."""

    shown: dict[str, Any]
    number: int
    rows: list[dict[str, Any]]
    polls: int = 0


@dataclass(slots=True)
class Desk:
    """All files and batches. `given` counts, by custom_id, how often a batch answered it in full."""

    script: Script
    files: dict[str, StoredFile] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    failed_once: set[str] = field(default_factory=set)

    def answer(self, asked: Asked) -> bytes:
        """Body of the reply to any request below /v1/files or /v1/batches. Raises RefusedError."""
        path, _, query = asked.target.partition("?")
        parts = path.strip("/").split("/")[1:]
        if parts == ["files"] and asked.method == "POST":
            return orjson.dumps(self._upload(asked))
        if parts == ["batches"] and asked.method == "POST":
            return orjson.dumps(self._create(orjson.loads(asked.body)))
        if len(parts) == 1:
            held = self.files if parts[0] == "files" else self.batches
            return orjson.dumps(_page([each.shown for each in held.values()], query))
        if parts[0] == "files":
            return self._file(asked.method, parts[1], content=parts[2:] == ["content"])
        batch = self.batches.get(parts[1])
        if batch is None:
            raise RefusedError(404, f"No batch found with id '{parts[1]}'.")
        if parts[2:] == ["cancel"]:
            self._finish(batch, "cancelled", len(batch.rows) // 2)
        elif asked.method == "GET":
            batch.polls += 1
            self._move(batch)
        return orjson.dumps(batch.shown)

    def advance(self) -> None:
        """Finish every batch that is still in progress."""
        for batch in self.batches.values():
            if batch.shown["status"] in _ACTIVE:
                self._finish(batch, "completed", len(batch.rows))

    def summary(self) -> dict[str, Any]:
        return {
            "batches": [batch.shown["status"] for batch in self.batches.values()],
            "rows": [len(batch.rows) for batch in self.batches.values()],
            "answered": len(self.given),
            "twice": sum(1 for n in self.given.values() if n > 1),
        }

    def _file(self, method: str, file_id: str, *, content: bool) -> bytes:
        held = self.files.get(file_id)
        if held is None:
            raise RefusedError(404, f"No such File object: {file_id}")
        if method == "DELETE":
            del self.files[file_id]
            return orjson.dumps({"id": file_id, "object": "file", "deleted": True})
        return held.content if content else orjson.dumps(held.shown)

    def _upload(self, asked: Asked) -> dict[str, Any]:
        boundary = re.search(r"boundary=\"?([^\";]+)", asked.header("content-type") or "")
        if boundary is None:
            raise RefusedError(400, "Expected a multipart body.")
        fields: dict[str, bytes] = {}
        for part in asked.body.split(b"--" + boundary.group(1).encode())[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]*)"', head)
            if name is not None:
                fields[name.group(1).decode()] = content[:-2]
        return self._keep(fields["file"], fields["purpose"].decode(), "input.jsonl")

    def _keep(self, content: bytes, purpose: str, name: str) -> dict[str, Any]:
        file_id = f"file-{len(self.files)}-{hashlib.blake2b(content, digest_size=4).hexdigest()}"
        shown = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        self.files[file_id] = StoredFile(shown, content)
        return shown

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        source = self.files.get(wanted["input_file_id"])
        if source is None or wanted.get("endpoint") != CHAT or wanted.get("completion_window") != "24h":
            raise RefusedError(400, f"Invalid batch: {sorted(wanted)}")
        number = len(self.batches)
        rows = [orjson.loads(line) for line in source.content.splitlines() if line.strip()]
        limit = self.script.batch.most_at_once
        active = sum(each.shown["status"] in _ACTIVE for each in self.batches.values())
        shown: dict[str, Any] = {
            "id": f"batch_{number:04d}",
            "object": "batch",
            "endpoint": CHAT,
            "errors": None,
            "input_file_id": wanted["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": int(time.time()),
            "expires_at": int(time.time()) + 86_400,
            "metadata": wanted.get("metadata"),
            "request_counts": {"total": len(rows), "completed": 0, "failed": 0},
        }
        batch = Batch(shown, number, rows)
        self.batches[shown["id"]] = batch
        problem = _invalid(rows, number, self.script)
        if problem is None and limit is not None and active >= limit:
            problem = ("token_limit_exceeded", "Enqueued token limit reached for test-model. Please try again later.")
        if problem is not None:
            shown["status"] = "failed"
            shown["errors"] = {
                "object": "list",
                "data": [{"code": problem[0], "message": problem[1], "line": None, "param": None}],
            }
        return shown

    def _move(self, batch: Batch) -> None:
        script = self.script.batch
        if batch.shown["status"] not in _ACTIVE:
            return
        batch.shown["status"] = "in_progress"
        if batch.polls < script.polls or batch.number in script.stuck:
            batch.shown["request_counts"]["completed"] = len(batch.rows) * batch.polls // (script.polls + 1)
        elif batch.number in script.expire:
            self._finish(batch, "expired", len(batch.rows) // 2)
        else:
            self._finish(batch, "completed", len(batch.rows))

    def _finish(self, batch: Batch, status: str, reached: int) -> None:
        """Write output and error files; rows past `reached` were never carried out."""
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for place, row in enumerate(batch.rows):
            if place >= reached:
                unreached = {"expired": "batch_expired", "cancelled": "batch_cancelled"}[status]
                words = {
                    "code": unreached,
                    "message": "This request could not be executed before the completion window expired.",
                }
                bad.append(
                    {"id": f"batch_req_{place}", "custom_id": row["custom_id"], "response": None, "error": words}
                )
                continue
            code, body = self._row(row)
            line = {
                "id": f"batch_req_{batch.number}_{place}",
                "custom_id": row["custom_id"],
                "response": {"status_code": code, "request_id": f"req_{place}", "body": body},
                "error": None,
            }
            (good if code == 200 else bad).append(line)
        good.reverse()  # output order is not input order, as the documentation warns
        shown = batch.shown
        shown["status"] = status
        shown[f"{status}_at"] = int(time.time())
        shown["request_counts"] = {"total": len(batch.rows), "completed": len(good), "failed": len(bad)}
        for key, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                content = DIALECTS[self.script.batch.dialect](lines)
                shown[key] = self._keep(content, "batch_output", f"{shown['id']}_{key}.jsonl")["id"]

    def _row(self, row: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        custom_id = row["custom_id"]
        body = orjson.dumps(row["body"])
        digest = hashlib.blake2b(body, digest_size=8).digest()
        drawn = int.from_bytes(digest, "big") / 2**64
        if drawn < self.script.batch.fail_rows and custom_id not in self.failed_once:
            self.failed_once.add(custom_id)
            return 500, {
                "error": {"message": "The server had an error while processing your request.", "type": "server_error"}
            }
        for rule in self.script.rules:
            if rule.match.encode() in body:
                return 400, {
                    "error": {
                        "message": "Invalid prompt: flagged.",
                        "type": "invalid_request_error",
                        "code": "invalid_prompt",
                    }
                }
        try:
            found = completion(row["body"], self.script, digest.hex())
        except RefusedError as refused:
            return refused.status, refused.body
        self.given[custom_id] = self.given.get(custom_id, 0) + 1
        return 200, found


def _lines(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def _each(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[list[dict[str, Any]]], bytes]:
    """Lines whose reply was changed."""

    def written(lines: list[dict[str, Any]]) -> bytes:
        return _lines([line | {"response": line["response"] and change(line["response"])} for line in lines])

    return written


def _failed_too(lines: list[dict[str, Any]]) -> bytes:
    """Every answer twice, and then as an error."""
    error = {"response": {"status_code": 500, "body": {"error": {"message": "late"}}}}
    return _lines([*lines, *lines, *(line | error for line in lines)])


DIALECTS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "plain": _lines,
    "bom": lambda lines: b"\xef\xbb\xbf" + _lines(lines),
    "comments": lambda lines: b"# results\n\n: keep-alive\n" + _lines(lines).replace(b"\n", b"\r\n\r\n"),
    "strange ids": lambda lines: (
        _lines([{"custom_id": 42}, {"custom_id": ["a"]}, {"custom_id": {}}, {}, *lines]) + b"[1]\nnull\n"
    ),
    "status as text": _each(lambda reply: reply | {"status_code": str(reply["status_code"])}),
    "status in words": _each(lambda reply: reply | {"status_code": f"{reply['status_code']} OK"}),
    "no status": _each(lambda reply: {"body": reply["body"]}),
    "body as text": _each(lambda reply: reply | {"body": orjson.dumps(reply["body"]).decode()}),
    "reply as text": lambda lines: _lines(
        [line | {"response": orjson.dumps(line["response"]).decode()} for line in lines]
    ),
    "answered twice": _failed_too,
    "NaN": lambda lines: _lines(lines).replace(b'"usage":{', b'"usage":{"seconds":NaN,"score":-Infinity,'),
    "foreign": lambda lines: b"".join(b'{"answer": %d}\n' % number for number, _ in enumerate(lines)),
}
"""How providers write the lines of their results."""


def _invalid(rows: list[dict[str, Any]], number: int, script: Script) -> tuple[str, str] | None:
    if number in script.batch.refuse:
        return "invalid_json_line", "This line is not parseable as valid JSON."
    if not rows:
        return "empty_file", "The batch input file is empty."
    if len({row["custom_id"] for row in rows}) < len(rows):
        return "duplicate_custom_id", "The custom_id is not unique."
    if any(row["method"] != "POST" or row["url"] != CHAT for row in rows):
        return "invalid_url", "The URL does not match the batch's endpoint."
    return None


def _page(shown: list[dict[str, Any]], query: str) -> dict[str, Any]:
    """Newest first, `limit` a page (20), from behind `after`."""
    asked = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
    newest = shown[::-1]
    if after := asked.get("after"):
        newest = newest[1 + next(i for i, each in enumerate(newest) if each["id"] == after) :]
    page = newest[: int(asked.get("limit", 20))]
    ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
    return {"object": "list", "data": page, "has_more": len(newest) > len(page), **ends}

"""A small Hub on loopback: repositories, commits, LFS, tags and ranges as huggingface_hub and datasets ask for them.

Everything is in memory. Faults are set by tests: a status for the next calls of a path, before or after the call
took effect; a slow link; a stop that holds a call until the test lets it go.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.hub_repos import Commit, Repo, Stored, lfs, paths, tree

TOKEN = "hf_loopback_only"


@dataclass
class Fault:
    """What goes wrong: `status` for the next `times` calls whose "METHOD path" matches, after they took effect or before."""

    pattern: str
    status: int
    times: int = 1
    after: bool = False


@dataclass
class Hub:
    """The server as a test sees it."""

    url: str = ""
    elsewhere: str = ""  # where LFS objects lie: another host, to which no token may travel
    repos: dict[str, Repo] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    uploaded: list[str] = field(default_factory=list)  # oid of every LFS object that came over the wire
    fetched: int = 0  # bytes of LFS objects that were sent
    journal: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    token: str = TOKEN
    bytes_per_s: float | None = None
    says: dict[str, Any] = field(default_factory=dict)  # pattern -> what is answered instead, as it is
    endless: str | None = None  # calls that match are answered without end
    hold: str | None = None  # calls that match wait for `go`
    held: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    lock: Any = field(default_factory=threading.RLock)

    def fault(self, pattern: str, status: int, *, times: int = 1, after: bool = False) -> None:
        """Let the next calls that match fail."""
        self.faults.append(Fault(pattern, status, times, after))

    def asked(self, pattern: str) -> int:
        """How many calls matched."""
        return sum(re.search(pattern, line) is not None for line in self.journal)

    def env(self, home: str) -> dict[str, str]:
        """Environment of a process that uses this Hub."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": home,
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }

    def due(self, line: str, *, after: bool) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.after == after and re.search(fault.pattern, line):
                    fault.times -= 1
                    return fault
        return None


@contextmanager
def hub() -> Iterator[Hub]:
    """A Hub in a thread of this process."""
    made = Hub()

    class Bound(_Handler):
        state = made

    server = _Server(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    made.elsewhere = f"http://localhost:{server.server_address[1]}"
    running = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    running.start()
    try:
        yield made
    finally:
        made.go.set()
        server.shutdown()
        server.server_close()
        running.join(10)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that was killed is no news
            super().handle_error(request, client_address)


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self._chunked() if "chunked" in self.headers.get("Transfer-Encoding", "") else self.rfile.read(length)
        parts = urlsplit(self.path)
        self.line = f"{self.command} {unquote(parts.path)}"
        hub = self.state
        hub.journal.append(self.line)
        if hub.hold and re.search(hub.hold, self.line):
            hub.held.set()
            hub.go.wait(60)
        for pattern, said in hub.says.items():
            if re.search(pattern, self.line):
                return self._send(200, said, {})
        if hub.endless and re.search(hub.endless, self.line):
            return self._send_endlessly()
        try:
            fault = hub.due(self.line, after=False)
            if fault:
                raise _RefusedError(fault.status, message="injected")
            with hub.lock:
                answer = self._route(unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), body)
            fault = hub.due(self.line, after=True)
            if fault:
                raise _RefusedError(fault.status, message="injected after the fact")
            answer()
        except _RefusedError as refused:
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            self._send(refused.status, {"error": refused.message}, {k: v for k, v in headers.items() if v})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any  # noqa: N815

    def _chunked(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _route(self, path: str, query: dict[str, list[str]], body: bytes) -> Any:
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            return self._lfs_object(match[1], body)
        self._check_token(path)
        if path == "/api/whoami-v2":
            return self._json(
                {
                    "type": "user",
                    "name": "user",
                    "fullname": "User",
                    "orgs": [],
                    "auth": {"accessToken": {"role": "write"}},
                }
            )
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._batch(match[1], json.loads(body))
        if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)\.git/info/lfs/verify", path):
            found = self.state.lfs.get(json.loads(body)["oid"])
            return self._json({}) if found is not None else self._fail(404)
        if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(self._repo(match[1]), match[2], match[3])
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.*))?)?", path):
            return self._api(match[1], match[2] or "", match[3] or "", query, body)
        return self._fail(404)

    def _check_token(self, path: str) -> None:
        said = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if said and said != self.state.token:
            raise _RefusedError(401, message="Invalid credentials in Authorization header")
        if not said and self.command in ("POST", "PUT", "DELETE") and "paths-info" not in path:
            raise _RefusedError(401, message="Authentication required")

    def _repo(self, name: str) -> Repo:
        repo = self.state.repos.get(name)
        if repo is None or (repo.private and not self.headers.get("Authorization")):
            raise _RefusedError(
                404 if self.headers.get("Authorization") else 401, "RepoNotFound", "Repository not found"
            )
        return repo

    def _commit(self, repo: Repo, revision: str) -> Commit:
        found = repo.at(revision)
        if found is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    def _create(self, wanted: dict[str, Any]) -> Any:
        name = f"{wanted.get('organization') or 'user'}/{wanted['name']}"
        url = f"{self.state.url}/datasets/{name}"
        if name in self.state.repos:
            return lambda: self._send(409, {"error": "You already created this dataset repo", "url": url}, {})
        repo = self.state.repos[name] = Repo(bool(wanted.get("private")) or wanted.get("visibility") == "private")
        repo.add(
            "main",
            {".gitattributes": Stored(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n", False)},
            "initial commit",
        )
        return self._json({"url": url, "name": name, "id": name})

    def _api(self, name: str, verb: str, rest: str, query: dict[str, list[str]], body: bytes) -> Any:
        repo = self._repo(name)
        if verb in ("", "revision"):
            return self._info(name, repo, rest or "main", "blobs" in query)
        if verb == "preupload":
            files = [self._preupload(repo, rest, one) for one in json.loads(body)["files"]]
            return self._json({"files": files})
        if verb == "commit":
            return self._take_commit(name, repo, rest, [json.loads(line) for line in body.splitlines() if line])
        if verb == "tree":
            revision, _, folder = rest.partition("/")
            recursive = query.get("recursive", ["false"]) != ["false"]
            listed = tree(self._commit(repo, revision), folder, recursive)
            return self._json(listed) if listed is not None else self._fail(404)
        if verb == "paths-info":
            named = parse_qs(body.decode()).get("paths") or json.loads(body).get("paths", []) if body else []
            return self._json(paths(self._commit(repo, rest), named))
        if verb == "refs":
            named = [
                [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid} for name, oid in refs.items()]
                for kind, refs in (("heads", repo.heads), ("tags", repo.tags))
            ]
            return self._json({"branches": named[0], "tags": named[1], "converts": []})
        if verb == "commits":
            return self._json(
                [
                    {
                        "id": one.oid,
                        "title": one.summary,
                        "message": "",
                        "authors": [],
                        "date": "2026-01-01T00:00:00.000Z",
                    }
                    for one in repo.history(rest)
                ]
            )
        if verb == "tag":
            return self._tag(repo, rest, body)
        return self._fail(404)

    def _info(self, name: str, repo: Repo, revision: str, blobs: bool) -> Any:
        commit = self._commit(repo, revision)
        siblings = [
            {"rfilename": path} | ({"size": len(one.content), "blobId": one.blob} | lfs(one, "sha256") if blobs else {})
            for path, one in sorted(commit.files.items())
        ]
        return self._json(
            {
                "_id": "0",
                "id": name,
                "author": name.split("/")[0],
                "sha": commit.oid,
                "private": repo.private,
                "gated": False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": siblings,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
            }
        )

    def _preupload(self, repo: Repo, revision: str, wanted: dict[str, Any]) -> dict[str, Any]:
        there = self._commit(repo, revision).files.get(wanted["path"])
        mode = "lfs" if wanted["path"].endswith(".parquet") or wanted["size"] > 10_000_000 else "regular"
        oid = None if there is None else there.sha256 if there.lfs else there.blob
        return {"path": wanted["path"], "uploadMode": mode, "shouldIgnore": False, **({"oid": oid} if oid else {})}

    def _batch(self, name: str, wanted: dict[str, Any]) -> Any:
        self._repo(name)
        objects = []
        for one in wanted["objects"]:
            actions = {
                "upload": {"href": f"{self.state.elsewhere}/lfs/{one['oid']}", "header": {}},
                "verify": {"href": f"{self.state.url}/datasets/{name}.git/info/lfs/verify", "header": {}},
            }
            objects.append({**one, **({} if one["oid"] in self.state.lfs else {"actions": actions})})
        return self._json({"transfer": "basic", "objects": objects})

    def _lfs_object(self, oid: str, body: bytes) -> Any:
        if self.headers.get("Authorization"):
            raise _RefusedError(400, message="a token travelled to the object store")
        if self.command != "PUT":
            return (
                self._content(self.state.lfs[oid], {"ETag": f'"{oid}"'}) if oid in self.state.lfs else self._fail(404)
            )
        if hashlib.sha256(body).hexdigest() != oid:
            raise _RefusedError(400, message="the content is not what was announced")
        self.state.uploaded.append(oid)
        self.state.lfs[oid] = body
        return self._json({})

    def _take_commit(self, name: str, repo: Repo, branch: str, lines: list[dict[str, Any]]) -> Any:
        header = next(line["value"] for line in lines if line["key"] == "header")
        head = self._commit(repo, branch)
        if header.get("parentCommit") not in (None, head.oid):
            raise _RefusedError(412, message="A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = Stored(base64.b64decode(value["content"]), False)
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.state.lfs:
                    raise _RefusedError(400, message="LFS object was never uploaded")
                files[value["path"]] = Stored(self.state.lfs[value["oid"]], True)
            elif line["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise _RefusedError(404, "EntryNotFound", "A file with this name doesn't exist")
        made = repo.add(branch, files, header["summary"])
        url = f"{self.state.url}/datasets/{name}/commit/{made.oid}"
        return self._json({"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})

    def _tag(self, repo: Repo, rest: str, body: bytes) -> Any:
        if self.command == "DELETE":
            if repo.tags.pop(rest, None) is None:
                raise _RefusedError(404, "RevisionNotFound", "no such tag")
            return self._json({})
        tag = json.loads(body)["tag"]
        if tag in repo.tags:
            raise _RefusedError(409, message="Tag reference exists already")
        repo.tags[tag] = self._commit(repo, rest).oid
        return self._json({})

    def _resolve(self, repo: Repo, revision: str, path: str) -> Any:
        commit = self._commit(repo, revision)
        found = commit.files.get(path)
        if found is None:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "ETag": f'"{found.blob}"'}
        if not found.lfs:
            return self._content(found.content, headers)
        headers |= {
            "X-Linked-Etag": f'"{found.sha256}"',
            "X-Linked-Size": str(len(found.content)),
            "Location": f"{self.state.elsewhere}/lfs/{found.sha256}",
        }
        return lambda: self._send(302, {}, headers)

    def _content(self, content: bytes, headers: dict[str, str]) -> Any:
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            return lambda: self._send(200, content, {"Accept-Ranges": "bytes", **headers})
        first = int(span[1]) if span[1] else max(len(content) - int(span[2]), 0)
        last = min(int(span[2]) if span[1] and span[2] else len(content) - 1, len(content) - 1)
        if first > last:
            raise _RefusedError(416)
        held = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "Accept-Ranges": "bytes", **headers}
        return lambda: self._send(206, content[first : last + 1], held)

    def _json(self, value: Any) -> Any:
        return lambda: self._send(200, value, {})

    def _fail(self, status: int) -> Any:
        raise _RefusedError(status, "EntryNotFound" if status == 404 else "")

    def _send_endlessly(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        for name, said in (("X-Repo-Commit", "0" * 40), ("ETag", '"x"')):
            self.send_header(name, said)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while self.command != "HEAD" and not self.state.go.is_set():
                self.wfile.write(b" " * (1 << 20))

    def _send(self, status: int, value: Any, headers: dict[str, str]) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(value, bytes) else "application/json"
        for name, said in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, said)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.line.startswith("GET /lfs/"):
            self.state.fetched += len(body)
        pace = self.state.bytes_per_s
        step = len(body) if pace is None else max(int(pace / 50), 1)
        for start in range(0, len(body), max(step, 1)):
            self.wfile.write(body[start : start + step])
            if pace is not None:
                time.sleep(0.02)

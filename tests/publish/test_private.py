"""What is pushed names no server, no folder of this machine and no weights' place; the run's own folder keeps them."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
import yaml

from prefgen.errors import FileError
from prefgen.flow.pipeline import load
from prefgen.flow.run import run as make
from prefgen.publish import report
from prefgen.publish.card import write as card
from prefgen.publish.exports import rows
from prefgen.publish.hub import append_run, push_run
from prefgen.publish.private import Private, is_place, said_in, without_addresses, without_places
from prefgen.publish.public import public_pipeline, public_rows
from prefgen.publish.report import readings
from tests.faults.pipelines import prefgen, write_pipeline
from tests.faults.test_secrets import chat, error
from tests.servers.hub import Hub
from tests.servers.raw import Says, http, raw_server
from tests.test_run import Nobody

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")  # of the client itself
NAME = "user/town"


def says_where(folder: Path, port: list[int]) -> Says:
    """Answers, but for every third request, which it refuses and says where it stands, as servers do."""

    def says(number: int, _head: bytes, _body: bytes) -> bytes:
        if number % 3 == 2:
            at = f"127.0.0.1:{port[0]}"
            words = f"upstream http://{at}/v1 ({at}, ('127.0.0.1', {port[0]})) cannot read {folder}/models/x.gguf"
            words += " and /opt/weights/y.bin of gpu-box:8000"
            return http("400 Oh", error(words))
        return http("200 OK", chat("A"))

    return says


def run_at_home(home: Path, base_url: str, *, seed: int = 1) -> Path:
    """A finished run of files in somebody's home, with a failed row that names the server; its folder."""
    path = pipeline_at_home(home, base_url, seed=seed)
    out = home / f"runs/town-{seed}"
    ran = prefgen("run", str(path), "--out", str(out), HOME=str(home))
    assert ran.code == 0, ran.err
    return out


def pipeline_at_home(home: Path, base_url: str, *, seed: int = 1, exports: Sequence[str] = ("judgments",)) -> Path:
    """Its pipeline."""
    path = write_pipeline(
        home / "work",
        base_url,
        personas=4,
        items=3,
        orders=["given"],
        exports=list(exports),
        model={"concurrency": 1, "max_attempts": 1, "logprobs": False, "constrain": "none"},
    )
    people = home / "surveys/people.yaml"
    people.parent.mkdir(exist_ok=True)
    source = f"source: our town survey ({home}/surveys/town.csv), https://example.org/town/survey"
    people.write_text((home / "work/people.yaml").read_text().replace('source: "made up for tests"', source))
    said = yaml.safe_load(path.read_text())
    said["seed"] = seed
    said["models"]["judge"]["model"] = f"{home}/models/tiny"  # as vLLM names what it was not told a name of
    said["models"]["mine"] = {"engine": "embedded", "gguf": f"{home}/models/mine.gguf"}
    said["steps"]["personas"]["draw"] = str(people)
    said["publish"]["description"] = f"Made at {base_url} from {home}/work."
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return path


def decoded(path: str, content: bytes) -> str:
    """What a reader sees of a file."""
    if not path.endswith(".parquet"):
        return content.decode()
    rows = pl.read_parquet(io.BytesIO(content))
    return json.dumps(rows.to_dicts(), default=str, ensure_ascii=False)


def test_nothing_that_is_pushed_says_where_it_was_made(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, port = tmp_path / "annie", [0]
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with raw_server(says_where(home, port)) as server:
        port[0] = int(server.base_url.split(":")[-1].split("/")[0])
        out = run_at_home(home, server.base_url)
        push_run(out, NAME)
        append_run(out, "user/grown")
        assert append_run(run_at_home(home, server.base_url, seed=2), "user/grown").rows["judgments"]
    here = (out / "manifest.json").read_text()
    assert f"127.0.0.1:{port[0]}" in here
    assert str(home) in here, "the run itself keeps what it knows"
    tables = pl.read_parquet(sorted((out / "tables/answers").glob("*.parquet")))
    assert tables["failure"].drop_nulls().str.contains(str(port[0])).any()
    for repo in (NAME, "user/grown"):
        files = {path: one.content for path, one in served.repos[repo].at("main").files.items()}  # type: ignore[union-attr]
        assert {"README.md", "manifest.json", "pipeline.yaml", "report.html"} <= set(files)
        for path, content in files.items():
            text = decoded(path, content)
            for private in ("127.0.0.1", "annie", str(tmp_path), "../"):
                assert private not in text, f"{private} in {path}: {text[max(text.index(private) - 60, 0) :][:160]}"
            assert not re.search(rf"(?<![\d.]){port[0]}(?!\d)", text), f"the port in {path}"
    card, pipeline = files["README.md"].decode(), files["pipeline.yaml"].decode()
    assert "our town survey (town.csv)" in card
    assert "example.org/town/survey" in card, "a source is still cited"
    assert yaml.safe_load(pipeline)["models"]["mine"]["gguf"] == "mine.gguf"
    assert yaml.safe_load(pipeline)["steps"]["personas"]["draw"] == "people.yaml"
    failures = pl.read_parquet(io.BytesIO(files["data/judgments/train-00000-of-00001.parquet"]))["failure"].drop_nulls()
    assert failures.str.contains("cannot read x.gguf").all(), "what happened is still said"


@contextmanager
def as_before() -> Iterator[None]:
    """Runs as an earlier version made them: data, card and report say what the tables and the manifest say."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (rows, readings):
            patch.setattr(module, "public_rows", lambda frame: frame)
        for module in (card, report):
            patch.setattr(module, "shown_manifest", lambda manifest: manifest)
        yield


def assert_nothing_private(served: Hub, home: Path, port: int) -> None:
    for path, one in served.repos[NAME].at("main").files.items():  # type: ignore[union-attr]
        text = decoded(path, one.content)
        for private in ("127.0.0.1", "annie", str(home.parent), str(port), "gpu-box", "/opt/weights"):
            assert private not in text, f"{private} in {path}: {text[max(text.index(private) - 60, 0) :][:160]}"


@pytest.mark.parametrize("exports", [["judgments"], ["preferences"]], ids=lambda names: names[0])
def test_folders_of_an_earlier_version_are_pushed_without_what_they_name(
    served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exports: list[str]
) -> None:
    home, port = tmp_path / "annie", [0]
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with raw_server(says_where(home, port)) as server:
        port[0] = int(server.base_url.split(":")[-1].split("/")[0])
        path = pipeline_at_home(home, server.base_url, exports=exports)
        with as_before():
            out = make(load(path), home / "out", Nobody()).folder.path
        asked = len(server.bodies)
        assert "127.0.0.1" in (out / "README.md").read_text() + (out / "report.html").read_text()
        if exports == ["judgments"]:
            with pytest.raises(FileError, match=r"train-00000-of-00001\.parquet: failure names an address") as caught:
                push_run(out, NAME, force=True)
            assert "127.0.0.1" not in str(caught.value)
            assert NAME not in served.repos or not served.repos[NAME].at("main").files  # type: ignore[union-attr]
            with pytest.raises(FileError, match="failure names an address"):
                append_run(out, NAME)
            shutil.rmtree(out / "data")  # as the fix says
            make(load(path), out, Nobody())
        push_run(out, NAME)
        assert len(server.bodies) == asked, "nothing is asked twice"
    assert_nothing_private(served, home, port[0])


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Cannot connect to host gpu-box:8000 ssl:default", "Cannot connect to host (an address) ssl:default"),
        ("[Connect call failed ('::1', 8000, 0, 0)]", "[Connect call failed (an address)]"),
        ("see fe80::1 or [2001:db8::2]:8000", "see (an address) or (an address)"),
        ("upstream inside.example:8000 is down", "upstream (an address) is down"),
        ("no such file: /opt/weights/x.gguf.", "no such file: x.gguf."),
        (r"C:\Users\ann\x.gguf is gone", "x.gguf is gone"),
        ("HTTP 400: maximum context length is 4096 tokens", "HTTP 400: maximum context length is 4096 tokens"),
        ("12:30:45, and/or 1/2 of male/female at v1.2.3", "12:30:45, and/or 1/2 of male/female at v1.2.3"),
    ],
)
def test_words_of_programs_lose_addresses_and_places_and_keep_the_rest(said: str, shown: str) -> None:
    assert without_addresses(said) == shown
    assert without_addresses(shown) == shown, "what is clean is not refused at a push"


def test_addresses_and_folders_that_sentences_name_are_found() -> None:
    said = "see ('10.0.0.5', 80), http://gpu-box:1/v1 and fe80::1, /opt/a/b.gguf and ~/c/d"
    addresses, folders = said_in(said)
    assert {"('10.0.0.5', 80)", "http://gpu-box:1/v1", "fe80::1"} <= addresses
    assert folders == {Path("/opt/a")}


def test_sources_keep_their_links_and_lose_their_folders() -> None:
    said = "Census table 3, https://example.org/a/b/c.csv; ~/survey.csv; and/or"
    assert without_places(said) == "Census table 3, https://example.org/a/b/c.csv; survey.csv; and/or"


def test_rows_that_stand_in_a_pipeline_are_data_and_stay() -> None:
    said = {
        "models": {"judge": {"engine": "openai", "model": "m", "base_url": "http://10.0.0.5:8000/v1"}},
        "steps": {
            "items": {"table": [{"prompt": "/a/b", "options": ["../x", "y"]}]},
            "more": {"table": "../../home/ann/items.csv", "where": "a / b > 1"},
            "text": {"product": {"topic": {"file": "/srv/topics.csv"}}},
        },
    }
    public = yaml.safe_load(public_pipeline(yaml.safe_dump(said)))
    assert public["steps"]["items"] == said["steps"]["items"]
    assert public["steps"]["more"] == {"table": "items.csv", "where": "a / b > 1"}
    assert public["steps"]["text"]["product"]["topic"] == {"file": "topics.csv"}
    assert public["models"]["judge"] == {"engine": "openai", "model": "m"}


def test_whole_texts_that_are_paths_are_told_from_others() -> None:
    assert all(map(is_place, ("/home/ann", "../x", "~/x", r"C:\x", "../../a b/c.csv")))
    assert not any(map(is_place, ("qwen/qwen3-8b", "items.jsonl", "./x", "/", "", "..", "a / b")))


def test_judgments_without_a_private_word_are_the_same_frame() -> None:
    rows = pl.DataFrame({"failure": ["HTTP 400: no", None], "model": ["qwen/qwen3-8b"] * 2})
    assert public_rows(rows) is rows


def test_known_addresses_are_found_however_a_page_escapes_them() -> None:
    private = Private.of(["http://gpu-box:8000/v1"], [Path("/srv/runs")])
    page = (
        r"<a>http://gpu-box:8000/v1</a> http\://gpu-box:8000/v1 gpu-box:8000 gpu-box:80001 /srv/runs/a.csv, /srv/runs"
    )
    assert private.out_of(page) == r"<a>(an address)</a> (an address) (an address) gpu-box:80001 a.csv, (a folder)"

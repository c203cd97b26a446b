"""Five nights by batch, every process killed at random moments: readers see yesterday's dataset or tonight's, whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub
import orjson
import polars as pl
import pytest

from prefgen.ids import file_sha256
from tests.faults.pipelines import COMMAND, KEY, environment, judgments, write_pipeline
from tests.servers.hub import Hub
from tests.servers.running import Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAME = "user/town"
NIGHTS, PEOPLE, ITEMS = 5, 6, 5
ASKED = PEOPLE * ITEMS * 2  # requests of one night: two orders

_LOAD = """
import json, sys
from datasets import load_dataset
parts = load_dataset(sys.argv[1], "judgments", revision=sys.argv[2])
assert set(parts) == {"train", "test"} and not set(parts["train"]["item_id"]) & set(parts["test"]["item_id"])
print(json.dumps(sorted(name for part in parts.values() for name in part["judgment_id"])))
"""


@dataclass
class Scheduler:
    """Calls each command until it exits 0, and kills the first calls of each at a moment drawn from `chance`."""

    hub: Hub
    desk: Served
    published: Published
    chance: random.Random
    kills: int = 0
    codes: list[int] = field(default_factory=list)

    def until_done(self, *words: object, killed: int) -> None:
        """Up to `killed` calls are killed; after every one the dataset is looked at."""
        for _ in range(killed):
            self.codes.append(self._killed(*words))
            self.kills += self.codes[-1] == -signal.SIGKILL
            self.published.check()
        for _ in range(12):
            done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, env=environment())
            self.codes.append(done.returncode)
            assert "Traceback" not in done.stderr, done.stderr
            self.published.check()
            if done.returncode == 0:
                return
            assert done.returncode == 75, done.stderr
        raise AssertionError(f"never done: {words}")

    def _killed(self, *words: object) -> int:
        process = subprocess.Popen(
            [COMMAND, *map(str, words)], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        now = self._moment()
        while process.poll() is None and not now():
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        return process.wait(60)

    def _moment(self) -> Callable[[], bool]:
        """A number of calls on the Hub or the desk from now on and a little later, or so many seconds after the start."""
        begun, wait = time.monotonic(), self.chance.uniform(0.4, 2.5)
        if self.chance.random() < 0.3:
            return lambda: time.monotonic() - begun >= wait
        calls, later = self._calls() + self.chance.randint(1, 9), self.chance.choice((0.0, 0.0, 0.05, 0.2))
        reached: list[float] = []

        def now() -> bool:
            if not reached and self._calls() >= calls:
                reached.append(time.monotonic())
            return bool(reached) and time.monotonic() - reached[0] >= later

        return now

    def _calls(self) -> int:
        return len(self.hub.journal) + sum(self.desk.log()["paths"].values())


@dataclass
class Published:
    """The dataset as a reader finds it. `nights`: judgment ids of every night whose run is finished."""

    hub: Hub
    folder: Path
    nights: list[set[str]] = field(default_factory=list)
    copies: dict[str, Path] = field(default_factory=dict)  # commit -> a copy that was checked
    version_of: dict[str, int] = field(default_factory=dict)  # commit -> nights in it

    def check(self) -> None:
        """`main` and every tag are complete versions. A commit never changes, so each is read once."""
        repo = self.hub.repos.get(NAME)
        if repo is None:
            return
        for revision in ("main", *repo.tags):
            commit = huggingface_hub.HfApi(self.hub.url).dataset_info(NAME, revision=revision).sha
            assert commit is not None
            if commit not in self.copies and len(repo.history()) > 1:
                self.copies[commit] = self._copy(commit)
                self.version_of[commit] = self._version(self.copies[commit])

    def _copy(self, commit: str) -> Path:
        api = huggingface_hub.HfApi(self.hub.url)
        return Path(api.snapshot_download(NAME, repo_type="dataset", revision=commit, local_dir=self.folder / commit))

    def _version(self, copy: Path) -> int:
        manifest = orjson.loads((copy / "manifest.json").read_bytes())
        listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
        there = {path.relative_to(copy).as_posix(): file_sha256(path) for path in (copy / "data").rglob("*.parquet")}
        assert there == listed, "a file is missing, is too much, or is another one"
        for config in manifest["configs"]:
            rows = sum(frame.height for frame in frames(copy, config["name"]))
            assert rows == sum(config["splits"].values()), config["name"]
        for config, key in (("judgments", "judgment_id"), ("personas", "persona_id"), ("dpo", "pair_id")):
            assert pl.concat(frames(copy, config))[key].is_unique().all(), f"{key} stands twice"
        found = set(pl.concat(frames(copy, "judgments"))["judgment_id"])
        unions = [set().union(*self.nights[: n + 1]) for n in range(len(self.nights))]
        assert found in unions, "half of a night"
        return unions.index(found) + 1


def frames(copy: Path, config: str) -> Iterator[pl.DataFrame]:
    for path in sorted((copy / "data" / config).glob("*.parquet")):
        yield pl.read_parquet(path)


def loaded(revision: str) -> list[str]:
    """Judgment ids as `datasets` reads them from the Hub."""
    done = subprocess.run([sys.executable, "-c", _LOAD, NAME, revision], capture_output=True, env={**os.environ})
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found: list[str] = orjson.loads(done.stdout)
    return found


def test_five_nights_by_batch_killed_at_random_moments(
    served: Hub, endpoint: Callable[..., Served], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))
    desk = endpoint({"key": KEY, "batch": {"polls": 2, "fail_rows": 0.05}}, process=True)
    model = {"engine": "batch", "base_url": desk.base_url, "batch_size": 40}
    parts = {"parts": {"split": "kept", "by": ["item"], "test": 0.4}}
    pipeline = write_pipeline(folder, personas=PEOPLE, items=ITEMS, model=model, steps=parts)
    published = Published(served, folder / "copies")
    cron = Scheduler(served, desk, published, random.Random(20261121))
    for night in range(1, NIGHTS + 1):
        run = folder / f"night-{night}"
        cron.until_done("run", pipeline, "--out", run, "--no-report", "--set", f"steps.personas.seed={night}", killed=4)
        published.nights.append(set(judgments(run)["judgment_id"]))
        cron.until_done("push" if night == 1 else "append", run, NAME, "--tag", f"night-{night}", killed=4)
        assert published.version_of[served.repos[NAME].heads["main"]] == night
        assert not [path for path in run.rglob("*") if "aside" in path.name], "something half was left behind"

    repo = served.repos[NAME]
    assert [published.version_of[repo.tags[f"night-{n}"]] for n in range(1, NIGHTS + 1)] == [1, 2, 3, 4, 5]
    assert len(repo.history()) == 1 + NIGHTS, "the Hub's own first commit and one of each night"
    assert len(set(served.uploaded)) == len(served.uploaded), "an object was uploaded twice"
    batches = desk.log()["batch"]
    assert (batches["answered"], batches["twice"]) == (NIGHTS * ASKED, 0)
    for n in range(1, NIGHTS):
        old, new = (published.copies[repo.tags[f"night-{k}"]] for k in (n, n + 1))
        for path in (old / "data").rglob("*.parquet"):
            assert (new / path.relative_to(old)).read_bytes() == path.read_bytes(), "an old row changed"
    assert all(len(ids) == ASKED for ids in published.nights)
    for n in (1, NIGHTS):
        assert loaded(f"night-{n}") == sorted(set().union(*published.nights[:n]))
    before = list(served.uploaded), dict(repo.heads)
    for night in range(1, NIGHTS + 1):
        cron.until_done("append", folder / f"night-{night}", NAME, "--tag", f"night-{NIGHTS}", killed=0)
    assert (served.uploaded, repo.heads) == before
    assert cron.kills >= 20, cron.codes
    print(f"{cron.kills} kills, {len(cron.codes)} calls")

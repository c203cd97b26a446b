"""The Batch API engine as cron would drive it: every call a fresh engine on the same folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from prefgen.engines import batch_provider, retry
from prefgen.engines.batch import BatchEngine
from prefgen.engines.batch_ledger import Ledger
from prefgen.engines.batch_provider import Provider
from prefgen.engines.engine import Meter
from prefgen.errors import EngineError, FileError, NotFinished
from prefgen.records import Request, Response
from prefgen.spec.models import BatchModel
from tests.dispatch.answering import answer_all
from tests.engines.test_http import question
from tests.servers.batches import DIALECTS
from tests.servers.running import Served, thread


def spec(server: Served, **changes: object) -> BatchModel:
    values = {"engine": "batch", "model": "test-model", "base_url": server.base_url, "batch_size": 40, **changes}
    return BatchModel.model_validate(values)


class Cron:
    """A scheduler: the same command again and again, with a store that keeps what was put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stored: dict[str, Response] = {}
        self.notes: list[str] = []

    def call(self, model: BatchModel, requests: list[Request]) -> bool:
        """One start of the command; whether it came to an end."""

        def put(request: Request, response: Response) -> None:
            assert request.request_id == response.request_id
            assert not self.is_stored(response.request_id), "put twice"
            self.stored[response.request_id] = response

        todo = [request for request in requests if not self.is_stored(request.request_id)]
        meter = Meter()
        try:
            if todo:
                answer_all(BatchEngine(model, self.folder), todo, put, meter)
        except NotFinished:
            return False
        finally:
            self.notes += meter.notes
        return True

    def is_stored(self, request_id: str) -> bool:
        found = self.stored.get(request_id)
        return found is not None and (found.failure is None or found.final)

    def until_done(self, model: BatchModel, requests: list[Request], most: int = 30) -> int:
        """Number of calls it took."""
        for calls in range(1, most + 1):
            if self.call(model, requests):
                return calls
        raise AssertionError(f"not done after {most} calls")


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    """Between two tries no half second passes; how long it should be is the matter of test_retry."""
    monkeypatch.setattr(retry, "_FIRST_WAIT_S", 0.02)


@pytest.fixture
def cron(tmp_path: Path) -> Cron:
    return Cron(tmp_path / "batches")


@pytest.fixture
def server() -> Iterator[Served]:
    with thread({"batch": {"polls": 2}}) as served:
        yield served


QUESTIONS = [question(n) for n in range(100)]


def test_submit_leave_collect(cron, server):
    with pytest.raises(NotFinished, match=r"100 requests wait in 3 batches at .* \(0 done\)") as left:
        answer_all(BatchEngine(spec(server), cron.folder), QUESTIONS, lambda *_: None, Meter())
    assert left.value.exit_code == 75
    assert "run the same command again" in left.value.fix
    cron.until_done(spec(server), QUESTIONS)
    assert len(cron.stored) == 100
    assert not [response for response in cron.stored.values() if response.failure]
    assert {response.method for response in cron.stored.values()} == {"logprobs"}
    found = server.log()
    assert found["requests"] == 0, "nothing is asked outside the batches"
    assert found["batch"] == {"batches": ["completed"] * 3, "rows": [40, 40, 20], "answered": 100, "twice": 0}


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - {"foreign"}))
def test_results_are_read_in_every_dialect_and_nothing_is_bought_twice(cron, dialect):
    with thread({"batch": {"polls": 1, "dialect": dialect}}) as server:
        cron.until_done(spec(server), QUESTIONS[:30])
        found = server.log()["batch"]
    assert len(cron.stored) == 30
    assert not [response.failure for response in cron.stored.values() if response.failure]
    assert {response.method for response in cron.stored.values()} == {"logprobs"}
    assert (found["rows"], found["answered"], found["twice"]) == ([30], 30, 0)


def test_results_that_nobody_understands_are_said_and_not_bought_again(cron):
    with thread({"batch": {"polls": 1, "dialect": "foreign"}}) as server:
        cron.until_done(spec(server), QUESTIONS[:30])
        cron.until_done(spec(server), QUESTIONS[:30])
        assert server.log()["batch"]["rows"] == [30]
    assert {response.final for response in cron.stored.values()} == {False}
    assert any("it is not bought again" in note for note in cron.notes)


def test_a_batch_refused_as_a_whole_is_submitted_again_when_that_is_mended_and_not_for_ever(cron):
    refusing = {"rules": [{"match": "coffee", "fault": "400"}], "batch": {"polls": 1}}
    with thread(refusing) as server:
        cron.until_done(spec(server), QUESTIONS[:8])
        assert {response.final for response in cron.stored.values()} == {False}
        server.follow({"batch": {"polls": 1}})
        cron.until_done(spec(server), QUESTIONS[:8])
        assert not [response.failure for response in cron.stored.values() if response.failure]
        server.follow(refusing)
        for _ in range(5):
            cron.until_done(spec(server), QUESTIONS[8:10])
        assert server.log()["batch"]["rows"] == [8, 8, 2, 2, 2]
    assert all(cron.stored[one.request_id].final for one in QUESTIONS[8:10])


def test_only_what_an_expired_batch_left_out_is_sent_again(cron):
    with thread({"batch": {"polls": 1, "expire": [1]}}) as server:
        cron.until_done(spec(server), QUESTIONS)
        found = server.log()["batch"]
    assert len(cron.stored) == 100
    assert found["batches"] == ["completed", "expired", "completed", "completed"]
    assert found["rows"] == [40, 40, 20, 20]
    assert found["twice"] == 0


def test_rows_that_failed_are_sent_again_and_the_others_are_not(cron):
    with thread({"batch": {"polls": 1, "fail_rows": 0.3}}) as server:
        cron.until_done(spec(server), QUESTIONS)
        found = server.log()["batch"]
    assert not [response for response in cron.stored.values() if response.failure]
    assert 110 < sum(found["rows"]) < 160
    assert (found["answered"], found["twice"]) == (100, 0)


def test_a_row_refused_for_good_is_a_failed_row_and_is_not_sent_again(cron):
    questions = [question(n, word="beer" if n == 7 else "tea") for n in range(30)]
    with thread({"rules": [{"match": "beer", "fault": "400"}], "batch": {"polls": 1}}) as server:
        cron.until_done(spec(server), questions)
        assert server.log()["batch"]["rows"] == [30]
    odd = cron.stored.pop(questions[7].request_id)
    assert odd.failure == "HTTP 400: Invalid prompt: flagged."
    assert odd.final
    assert not [response for response in cron.stored.values() if response.failure]


def test_a_row_that_never_comes_back_becomes_a_row_and_may_be_asked_in_another_run(cron):
    with thread({"batch": {"polls": 1, "expire": [0, 1]}}) as server:
        cron.until_done(spec(server, max_attempts=2), QUESTIONS[:4])
        lost = [response for response in cron.stored.values() if response.failure]
        assert len(lost) == 1
        assert "after 2 batches" in lost[0].failure
        assert not lost[0].final
        cron.until_done(spec(server, max_attempts=2), QUESTIONS[:4])
        assert server.log()["batch"]["twice"] == 0
    assert not [response for response in cron.stored.values() if response.failure]


def test_a_batch_that_is_not_taken_is_said_in_the_providers_words(cron):
    with thread({"batch": {"polls": 1, "refuse": [0]}}) as server:
        assert not cron.call(spec(server), QUESTIONS[:5])
        with pytest.raises(EngineError, match="5 rows was not taken: This line is not parseable") as caught:
            cron.call(spec(server), QUESTIONS[:5])
        assert "submitted anew" in caught.value.fix
        cron.until_done(spec(server), QUESTIONS[:5])
    assert len(cron.stored) == 5


def test_where_the_provider_takes_few_batches_at_once_the_rest_follows(cron):
    with thread({"batch": {"polls": 1, "most_at_once": 2}}) as server:
        cron.until_done(spec(server, batch_size=10), QUESTIONS)
        found = server.log()["batch"]
    assert (found["answered"], found["twice"]) == (100, 0)
    assert len(cron.stored) == 100


def test_a_batch_has_no_more_bytes_than_the_user_allows(cron, server):
    cron.until_done(spec(server, batch_bytes=10_000), QUESTIONS)
    found = server.log()["batch"]
    assert len(found["rows"]) > 3
    assert found["twice"] == 0


FAULTS = ["500", "503", "lost", "reset_before", "truncated_json", "invalid_json", "429_ms"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_creating_submits_nothing_twice(cron, fault):
    rule = {"match": "", "fault": fault, "attempts": 1, "path": "/v1/batches"}
    with thread({"rules": [rule], "retry_after_s": 0.01, "batch": {"polls": 1}}) as server:
        cron.until_done(spec(server), QUESTIONS[:30])
        found = server.log()["batch"]
    assert found["rows"] == [30]
    assert len(cron.stored) == 30


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_lasts_stops_resumably_and_the_next_call_goes_on(cron, fault, monkeypatch):
    monkeypatch.setattr(batch_provider, "_TRIES", 2)
    rule = {"match": "", "fault": fault, "path": "/v1/files"}
    with thread({"rules": [rule], "retry_after_s": 0.001, "batch": {"polls": 1}}) as server:
        with pytest.raises(EngineError, match="cannot upload") as caught:
            cron.call(spec(server), QUESTIONS[:30])
        assert "run the same command again" in caught.value.fix
        server.follow({"batch": {"polls": 1}})
        cron.until_done(spec(server), QUESTIONS[:30])
        found = server.log()["batch"]
    assert found["rows"] == [30]
    assert len(cron.stored) == 30


class KilledError(BaseException):
    """Stands for a kill -9: nothing that comes after is carried out."""


@pytest.mark.parametrize(
    "moment", ["before upload", "after upload", "before create", "after create", "before download", "after download"]
)
def test_killed_at_any_step_nothing_is_submitted_twice_or_lost(cron, server, monkeypatch, moment):
    when, what = moment.split()
    real = getattr(Provider, what)
    with monkeypatch.context() as patch:

        def killed(self, *args, **kwargs):
            if when == "after":
                real(self, *args, **kwargs)
            raise KilledError

        patch.setattr(Provider, what, killed)
        with pytest.raises(KilledError):
            cron.until_done(spec(server), QUESTIONS)
    cron.until_done(spec(server), QUESTIONS)
    found = server.log()["batch"]
    assert found["rows"] == [40, 40, 20]
    assert found["twice"] == 0
    assert len(cron.stored) == 100


def test_answers_that_were_put_but_not_kept_are_read_again_from_disk(cron, server):
    cron.until_done(spec(server), QUESTIONS)
    cron.stored.clear()  # the store lost power before its last commit
    assert cron.call(spec(server), QUESTIONS)
    assert len(cron.stored) == 100
    assert server.log()["batch"]["rows"] == [40, 40, 20]


def test_what_a_model_refuses_is_left_out_of_the_next_batch(cron):
    with thread({"personality": "openai", "refuses": ["logprobs"], "batch": {"polls": 1}}) as server:
        cron.until_done(spec(server), QUESTIONS[:20])
        assert server.log()["batch"]["rows"] == [20, 20]
    assert {response.method for response in cron.stored.values()} == {"text+json_schema"}


def test_every_row_refused_for_one_setting_stops_and_spoils_nothing(cron):
    with thread({"rules": [{"match": "model", "fault": "400"}], "batch": {"polls": 1}}) as server:
        assert not cron.call(spec(server, batch_size=100), QUESTIONS)
        with pytest.raises(EngineError, match="all of the first 50 requests were refused"):
            cron.call(spec(server, batch_size=100), QUESTIONS)
        assert not any(cron.is_stored(request_id) for request_id in cron.stored)
        server.follow({"batch": {"polls": 1}})
        cron.until_done(spec(server, batch_size=100), QUESTIONS)
    assert all(cron.is_stored(request.request_id) for request in QUESTIONS)


def test_a_wrong_key_and_a_server_without_batches_are_said(cron, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-wrong-wrong")
    with thread({"key": "sk-right"}) as server, pytest.raises(EngineError, match="HTTP 401") as caught:
        cron.call(spec(server), QUESTIONS)
    assert "OPENAI_API_KEY" in caught.value.fix
    assert "sk-wrong" not in str(caught.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    rule = {"match": "", "fault": "404", "path": "/v1/files"}
    with thread({"rules": [rule]}) as server, pytest.raises(EngineError, match="cannot upload: HTTP 404") as caught:
        cron.call(spec(server), QUESTIONS)
    assert "engine: openai" in caught.value.fix


def test_two_models_of_one_run_keep_their_batches_apart(cron):
    with thread({"models": ["one", "two"], "batch": {"polls": 1}}) as server:
        for model in ("one", "two"):
            cron.until_done(spec(server, model=model), [question(n + (50 if model == "two" else 0)) for n in range(10)])
        assert server.log()["batch"]["rows"] == [10, 10]
    assert len(list(cron.folder.iterdir())) == 2


def test_a_ledger_that_is_broken_is_said_and_not_written_over(tmp_path):
    (tmp_path / "ledger.json").write_text('{"format": 1')
    with pytest.raises(FileError, match="not a ledger of batches"):
        Ledger.open(tmp_path)
    (tmp_path / "ledger.json").write_bytes(orjson.dumps({"format": 99}))
    with pytest.raises(FileError, match="another version"):
        Ledger.open(tmp_path)

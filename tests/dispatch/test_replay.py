from __future__ import annotations

import os

import pytest

from prefgen.dialogues import Call, Dialogue, replayed
from prefgen.dispatch.dispatcher import Dispatcher
from prefgen.dispatch.replay import NOT_IN_FILE
from prefgen.engines.store import ResponseStore
from prefgen.errors import FileError
from prefgen.records import Request, Response
from prefgen.spec.models import ReplayModel


def request(number: int) -> Request:
    return Request("m", None, (("user", f"question {number}"),), "text", ("A", "B"), 0.0, 1.0, 4, None, 0)


REQUESTS = [request(number) for number in range(3000)]
IDS = [one.request_id for one in REQUESTS]


def answered(number: int) -> Response:
    if number % 100 == 7:
        return Response(IDS[number], failure="HTTP 400: refused")
    return Response(IDS[number], text="AB"[number % 2], alternatives=(("A", -0.1), ("B", -2.3)), prompt_tokens=number)


def replay(folder, *, responses, name="responses.sqlite"):
    store = ResponseStore(folder / name)
    spec = ReplayModel(engine="replay", model="m", responses=responses)
    return store, Dispatcher(store, {"judge": spec})


@pytest.fixture
def recorded(tmp_path):
    folder = tmp_path / "recorded"
    folder.mkdir()
    with ResponseStore(folder / "responses.sqlite") as store:
        for number in range(2000):
            store.put(answered(number))
    return folder


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_replay_reads_what_was_recorded_and_says_what_is_not_there(tmp_path, recorded, named):
    store, asker = replay(tmp_path, responses=recorded if named == "folder" else recorded / "responses.sqlite")
    with store:
        meter = asker.send("judge", iter(REQUESTS), planned=3000)
        assert (meter.planned, meter.stored, meter.sent, meter.failed) == (3000, 2000, 0, 1000)
        found = asker.read(IDS[::-1])[::-1]
        assert found[:2000] == [answered(number) for number in range(2000)]
        assert {(one.failure, one.final) for one in found[2000:]} == {(NOT_IN_FILE, True)}
        assert len(store) == 0


def test_a_replay_changes_nothing_in_the_file_it_reads(tmp_path, recorded):
    before = (recorded / "responses.sqlite").read_bytes()
    store, asker = replay(tmp_path, responses=recorded)
    with store:
        asker.send("judge", REQUESTS, planned=3000)
        asker.read(IDS)
    assert (recorded / "responses.sqlite").read_bytes() == before
    assert os.listdir(recorded) == ["responses.sqlite"]


def test_a_run_may_replay_its_own_file_and_stays_as_it_was(recorded):
    store, asker = replay(recorded, responses=recorded)
    with store:
        assert asker.send("judge", REQUESTS, planned=3000).stored == 2000
        assert asker.read(IDS)[:2000] == [answered(number) for number in range(2000)]
        assert store.missing(IDS) == IDS[2000:]


def test_a_run_killed_while_it_asked_can_be_replayed(tmp_path, recorded):
    with ResponseStore(recorded / "responses.sqlite") as alive:
        alive.put(Response(IDS[2500], text="B"))
        alive.commit()  # in the journal, not yet in the file
        store, asker = replay(tmp_path, responses=recorded)
        with store:
            assert asker.read([IDS[2500]])[0].text == "B"


def test_no_file_to_replay_is_an_error_with_a_fix(tmp_path):
    store, asker = replay(tmp_path, responses=tmp_path / "nowhere")
    with store, pytest.raises(FileError, match="nowhere: no such file"):
        asker.send("judge", REQUESTS, planned=3000)


def test_dialogues_are_replayed_too_and_what_is_not_there_is_counted_as_when_requests_are(tmp_path, recorded):
    def pair(number: int) -> Dialogue[list[str | None]]:
        said = yield [Call("judge", request(number)), Call("judge", request(number + 1))]
        return [one.failure or one.text for one in said]

    store, asker = replay(tmp_path, responses=recorded)
    with store:
        meter = asker.drive(["judge"], map(pair, range(0, 3000, 2)), planned=3000)
        assert (meter.planned, meter.stored, meter.sent, meter.failed) == (3000, 2000, 0, 1000)
        told = list(replayed(map(pair, range(0, 3000, 2)), asker.read))
        assert told[0] == [answered(0).text, answered(1).text]
        assert told[-1] == [NOT_IN_FILE, NOT_IN_FILE]
        assert len(store) == 0

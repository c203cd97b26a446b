"""What analyses left beside a run, changed under a right seal: the report is drawn, or one sentence; never a traceback."""

from __future__ import annotations

import json
import random
import traceback
from pathlib import Path

import orjson
import pytest

from prefgen.errors import FileError
from prefgen.publish.card.write import write_card
from prefgen.publish.report import write_report
from prefgen.store.folder import RunFolder
from prefgen.store.seal import SEAL, sealed
from tests.fuzz.folders import copy_of, tree
from tests.fuzz.test_run_folders import whole as whole  # the fixture
from tests.servers.hub import Hub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes")

NAMES = ("report.json", "placement.json", "calibration.json")


def changed(run: Path, name: str, rng: random.Random) -> None:
    content = orjson.loads((run / name).read_bytes())
    kept = {key: content.pop(key) for key in ("fingerprint", "run", "format") if key in content}
    other = tree({key: value for key, value in content.items() if key != SEAL}, rng)
    try:
        other = sealed(other | kept)
    except (TypeError, ValueError):  # of a number or half a character that no seal can be of
        other = other | kept
    (run / name).write_text(json.dumps(other), "utf-8")


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "numbers", [range(9), *(pytest.param(range(k, 240, 3), marks=pytest.mark.slow) for k in range(3))]
)
def test_no_findings_under_a_right_seal_end_in_a_traceback(
    folder: Path, whole: Path, served: Hub, numbers: range
) -> None:
    found: dict[str, list[int]] = {}
    said = 0
    for number in numbers:
        rng = random.Random(f"findings {number}")
        copy_of(whole, folder / "run")
        run = RunFolder(folder / "run")
        changed(run.path, NAMES[number % 3], rng)
        for read in (write_report, lambda run: write_card(run, run.read_manifest())):
            try:
                read(run)
            except FileError as error:
                said += NAMES[number % 3] in str(error)
            except Exception:
                found.setdefault(traceback.format_exc().strip()[-300:], []).append(number)
    assert not found, found
    assert said

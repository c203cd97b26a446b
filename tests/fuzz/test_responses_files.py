"""Files of responses, handed to `--replay` or lying in a run folder: read, or one sentence; never a traceback."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.faults.pipelines import write_pipeline
from tests.fuzz.ending import told, wrong_with
from tests.fuzz.stores import change

CODES = (0, 2, 3, 4)  # 3: a file in which nothing is an answer
CHUNKS = 4


@pytest.mark.parametrize("readout", ["logprobs", "certainty"])
@pytest.mark.parametrize(
    "numbers", [range(8), *(pytest.param(range(k, 250, CHUNKS), marks=pytest.mark.slow) for k in range(CHUNKS))]
)
def test_no_file_of_responses_ends_in_a_traceback(folder: Path, endpoint, readout: str, numbers: range) -> None:
    path = write_pipeline(folder, endpoint().base_url, personas=2, items=3, readout=readout)
    assert wrong_with("run", path, "--out", folder / "whole", "--no-report", codes=(0,)) is None
    shutil.rmtree(folder / "whole" / "tables")
    found: dict[str, list[int]] = {}
    for number in numbers:
        shutil.rmtree(folder / "out", ignore_errors=True)
        rng = random.Random(f"{readout} {number}")
        if rng.random() < 0.5:
            shutil.copytree(folder / "whole", folder / "given", dirs_exist_ok=True)
            change(folder / "given" / "responses.sqlite", rng)
            wrong = wrong_with(
                "run", path, "--out", folder / "out", "--no-report", "--replay", folder / "given", codes=CODES
            )
            shutil.rmtree(folder / "given")
        else:
            shutil.copytree(folder / "whole", folder / "out")
            change(folder / "out" / "responses.sqlite", rng)
            wrong = wrong_with("run", path, "--out", folder / "out", "--no-report", codes=CODES)
        if wrong is not None:
            found.setdefault(wrong, []).append(number)
    assert not found, told(found)

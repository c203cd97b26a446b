"""Whatever a file holds, `check` says right or complains: no traceback, nothing written, and soon."""

from __future__ import annotations

import os
import random
import re
import traceback
from pathlib import Path

import pytest

from prefgen.cli.commands import check_files
from prefgen.errors import PrefgenError
from tests.fuzz.ending import SECONDS, Late, in_time, told
from tests.fuzz.mutants import Mutant, mutant, mutants

ROOT = Path(__file__).parents[2]
_PARTS = 20  # of the long hunt


def wrong_with(one: Mutant, folder: Path) -> str | None:
    """What `check` does of a mutant that it must not do; None where all is well."""
    for name, content in one.files.items():
        (folder / name).write_bytes(content)
    before = sorted(os.listdir(folder))
    try:
        with in_time():
            code = check_files([Path(one.checked)])
    except PrefgenError as error:
        code = error.exit_code
    except Late:
        return f"more than {SECONDS} s"
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(place.filename).name}:{place.lineno}" for place in at if "prefgen" in place.filename][-2:]
        return f"{type(error).__name__} at {' > '.join(ours)}: {re.sub(r'[^ -~]', '?', str(error))[:150]}"
    if code not in (0, 2, 3, 4):
        return f"exit {code}"
    if sorted(os.listdir(folder)) != before:
        return f"wrote {set(os.listdir(folder)) - set(before)}"
    return None


def hunt(folder: Path, seed: int, numbers: range, sources: dict[str, str]) -> dict[str, list[int]]:
    """What went wrong, with the numbers of the mutants. Given up once three took too long: a test has five minutes."""
    found: dict[str, list[int]] = {}
    late = 0
    for number in numbers:
        one = mutant(random.Random(f"{seed} {number}"), sources)
        wrong = wrong_with(one, folder)
        if wrong is not None:
            found.setdefault(f"{one.changed}: {wrong}", []).append(number)
            late += wrong.startswith("more than")
        if late == 3:
            break
    return found


def shipped(folder: Path) -> dict[str, str]:
    """The shipped files that need nothing beside them but each other."""
    found = {}
    for path in [*(ROOT / "pipelines").glob("*.yaml"), *(ROOT / "persona_specs").glob("*.yaml")]:
        text = path.read_text().replace("../persona_specs", str(ROOT / "persona_specs"))
        text = re.sub(r"(file|calibrate): (?=fair_pp/|surveys/)", rf"\1: {ROOT}/pipelines/", text)
        found[path.name] = text.replace(": gss_2018/", f": {ROOT}/persona_specs/gss_2018/")
        if path.name == "fair_pp_vignettes.yaml":  # planned whole, each of its mutants takes two seconds
            found[path.name] += "limit: 40\n"
    return found


def test_the_files_are_right_before_they_are_changed(folder: Path) -> None:
    mutant = next(mutants(0, 1, {}))
    whole = next(one for one in mutants(1, 1000, {}) if one.changed == "portraits.yaml" and one.checked == "p.yaml")
    del mutant
    for name, content in whole.files.items():
        (folder / name).write_bytes(content)
    assert check_files([Path("p.yaml"), Path("people.yaml")]) == 0


def test_a_few_hundred_mutants_give_no_traceback(folder: Path) -> None:
    found = hunt(folder, 2026, range(300), {})
    assert not found, told(found)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_PARTS))
def test_ten_thousand_mutants_give_no_traceback(folder: Path, part: int) -> None:
    numbers = range(part, int(os.environ.get("FUZZ_N", "10000")), _PARTS)
    found = hunt(folder, int(os.environ.get("FUZZ_SEED", "1")), numbers, shipped(folder))
    assert not found, told(found)

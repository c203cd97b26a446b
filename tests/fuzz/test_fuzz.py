"""Whatever a file holds, `check` says right or complains: no traceback, nothing written, and soon."""

from __future__ import annotations

import os
import re
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prefgen.cli.commands import check_files
from prefgen.errors import PrefgenError
from tests.fuzz.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
_SECONDS = 20


class _Late(BaseException):
    pass


@contextmanager
def _in_time() -> Iterator[None]:
    def late(*_: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def wrong_with(mutant: Mutant, folder: Path) -> str | None:
    """What `check` does of a mutant that it must not do; None where all is well."""
    for name, content in mutant.files.items():
        (folder / name).write_bytes(content)
    before = sorted(os.listdir(folder))
    try:
        with _in_time():
            code = check_files([Path(mutant.checked)])
    except PrefgenError as error:
        code = error.exit_code
    except _Late:
        return f"more than {_SECONDS} s"
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(one.filename).name}:{one.lineno}" for one in at if "prefgen" in one.filename][-2:]
        return f"{type(error).__name__} at {' > '.join(ours)}: {re.sub(r'[^ -~]', '?', str(error))[:150]}"
    if code not in (0, 2, 3, 4):
        return f"exit {code}"
    if sorted(os.listdir(folder)) != before:
        return f"wrote {set(os.listdir(folder)) - set(before)}"
    return None


def hunt(folder: Path, seed: int, n: int, sources: dict[str, str]) -> dict[str, list[int]]:
    """What went wrong, with the numbers of the mutants."""
    found: dict[str, list[int]] = {}
    for number, mutant in enumerate(mutants(seed, n, sources)):
        wrong = wrong_with(mutant, folder)
        if wrong is not None:
            found.setdefault(f"{mutant.changed}: {wrong}", []).append(number)
    return found


def shipped(folder: Path) -> dict[str, str]:
    """The shipped files that need nothing beside them but each other."""
    found = {}
    for path in [*(ROOT / "pipelines").glob("*.yaml"), *(ROOT / "persona_specs").glob("*.yaml")]:
        text = path.read_text().replace("../persona_specs", str(ROOT / "persona_specs"))
        text = re.sub(r"(file|calibrate): (?=fair_pp/|surveys/)", rf"\1: {ROOT}/pipelines/", text)
        found[path.name] = text.replace(": gss_2018/", f": {ROOT}/persona_specs/gss_2018/")
    return found


def test_the_files_are_right_before_they_are_changed(folder: Path) -> None:
    mutant = next(mutants(0, 1, {}))
    whole = next(one for one in mutants(1, 1000, {}) if one.changed == "portraits.yaml" and one.checked == "p.yaml")
    del mutant
    for name, content in whole.files.items():
        (folder / name).write_bytes(content)
    assert check_files([Path("p.yaml"), Path("people.yaml")]) == 0


def test_a_few_hundred_mutants_give_no_traceback(folder: Path) -> None:
    assert hunt(folder, 2026, 300, {}) == {}


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_thousand_mutants_give_no_traceback(folder: Path) -> None:
    assert (
        hunt(folder, int(os.environ.get("FUZZ_SEED", "1")), int(os.environ.get("FUZZ_N", "10000")), shipped(folder))
        == {}
    )

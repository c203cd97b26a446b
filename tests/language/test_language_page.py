"""docs/language.md: every example is a pipeline that is planned without a complaint."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from prefgen.cli.commands import check_files

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text("utf-8")
BASE, *EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.S)]
PEOPLE = {
    "population": "town",
    "attributes": {"mood": {"calm": 0.5, "lively": 0.5}},
    "weights": {"dirichlet": 1, "over": ["brief", "kind"]},
    "text": "You are {{ mood }}.",
}
ANSWERS = [
    {"prompt": prompt, "response": f"{prompt} {k}", "brief": 5 - k, "kind": 1 + k, "bold": (2 * k) % 3}
    for prompt in ("What is tea?", "Why walk?")
    for k in range(4)
]


@pytest.mark.parametrize("example", range(len(EXAMPLES)))
def test_an_example_is_valid(example: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(PEOPLE))
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ANSWERS))
    more = dict(EXAMPLES[example])
    publish, analyse = more.pop("publish", {"exports": []}), more.pop("analyse", [])
    path = tmp_path / "p.yaml"
    path.write_text(
        yaml.safe_dump(BASE | {"steps": BASE["steps"] | more, "publish": publish, "analyse": analyse}, sort_keys=False)
    )
    assert check_files([path]) == 0, capsys.readouterr().out


def test_every_kind_of_step_is_on_the_page() -> None:
    from prefgen.steps import KINDS

    used = {
        key for steps in (BASE["steps"], *EXAMPLES) for name, step in steps.items() if name != "analyse" for key in step
    }
    assert set(KINDS) - used <= {"product", "show"}

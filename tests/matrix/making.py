"""Makes the pipeline of a cell: its files, its server, and the run to its end, however often it has to be called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import yaml

from prefgen.errors import GateError, NotFinished, SpecError
from prefgen.flow.pipeline import load
from prefgen.flow.plan import make_plan
from prefgen.flow.run import run
from tests.matrix.cells import EVERY, ITEMS, PAGE, PEOPLE, Change, changed
from tests.matrix.populations import FILES
from tests.test_run import Nobody

CALLS = 8


def write_files(folder: Path) -> None:
    """The files that the pipelines name."""
    asked = {"survey": "survey.csv", "by": ["vote"], "column": "area", "levels": ["more", "less", None]}
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "people.yaml").write_text(PEOPLE)
    (folder / "areas.csv").write_text("area,colour\nparks,green\nroads,grey\n")
    (folder / "items.jsonl").write_text(ITEMS)
    (folder / "page.jinja").write_text(PAGE)
    (folder / "survey.csv").write_text("vote,parks,roads,w\n" + "left,more,less,1\nright,less,more,2\n" * 40)
    (folder / "calibration.json").write_bytes(orjson.dumps(asked))
    (folder / "calibration-all.json").write_bytes(orjson.dumps(asked | EVERY))
    (folder / "calibration-other.json").write_bytes(orjson.dumps(asked | {"column": "item_id"}))


def written(folder: Path, change: Change, *, address: str, here: Path | None = None) -> Path:
    """The pipeline of a cell as a file.

    address    of the server
    here       weights or stored responses, where `HERE` stands for them
    """
    data = changed(change)
    for model in data.get("models", {}).values():
        if model.get("engine") in (None, "openai", "batch"):
            several = "base_url" in model and model.get("engine") != "batch"
            model["base_url"] = [address, address] if several else address
        for key in ("gguf", "responses"):
            if model.get(key) == "HERE":
                model[key] = str(here)
    if "people" in change:
        (folder / "drawn.yaml").write_text(yaml.safe_dump(change["people"], sort_keys=False))
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def finished(path: Path, out: Path, *, report: bool = False) -> tuple[str, int]:
    """`refused` by check, `missed` a gate, or `made`; and how often it had to be called. Anything else is raised."""
    try:
        pipeline = load(path)
        make_plan(pipeline)
    except SpecError as error:
        assert "fix:" in str(error)
        return f"refused: {error}", 0
    for call in range(1, CALLS):
        try:
            run(pipeline, out, Nobody(), report=report)
        except NotFinished as error:  # a batch waits: exit 75, and the same command again
            assert "requests wait in" in str(error)
            continue
        except GateError:
            return "missed", call
        return "made", call
    raise AssertionError(f"still waiting after {CALLS} calls")


def loaded(folder: Path, change: Change) -> Any:
    """The pipeline of a cell as it is read, nothing asked and nothing made."""
    for name in ("mine.gguf", "responses.sqlite"):
        (folder / name).touch()
    here = folder / ("mine.gguf" if "embedded" in str(change) else "responses.sqlite")
    return load(written(folder, change, address="http://127.0.0.1:9/v1", here=here))

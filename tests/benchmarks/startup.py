"""How long `prefgen --help` and a run that is finished already take: `python -m tests.benchmarks.startup`.

The finished run has 400,000 people. It is set against the imports of the same command: what it does beyond them is
to look whether its files stand. `plan` draws the people once, and so does the first run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Row, Usage, interleaved, machine, measured, table
from tests.caches import own_caches
from tests.faults.pipelines import COMMAND, environment

_PEOPLE = Path(__file__).parents[2] / "persona_specs" / "britain_seven.yaml"
_PIPELINE = f"""
name: many
models: {{}}
steps: {{people: {{draw: {_PEOPLE}, n: PEOPLE}}}}
publish: {{exports: [personas]}}
"""
_IMPORTS = "import prefgen.cli.commands, prefgen.screen.watch, prefgen.flow.run"


def rows(repetitions: int = 11) -> list[Row]:
    def ours(_: int) -> Usage:
        return measured([COMMAND, "--help"], env=environment())

    def nothing(_: int) -> Usage:
        return measured([sys.executable, "-c", "pass"])

    ours(0)  # once to write the bytecode
    found = interleaved(repetitions, ours, nothing)
    seconds = found[0].wall_s
    return [
        Row(
            "`prefgen --help`",
            f"{seconds:.3f} s",
            f"`python -c pass` {found[1].wall_s:.3f} s",
            f"{seconds / found[1].wall_s:.1f}",
            "<= 0.25 s",
            seconds <= 0.25,
        ),
    ]


def finished_rows(repetitions: int = 5, people: int = 400_000) -> list[Row]:
    """A fresh run, and the same command once it is finished. CPU seconds: a busy machine stretches the others."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.yaml"
        path.write_text(_PIPELINE.replace("PEOPLE", str(people)))
        command = [COMMAND, "run", str(path), "--out", f"{folder}/out", "--no-report"]
        fresh = measured(command, env=environment())

        def again(_: int) -> Usage:
            return measured(command, env=environment())

        def imports(_: int) -> Usage:
            return measured([sys.executable, "-c", _IMPORTS], env=environment())

        found = interleaved(repetitions, again, imports)
    ours, bare = found[0].cpu_s, found[1].cpu_s
    return [
        Row(
            f"CPU of a finished run, {people:,} people",
            f"{ours:.2f} s",
            f"its imports {bare:.2f} s; the fresh run {fresh.cpu_s:.2f} s",
            f"{ours / bare:.2f}",
            "<= 0.5 s beyond the imports",
            ours - bare <= 0.5,
        ),
    ]


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=11)
    repetitions = parser.parse_args().repetitions
    print(table(rows(repetitions) + finished_rows(min(5, repetitions))), machine(), sep="\n\n")


if __name__ == "__main__":
    main()

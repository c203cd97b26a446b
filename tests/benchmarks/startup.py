"""How long `prefgen --help` takes, against an interpreter that does nothing: `python -m tests.benchmarks.startup`."""

from __future__ import annotations

import argparse
import sys

from tests.benchmarks.measure import Row, Usage, interleaved, machine, measured, table
from tests.faults.pipelines import COMMAND, environment


def rows(repetitions: int = 11) -> list[Row]:
    def ours(_: int) -> Usage:
        return measured([COMMAND, "--help"], env=environment())

    def nothing(_: int) -> Usage:
        return measured([sys.executable, "-c", "pass"])

    ours(0)  # once to write the bytecode
    found = interleaved(repetitions, ours, nothing)
    seconds = found[0].wall_s
    return [
        Row("`prefgen --help`", f"{seconds:.3f} s", f"`python -c pass` {found[1].wall_s:.3f} s",
            f"{seconds / found[1].wall_s:.1f}", "<= 0.25 s", seconds <= 0.25),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=11)
    print(table(rows(parser.parse_args().repetitions)), machine(), sep="\n\n")


if __name__ == "__main__":
    main()

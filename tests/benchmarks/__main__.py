"""All benchmarks that take minutes, as one Markdown table: `python -m tests.benchmarks [--full]`.

Without --full: 20,000 HTTP judgments, a kill half-way through 10,000, 1,000,000 replayed judgments, filters over
2,000,000. With it: growth to 10,000,000 replayed judgments and filters over 10,000,000 (half an hour).
"""

from __future__ import annotations

import argparse

from tests.benchmarks import filters, http, kill, memory, startup
from tests.benchmarks.measure import machine, table
from tests.caches import own_caches


@own_caches()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    found = [
        *http.rows(),
        *kill.rows(),
        *memory.rows(grow=10 if full else 1),
        *filters.rows(10_000_000 if full else 2_000_000),
        *startup.rows(),
    ]
    print(table(found), machine(), sep="\n\n")


if __name__ == "__main__":
    main()

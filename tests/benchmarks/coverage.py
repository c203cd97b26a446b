"""How often the printed intervals hold the truth: `python -m tests.benchmarks.coverage [runs]`, a table by setting.

Nominal is 95 %; of 300 runs 93 to 97 % is what chance leaves (standard error 1.3 points).
"""

from __future__ import annotations

import sys

from tests.analysis.simulated import Setting, coverage, false_alarms

SHAPES = ((15, 1), (10, 3), (12, 6), (20, 15), (50, 20))
SETTINGS = [Setting(topics, groups, spread) for topics, groups in SHAPES for spread in (0.0, 0.7)] + [
    Setting(topics, groups, spread, lean=-3.5) for topics, groups in SHAPES for spread in (0.0, 0.7)
]


def main(runs: int = 300) -> None:
    """Print coverage by kind of number and setting, then the family-wise false alarms of tables of gaps."""
    print(f"coverage of 95 % intervals over {runs} runs, %; then intervals without width, % (all kinds)")
    for number, setting in enumerate(SETTINGS):
        found = coverage(setting, runs=runs)
        if number == 0:
            print(f"{'':<44}" + "".join(f"{name:>15}" for name in found) + f"{'no width':>12}")
        flat = sum(one[1] for one in found.values()) / len(found)
        print(
            f"{setting.named():<44}"
            + "".join(f"{one[0] * 100:>15.1f}" for one in found.values())
            + f"{flat * 100:>12.1f}",
            flush=True,
        )
    print("\nruns in which nothing differs and a gap is called beyond chance, %")
    for setting in SETTINGS:
        print(f"{setting.named():<44}{false_alarms(setting, runs=runs) * 100:>8.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)

"""How often the printed intervals hold the truth: `python -m tests.benchmarks.coverage [runs]`, a table by setting.

Nominal is 95 %. Over 300 runs one figure has a standard error of 1.3 points, so that of many that are exactly 95 one in nine
lies outside 93 to 97: the last lines count those that lie outside, beside how many would by chance. 1,500 runs tell (.6).
"""

from __future__ import annotations

import sys
from statistics import NormalDist

from tests.analysis.simulated import Setting, coverage, false_alarms
from tests.caches import own_caches

SHAPES = ((15, 1), (10, 3), (12, 6), (20, 15), (50, 20))
SPREADS = (0.0, 0.3, 0.7)
SETTINGS = [Setting(topics, groups, spread) for topics, groups in SHAPES for spread in SPREADS] + [
    Setting(topics, groups, spread, lean=-3.5) for topics, groups in SHAPES for spread in SPREADS
]
WITHIN = (0.93, 0.97)


@own_caches()
def main(runs: int = 300) -> None:
    """Print coverage by kind of number and setting, then the family-wise false alarms of tables of gaps."""
    print(f"coverage of 95 % intervals over {runs} runs, %; then intervals without width, % (all kinds)")
    held: list[tuple[float, str]] = []
    for number, setting in enumerate(SETTINGS):
        found = coverage(setting, runs=runs)
        held += [(one[0], f"{name}, {setting.named().strip()}") for name, one in found.items()]
        if number == 0:
            print(f"{'':<44}" + "".join(f"{name:>15}" for name in found) + f"{'no width':>12}")
        flat = sum(one[1] for one in found.values()) / len(found)
        print(
            f"{setting.named():<44}"
            + "".join(f"{one[0] * 100:>15.1f}" for one in found.values())
            + f"{flat * 100:>12.1f}",
            flush=True,
        )
    outside = sorted((share, named) for share, named in held if not WITHIN[0] <= share <= WITHIN[1])
    chance = 2 * NormalDist().cdf(-(0.95 - WITHIN[0]) / (0.95 * 0.05 / runs) ** 0.5)
    print(
        f"\n{len(outside)} of {len(held)} outside 93 to 97 %; {chance * len(held):.0f} would be by chance were all of them 95"
    )
    for share, named in outside:
        print(f"{share * 100:>8.1f}  {named}")
    print("\nruns in which nothing differs and a gap is called beyond chance, %")
    for setting in SETTINGS:
        print(f"{setting.named():<44}{false_alarms(setting, runs=runs) * 100:>8.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)

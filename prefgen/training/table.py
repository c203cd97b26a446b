"""What the methods achieved, as a Markdown table with intervals over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

from prefgen.estimates import quantile_of_t

if TYPE_CHECKING:
    from prefgen.training.align import Achieved

_HEAD = ("method", "from the target (bits)", "from the others (bits)", "others less target", "held-out pairs")


def table(achieved: Sequence[Achieved], target: str) -> str:
    """One row a method: Jensen-Shannon divergence from the target and from the others, their difference, pairs right."""
    lines = [f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    for method in dict.fromkeys(one.method for one in achieved):
        mine = [one.nearness for one in achieved if one.method == method]
        near, far = ([of(target) for of in ofs] for ofs in ([n.of_target for n in mine], [n.of_others for n in mine]))
        apart = [b - a for a, b in zip(near, far, strict=True)]
        right = [n.accuracy for n in mine]
        lines.append(f"| {method} | {' | '.join(map(_interval, (near, far, apart, right)))} |")
    return "\n".join(lines)


def _interval(values: Sequence[float]) -> str:
    """Mean, and Student's 95 % interval of the mean over seeds where there are several."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = quantile_of_t(0.95, len(values) - 1) * statistics.stdev(values) / sqrt(len(values))
    return f"{mean:.3f} ± {half:.3f}"

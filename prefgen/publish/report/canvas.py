"""The paper that figures are drawn on: one look, SVG that follows the page's light and dark, PNG for elsewhere."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:  # drawing is the only slow import of this room
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours as drawn; in the page each becomes the CSS variable of that name, which dark mode changes.
# Told apart by people with any of the common colour blindnesses (Okabe and Ito, darkened for thin lines).
INK, SOFT, LINE, PAPER = "#1b1d21", "#626a75", "#d8dbe1", "#fefefd"
BLUE, RED, GREEN, PURPLE, AMBER, SKY, OLIVE = (
    "#0068a8",
    "#b84700",
    "#007a5a",
    "#a8528a",
    "#b07a00",
    "#3e93c4",
    "#6b7a12",
)
SERIES = (BLUE, RED, GREEN, PURPLE, AMBER, SKY, OLIVE, SOFT)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_VARIABLES = {
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    PAPER: "card",
    BLUE: "blue",
    RED: "red",
    GREEN: "green",
    PURPLE: "purple",
    AMBER: "amber",
    SKY: "sky",
    OLIVE: "olive",
}

WIDTH = 4.0  # inches: on a phone the letters are still ten pixels high
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "prefgen",
    "text.parse_math": False,
    "font.size": 9.0,
    "font.family": ["DejaVu Sans"],
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 9.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "ytick.major.pad": 5.5,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "hatch.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
}


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a figure, for those who do not see it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure before it is printed; `caption` says how to read it."""

    figure: Figure
    caption: str
    table: Table


@dataclass(frozen=True, slots=True)
class Print:
    """A figure as SVG to stand inside the page, and as a PNG file."""

    key: str
    title: str
    caption: str
    svg: str
    png: bytes
    table: Table


@contextmanager
def ink() -> Iterator[None]:
    """Draw and print with our style alone, whatever the machine's settings are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(cast(Any, _STYLE))
        yield


def blank(
    height: float, *, left: float = 0.1, right: float = 0.12, top: float = 0.1, bottom: float = 0.45
) -> tuple[Figure, Axes]:
    """An empty figure of the page's width with one pair of axes; margins and height in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    room = (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height)
    return figure, figure.add_axes(room)


def label_room(names: Sequence[str], *, most: float = 2.0) -> float:
    """Inches that names need beside the axes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font, measure = FontProperties(family=_STYLE["font.family"], size=_STYLE["ytick.labelsize"]), TextToPath()
    with _unseen_letters():
        widths = [measure.get_text_width_height_descent(name, font, ismath=False)[0] for name in names]
    return min(most, 0.14 + max(widths, default=0.0) / 72)


def percent_axis(axes: Axes, *, low: float = 0.0, high: float = 1.0, label: str = "") -> None:
    """An axis of shares, with a light grid."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:.0f} %"))
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    if label:
        axes.set_xlabel(label)


@contextmanager
def _unseen_letters() -> Iterator[None]:
    """A name may hold letters that the PNG's font lacks (the page's own fonts have them): a box, not a stop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*missing.*")
        warnings.filterwarnings("ignore", message=r".*Matplotlib currently does not support.*")
        yield


def printed(key: str, title: str, drawing: Drawing) -> Print:
    """The figure on paper: the same bytes for the same figure."""
    with _unseen_letters():
        page = io.BytesIO()
        drawing.figure.savefig(page, format="svg", metadata={"Date": None})
        paper = _with_title(drawing.figure, title)
    return Print(key, title, drawing.caption, for_page(page.getvalue().decode(), key, title), paper, drawing.table)


def _with_title(figure: Figure, title: str) -> bytes:
    import textwrap

    paper = io.BytesIO()
    lines = textwrap.wrap(title, 50) or [""]
    figure.text(0.02, 1.02, "\n".join(lines), fontsize=10.5, fontweight="bold", va="bottom")
    figure.savefig(
        paper, format="png", dpi=200, facecolor=PAPER, bbox_inches="tight", pad_inches=0.12, metadata={"Software": None}
    )
    return paper.getvalue()


def for_page(svg: str, key: str, title: str) -> str:
    """Matplotlib's SVG made fit to stand inside a page: its own ids, the page's fonts and colours, any width."""
    from markupsafe import escape

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", svg)
    svg = re.sub(r"font-family: [^;\"]*;?\s*", "", svg)
    svg = re.sub(r"font: (?:(?:normal|bold|italic|\d+) )*([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    for colour, name in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name})")
    box = re.search(r'viewBox="([^"]+)"', svg)
    assert box is not None
    opening = f'<svg viewBox="{box[1]}" role="img" aria-label="{escape(title)}">'
    return (opening + svg[svg.index(">") + 1 :]).replace("xlink:href", "href")

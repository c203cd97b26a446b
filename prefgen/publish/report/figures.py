"""The figures of answers, in the order of the page: each a drawing and the finding that is its title."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prefgen.publish.report import bars, charts, placing, portraits, steady, titles
from prefgen.publish.report.canvas import Drawing
from prefgen.publish.report.words import Record

Draw = Callable[[Record, Record], Drawing | None]
Title = Callable[[Record, Record], str]

FIGURES: Mapping[str, tuple[Draw, Title]] = {
    "flow": (bars.draw_flow, titles.flow_title),
    "position": (charts.draw_position, titles.position_title),
    "position_items": (bars.draw_position_items, titles.position_items_title),
    "control": (charts.draw_control, titles.control_title),
    "blocs": (bars.draw_blocs, titles.blocs_title),
    "profiles": (portraits.draw_profiles, titles.profiles_title),
    "pairs": (portraits.draw_pairs, titles.pairs_title),
    "map": (placing.draw_map, titles.map_title),
    "nearness": (placing.draw_nearness, titles.nearness_title),
    "shares": (charts.draw_shares, titles.shares_title),
    "gaps": (charts.draw_gaps, titles.gaps_title),
    "forms": (steady.draw_forms, steady.forms_title),
    "wordings": (steady.draw_wordings, steady.wordings_title),
    "length": (steady.draw_length, steady.length_title),
    "nonresponse": (charts.draw_nonresponse, titles.nonresponse_title),
}

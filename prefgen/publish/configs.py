"""What a finished run says of its configs: which one to load first, and why one has no rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefgen.publish.exports.presets import ALWAYS, PRESETS


def main_config(manifest: Mapping[str, Any]) -> str | None:
    """The config to show and to load first: `dpo`, else the first that has rows; None where none has."""
    filled = [config["name"] for config in manifest["configs"] if any(config["splits"].values())]
    exported = [name for name in filled if name not in ALWAYS]
    return "dpo" if "dpo" in filled else next(iter([*exported, *filled]), None)


def why_empty(manifest: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Why a config has no row, from the account of the step it was made from.

    A step that made rows and kept some gives a config without a row only where none of them chose an option, or lacks what the config
    is made of, as the feedback of a critique.
    """
    step = next((one for one in manifest["steps"] if one["name"] == config["step"]), None)
    if step is None or not step["rows"]:
        return f"{config['step']} made no rows"
    if step["kept"] and PRESETS[config["preset"]].of_rows:
        return f"no kept row of {config['step']} has all that it needs"
    if step["kept"]:
        return f"no kept judgment of {config['step']} by a drawn person chose an option over another"
    reason, n = max(step["dropped"].items(), key=lambda entry: entry[1])
    return f"all {step['rows']:,} rows of {config['step']} were dropped, {n:,} for {reason}"

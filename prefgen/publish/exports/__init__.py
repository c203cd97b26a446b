"""What leaves a run: rows as trainers, loaders and people read them. One file per grain, presets as data."""

from prefgen.publish.exports.one import export_run
from prefgen.publish.exports.presets import PRESETS, wanted_exports
from prefgen.publish.exports.write import write_exports

__all__ = ["PRESETS", "export_run", "wanted_exports", "write_exports"]

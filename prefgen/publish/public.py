"""What of a run goes out into the world: everything but the addresses and places that are nobody's business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from prefgen.ids import content_id

_PRIVATE = ("base_url", "api_key_env")
"""Keys of a model that say where and as whom it was asked, and not what was asked."""


def public_pipeline(text: str) -> str:
    """A resolved pipeline without addresses of servers and without paths of responses."""
    said = yaml.safe_load(text)
    if not isinstance(said, dict) or not isinstance(said.get("models"), dict):
        return text
    said["models"] = _public_models(said["models"])
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=100)


def public_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without addresses, and with the files that are published as data only.

    Adds `version`, the hash of the data of the run that began the dataset.
    """
    files = [entry for entry in manifest["files"] if entry["path"].startswith("data/")]
    return {**manifest, "models": _public_models(manifest["models"]), "files": files, "version": version_of(manifest)}


def version_of(manifest: Mapping[str, Any]) -> str:
    """Name of a version: the hash of its data files. The same data are the same version, whoever pushes them."""
    files = sorted((entry["path"], entry["sha256"]) for entry in manifest["files"] if entry["path"].startswith("data/"))
    return content_id("v", files)[:14]


def _public_models(models: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _public_model(model) if isinstance(model, dict) else model for name, model in models.items()}


def _public_model(model: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in model.items() if key not in _PRIVATE}
    return kept | ({"responses": "responses.sqlite"} if "responses" in kept else {})

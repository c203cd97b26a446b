"""The YAML at the top of a card: what the Hub and `datasets` read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import yaml

from prefgen.publish.exports.presets import PRESETS
from prefgen.store.finished import answered_by

_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)


def front_matter(manifest: Mapping[str, Any], schemas: Mapping[str, pa.Schema], title: str) -> str:
    """The block between the dashes; the default config is the first that has rows."""
    configs = manifest["configs"]
    rows = max((sum(config["splits"].values()) for config in configs), default=0)
    default = next((config["name"] for config in configs if any(config["splits"].values())), None)
    publish = manifest["publish"]
    made = [] if answered_by(manifest) in ("people", "nobody") else ["synthetic"]
    tags = ["preference-data", "personalization", *made, "prefgen", *publish.get("tags", [])]
    block = {
        "license": publish["license"],
        "pretty_name": title,
        "size_categories": [next((name for below, name in _SIZES if rows < below), "n>1T")],
        "task_categories": ["text-generation", "text-classification"],
        "tags": list(dict.fromkeys(str(tag) for tag in tags)),
        "configs": [
            {
                "config_name": config["name"],
                **({"default": True} if config["name"] == default else {}),
                "data_files": [
                    {"split": split, "path": f"data/{config['name']}/{split}-*.parquet"} for split in config["splits"]
                ],
            }
            for config in configs
        ],
        "dataset_info": [_info(config, schemas[config["name"]], manifest["files"]) for config in configs],
    }
    return yaml.safe_dump(block, sort_keys=False, allow_unicode=True, width=1000)


def _info(config: Mapping[str, Any], schema: pa.Schema, files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    name = config["name"]
    classes = PRESETS[config["preset"]].classes
    size = dict.fromkeys(config["splits"], 0)
    for file in files:
        path = PurePosixPath(file["path"])
        split = path.name.split("-")[0]  # names of splits have no dash
        if path.parts[:2] == ("data", name) and split in size:
            size[split] += file["bytes"]
    return {
        "config_name": name,
        "features": [{"name": field.name, **_feature(field.type, classes.get(field.name, ()))} for field in schema],
        "splits": [
            {"name": split, "num_bytes": size[split], "num_examples": rows} for split, rows in config["splits"].items()
        ],
        "download_size": sum(size.values()),
        "dataset_size": sum(size.values()),
    }


def _feature(dtype: pa.DataType, classes: Sequence[str]) -> dict[str, Any]:
    if classes:
        # Words in the files, so that polars reads words; numbered with these names by `datasets`.
        return {"dtype": {"class_label": {"names": {str(k): name for k, name in enumerate(classes)}}}}
    if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        inner = _feature(dtype.value_type, ())
        length = {"length": dtype.list_size} if pa.types.is_fixed_size_list(dtype) else {}
        return {
            "list": inner["struct"] if "struct" in inner else inner["dtype"] if set(inner) == {"dtype"} else inner
        } | length
    if pa.types.is_struct(dtype):
        return {"struct": [{"name": part.name, **_feature(part.type, ())} for part in dtype]}
    return {"dtype": _DTYPES.get(str(dtype), str(dtype))}


_DTYPES = {"double": "float64", "float": "float32", "halffloat": "float16", "date32[day]": "date32"}
"""Where Arrow's name of a type is not the one that `datasets` uses."""

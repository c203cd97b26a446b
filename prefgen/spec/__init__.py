"""YAML in, frozen and validated objects out, with path:line: key in every complaint."""

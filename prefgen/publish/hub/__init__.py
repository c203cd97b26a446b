"""The Hub: pushing a run, reading what was published, adding to it."""

from prefgen.publish.hub.append import Appended, append_run
from prefgen.publish.hub.pull import Published, download, open_published, pull_rows, write_rows
from prefgen.publish.hub.push import Pushed, push_run

__all__ = [
    "Appended",
    "Published",
    "Pushed",
    "append_run",
    "download",
    "open_published",
    "pull_rows",
    "push_run",
    "write_rows",
]

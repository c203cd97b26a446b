"""From a pipeline to a finished run: what it will make, the making, and what may be asked of it afterwards."""

"""Runs a command and tells what it used, as JSON: `python launch.py COMMAND ...`.

A process of its own, and a small one: the peak memory that the system keeps of a process begins with that of whoever started it.
"""

import json
import os
import subprocess
import sys
import time

began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
said = process.stderr.read()
_, status, used = os.wait4(process.pid, 0)
json.dump(
    {
        "wall_s": time.perf_counter() - began,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss,
        "status": os.waitstatus_to_exitcode(status),
        "said": said.decode("utf-8", "replace")[-2000:],
    },
    sys.stdout,
)

#!/usr/bin/env python3
"""Runs a command, and writes its time and memory as JSON: measured.py RESULT COMMAND...

The kernel counts the memory of the parent process towards the peak of its child. So this is a
separate and small process, of about 9 MiB.
"""
import os
import sys
import time

result, *command = sys.argv[1:]
started = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ)
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - started
with open(result, "w", encoding="utf-8") as file:
    file.write(
        f'{{"wall": {wall}, "cpu": {used.ru_utime + used.ru_stime}, "peak": {used.ru_maxrss / 1024}, '
        f'"ended": {os.waitstatus_to_exitcode(status)}}}'
    )

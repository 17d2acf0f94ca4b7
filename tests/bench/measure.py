"""Runs one command and writes what it cost. A process of its own, since a child's peak memory is never less than its parent's.

usage: measure.py FACTS.json STDIN STDOUT STDERR SECONDS CORES COMMAND [ARGUMENT …]

FACTS.json: wall and CPU seconds (children that it waited for included), peak_mib of the largest process, the exit code,
read_bytes as the kernel counts read calls (mapped files are not in it; null where it does not tell), and whether the
time limit ended it.
"""
import json
import os
import signal
import sys
import time


def kernel_read_bytes(pid):
    """Bytes that a process which has ended, and the children it waited for, asked for by read calls."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as facts:
            return int(facts.readline().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def stay_on(cores):
    """Holds this process and its children to so many cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def main():
    """Starts, waits, tells."""
    facts_path, stdin, stdout, stderr, seconds, cores = sys.argv[1:7]
    command = sys.argv[7:]
    stay_on(int(cores))
    opened = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0)]
    for number, path in ((1, stdout), (2, stderr)):
        opened.append((os.POSIX_SPAWN_OPEN, number, path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=opened, setpgroup=0)
    ended_by_limit = []

    def end(*_):
        ended_by_limit.append(True)
        os.killpg(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(int(float(seconds)))
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    wall = time.monotonic() - start
    signal.alarm(0)
    read_bytes = kernel_read_bytes(pid)
    _, status, used = os.wait4(pid, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    with open(facts_path, "w", encoding="ascii") as out:
        json.dump({
            "wall": wall, "user": used.ru_utime, "system": used.ru_stime, "cpu": used.ru_utime + used.ru_stime,
            "peak_mib": used.ru_maxrss * unit / 2**20, "exit": os.waitstatus_to_exitcode(status),
            "read_bytes": read_bytes, "over_limit": bool(ended_by_limit),
        }, out)


main()

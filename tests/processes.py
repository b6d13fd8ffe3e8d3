"""Memory of a process and all its children."""

import psutil


def tree_bytes(pid: int) -> int:
    """Proportional share of the memory of a process tree (shared pages are counted once)."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total

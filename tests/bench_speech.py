"""How much faster openSMILE features come with a second process; a part of `make bench`."""

import time
from collections.abc import Sequence
from pathlib import Path

from cmet.engine.attempts import Job
from cmet.engine.clip_map import ClipMap
from cmet.speech.embeddings import embed_clip


def opensmile_speedup(wavs: Sequence[Path], work: Path) -> dict[str, float]:
    """Wall seconds of the same clips with one and with two processes, their start included, and the ratio.

    Args:
        wavs: Enough of them that the start of two or three seconds does not decide; 200 are.
        work: A folder for the two runs.
    """
    jobs: list[Job] = [
        {"clip_id": f"{number:05d}", "encoder": "opensmile", "weights": "", "sound": str(wav), "raw": str(wav)}
        for number, wav in enumerate(wavs)
    ]
    # read before the clock runs, so that the first run does not pay for the disk
    for wav in wavs:
        wav.read_bytes()
    wall_s = {}
    for num_workers in (1, 2):
        started = time.perf_counter()
        ClipMap(embed_clip, work / str(num_workers), f"openSMILE, {num_workers} process(es)").run(jobs, num_workers)
        wall_s[num_workers] = time.perf_counter() - started
    return {
        "num_clips": len(jobs),
        "one_process_s": wall_s[1],
        "two_processes_s": wall_s[2],
        "speedup": wall_s[1] / wall_s[2],
    }

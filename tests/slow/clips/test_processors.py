"""Prepared clips are the same bytes whatever code libraries pick by the processor."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from cmet.clips.one_clip import prepare_clip
from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.engine.attempts import Job
from cmet.params import Params
from tests.unit.conftest import ROOT

ELSEWHERE = {
    "OPENCV_IPP": "disabled",
    "OPENCV_CPU_DISABLE": "AVX,FP16,AVX2,FMA3,AVX512_SKX,AVX512_ICL",
    "ATEN_CPU_CAPABILITY": "default",
    "OPENBLAS_CORETYPE": "Prescott",
}
"""An old processor, as libraries can be told that it is one."""

PROGRAM = """
import json, os, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from pathlib import Path
from tests.slow.clips.test_processors import made
print(json.dumps(made(Path(sys.argv[1]), json.loads(sys.argv[2]))))
"""


def made(folder: Path, jobs: dict[str, Job]) -> dict[str, object]:
    """A clip of the sample, drawn and prepared: the record and the digests of all files."""
    folder.mkdir(exist_ok=True)
    render_clip(jobs["drawn"], folder)
    (drawn,) = folder.glob("*.mp4")
    record = prepare_clip({**jobs["prepared"], "video": str(drawn)}, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return {"record": record, "names": [path.name for path in files], "digests": digests}


def test_an_old_processor_with_one_core_draws_and_prepares_the_same_bytes(
    tmp_path: Path, job: Job, params: Params
) -> None:
    jobs = {"drawn": list_clips(params.sample, seed=3)[0], "prepared": job}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "elsewhere"), json.dumps(jobs)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **ELSEWHERE}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(made(tmp_path / "here", jobs)))

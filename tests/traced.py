"""Run the whole line, and note which files of the package each stage opens: `python -m tests.traced PROJECT OUT.json`.

Every stage runs in a child of its own, which imports the package's modules anew; foreign libraries are there already,
since importing them takes most of the time. Maps over clips are done in that child, or where RAY_ADDRESS says.
"""

import json
import os
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path

# before the package: a child imports of it what its stage needs
import av  # noqa: F401
import cv2  # noqa: F401
import decord  # noqa: F401
import mediapipe  # noqa: F401
import numpy as np  # noqa: F401
import opensmile  # noqa: F401
import pandas as pd  # noqa: F401
import torch  # noqa: F401
import webdataset  # noqa: F401

from cmet.closure import PACKAGE
from cmet.project import Project
from cmet.stages.registry import STAGES
from tests.clip_maps import without_workers
from tests.small_line import run_untracked


def main(params: Path, out: Path) -> None:
    """Run all stages, each for every variant that the project has."""
    traces = {}
    project = Project.at(params)
    variants = {"project": [None], "encoder": project.params.speech_encoders, "backbone": project.params.backbones}
    for name, stage in STAGES.items():
        for variant in variants[stage.per]:
            trace = out.with_name(f"{name}-{variant}.json")
            child = os.fork()
            if not child:
                _run(name, project, variant, trace)
            if os.waitpid(child, 0)[1]:
                sys.exit(f"{name}: failed")
            traces[f"{name}@{variant}" if variant else name] = json.loads(trace.read_text(encoding="utf-8"))
    out.write_text(json.dumps(traces), encoding="utf-8")


def _run(name: str, project: Project, variant: str | None, trace: Path) -> None:
    """The life of a child."""
    opened: set[str] = set()

    def note(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            path = Path(os.fsdecode(arguments[0]))
            if PACKAGE in path.parents:
                opened.add(_source(path).relative_to(PACKAGE).as_posix())

    try:
        sys.addaudithook(note)
        with nullcontext() if os.environ.get("RAY_ADDRESS") else without_workers():
            run_untracked(name, project, variant)
        trace.write_text(json.dumps(sorted(opened)), encoding="utf-8")
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _source(path: Path) -> Path:
    """The Python file behind a compiled one."""
    if path.parent.name != "__pycache__":
        return path
    return path.parent.with_name(path.name.split(".")[0] + ".py")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

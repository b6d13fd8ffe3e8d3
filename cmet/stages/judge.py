"""The stage `judge`."""

import sys
from shutil import rmtree
from typing import TYPE_CHECKING

from cmet.inputs.texts import read_json
from cmet.outputs import publish, write_json
from cmet.params import ClipForm, Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.judge.training import JudgeReport


def judge(places: Places, params: Params) -> "JudgeReport":
    """Train the frame classifier that measures emotion, or load a released one."""
    from cmet.clips.product import Clips
    from cmet.judge import training
    from cmet.judge.checkpoints import find_checkpoint
    from cmet.judge.released import adopt_judge

    clips, out, wanted = Clips.open(places, ClipForm.of(params.clips)), places.folder("judge"), params.judge
    if wanted.checkpoint is not None:
        checkpoint = find_checkpoint(wanted.checkpoint, "judge.checkpoint", places.root, places.weights)
        return adopt_judge(clips, out, wanted, checkpoint)
    beginning = None
    if wanted.begin_from is not None:
        beginning = find_checkpoint(wanted.begin_from, "judge.begin_from", places.root, places.weights)
    inputs = [*clips.pictures, *([beginning] if beginning else [])]
    work = places.work("judge", None, wanted, inputs, params.seed, clips.form)
    # trained here first: what may still stop it from becoming the output costs no second training
    trained, told = work / "judge", work / "report.json"
    if told.exists() and trained.exists():
        print("judge: it is trained already", file=sys.stderr)
        report = training.JudgeReport(**read_json(told))
    else:
        report = training.train_judge(clips, trained, wanted, params.seed, beginning)
        write_json(told, report)
    publish(trained, out)
    rmtree(work)
    return report

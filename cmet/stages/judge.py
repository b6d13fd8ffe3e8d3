"""The stage `judge`."""

from typing import TYPE_CHECKING

from cmet.params import ClipForm, Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.judge.training import JudgeReport


def judge(places: Places, params: Params) -> "JudgeReport":
    """Train the frame classifier that measures emotion, or load a released one."""
    from cmet.clips.product import Clips
    from cmet.judge.checkpoints import find_checkpoint
    from cmet.judge.released import adopt_judge
    from cmet.judge.training import train_judge

    clips, out, wanted = Clips.open(places, ClipForm.of(params.clips)), places.folder("judge"), params.judge
    if wanted.checkpoint is not None:
        checkpoint = find_checkpoint(wanted.checkpoint, "judge.checkpoint", places.root, places.weights)
        return adopt_judge(clips, out, wanted, checkpoint)
    beginning = None
    if wanted.begin_from is not None:
        beginning = find_checkpoint(wanted.begin_from, "judge.begin_from", places.root, places.weights)
    return train_judge(clips, out, wanted, params.seed, beginning)

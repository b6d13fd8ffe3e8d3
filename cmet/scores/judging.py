"""What a judge says of many clips: a map over them, on the cores of this machine or of a cluster."""

# C classes

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmet.engine.attempts import Job, Record
from cmet.errors import ClipError
from cmet.scores.passing import passing_map

if TYPE_CHECKING:
    from cmet.judge.classifier import ClipClassifier


@dataclass(frozen=True)
class JudgeOfOne:
    """The function of the map; workers get the network with it."""

    classifier: "ClipClassifier"

    def __call__(self, job: Job, files: Path) -> Record:
        """The mean logits of the clip `video`.

        Raises:
            ClipError: It cannot be read.
            UserError: The answers are no numbers.
        """
        from cmet.judge.frames import read_frames

        judge = self.classifier
        (frames,) = read_frames([Path(job["video"])], judge.num_frames, judge.image_px, judge.kind.resize)
        if isinstance(frames, ClipError):
            raise frames
        (logits_C,) = judge.mean_logits([frames])
        # a float32 is the same after it was a float64 and JSON
        return {"logits": logits_C.tolist()}


def judge_clips(classifier: "ClipClassifier", paths: Sequence[Path], label: str) -> list[np.ndarray | ClipError]:
    """What `classify_clips` gives, on a CPU to the last bit: mean logits of each clip, (C,), or why it cannot be read.

    Args:
        classifier: The judge.
        paths: The clips.
        label: Of the progress bar.
    """
    if not paths:
        return []
    jobs: list[Job] = [{"clip_id": f"{number:07}", "video": str(path)} for number, path in enumerate(paths)]
    with passing_map(JudgeOfOne(classifier), label) as clip_map:
        return [_answer(record) for record in clip_map.run(jobs, uses_networks=classifier.kind.is_for_gpu)]


def _answer(record: Record) -> np.ndarray | ClipError:
    if record["status"] != "ok":
        return ClipError(*record["reason"].split(": ", 1))
    return np.array(record["logits"], np.float32)

"""The judge: a frame classifier that says which emotion a clip shows.

A clip's answer is the mean of the logits of evenly spaced frames. A judge is trained here on unedited clips of the
training speakers, or it is a released checkpoint that is used as it is; it knows nothing of any backbone or connector,
so it can compare them. What is counted of its answers belongs in `cmet.scores`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cmet.judge.card import CARD, HISTORY, JudgeCard, judge_name, read_card

if TYPE_CHECKING:
    from cmet.judge.classifier import Judge
    from cmet.judge.frames import read_frames
    from cmet.judge.released import adopt_judge, open_judge
    from cmet.judge.training import JudgeReport, train_judge

__all__ = [
    "CARD",
    "HISTORY",
    "Judge",
    "JudgeCard",
    "JudgeReport",
    "adopt_judge",
    "judge_name",
    "open_judge",
    "read_card",
    "read_frames",
    "train_judge",
]

# imported when asked for: whoever reads a card must not wait for torch
_MODULES = {
    "Judge": "classifier",
    "JudgeReport": "training",
    "adopt_judge": "released",
    "open_judge": "released",
    "read_frames": "frames",
    "train_judge": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

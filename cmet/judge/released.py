"""Released judges, used as they are; and opening any judge by its place."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cmet.clips.product import Clips
from cmet.errors import UserError
from cmet.inputs.files import MISSING, oddity
from cmet.judge.card import ALIGNMENT, CARD, HISTORY, NOT_STATED, JudgeCard
from cmet.judge.checkpoints import load_judge_network, sha256_of
from cmet.judge.classifier import Judge
from cmet.judge.clips import usable_clips, videos_of
from cmet.judge.emotion_fan import PlainJudge
from cmet.judge.training import HISTORY_COLUMNS, JudgeReport
from cmet.outputs import fresh_folder, write_json
from cmet.params import JudgeParams
from cmet.vocabulary import NEUTRAL

PAPER_FRAMES = 16
PAPER_PX = 224
"""What the paper's judges are given; for a checkpoint that is opened without params.yaml."""


def adopt_judge(clips: Clips, out: Path, params: JudgeParams, checkpoint: Path) -> JudgeReport:
    """Take over a released judge: a copy of its file, with a card, and its accuracy on the validation speakers.

    Args:
        clips: Prepared clips, of all splits.
        out: Folder of the judge.
        params: The `judge` section of params.yaml, with `label_order` and `trained_on`.
        checkpoint: The file.

    Raises:
        UserError: The file is no judge, or `judge.label_order` does not fit it.
    """
    order = params.label_order or []
    network = load_judge_network(checkpoint, order)
    card = _card(checkpoint, network, order, params.trained_on or NOT_STATED).model_copy(
        update={"image_px": params.image_px, "num_frames": params.num_frames, "params": params}
    )
    val = usable_clips(clips, order, "val")
    acc_val = Judge(network, card).accuracy(videos_of(val, clips), list(val["emotion"]), "judge: validation")
    with fresh_folder(out) as folder:
        shutil.copyfile(checkpoint, folder / card.weights)
        pd.DataFrame(columns=HISTORY_COLUMNS).to_parquet(folder / HISTORY, index=False)
        write_json(folder / CARD, card.model_copy(update={"acc_val": acc_val}).model_dump())
    return JudgeReport(0, len(val), card.num_parameters, None, acc_val, card.sha256)


def open_judge(place: Path, label_order: Sequence[str] | None) -> Judge:
    """A judge, from wherever it is.

    Args:
        place: A folder that the stage `judge` wrote, or a released checkpoint.
        label_order: The emotions of the logits in their order. A checkpoint cannot do without; a folder knows them,
            and must know the same.

    Raises:
        UserError: There is nothing, it is no judge, or the order is missing, wrong or another one.
    """
    if place.is_dir():
        judge = Judge.load(place)
        if label_order is not None and tuple(label_order) != judge.classes:
            raise UserError(
                f"{place}: this judge's label order is {', '.join(judge.classes)}, not {', '.join(label_order)}"
            )
        return judge
    odd = oddity(place)
    if odd is not None:
        what = "no such judge" if odd == MISSING else odd
        raise UserError(f"{place}: {what}; expected a folder that 'cmet judge' wrote, or a checkpoint")
    if label_order is None:
        raise UserError(
            f"{place}: a checkpoint does not say which emotion each of its outputs stands for; give the label order of "
            "whoever published it"
        )
    network = load_judge_network(place, label_order)
    return Judge(network, _card(place, network, label_order, NOT_STATED))


def _card(checkpoint: Path, network: PlainJudge, order: Sequence[str], trained_on: str) -> JudgeCard:
    """The card of a checkpoint that is given what the paper's judges are given."""
    return JudgeCard(
        network="resnet18",
        source="released checkpoint",
        classes=list(order),
        has_neutral=NEUTRAL in order,
        image_px=PAPER_PX,
        num_frames=PAPER_FRAMES,
        alignment=ALIGNMENT,
        weights=checkpoint.name,
        sha256=sha256_of(checkpoint),
        num_parameters=sum(weight.numel() for weight in network.parameters()),
        begin_from=None,
        begin_from_sha256=None,
        corpus=None,
        train_speakers=[],
        num_train_clips=0,
        num_clips_per_class={},
        trained_on=trained_on,
        params=None,
        seed=None,
        acc_train=None,
        acc_val=None,
        clips=None,
        versions={},
    )

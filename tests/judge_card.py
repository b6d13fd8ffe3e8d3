"""The card of a judge that was trained here, made by hand."""

from cmet.judge.card import JudgeCard

CARD = JudgeCard(
    network="small",
    source="trained here",
    classes=["fear", "happy", "sad"],
    has_neutral=False,
    image_px=32,
    num_frames=4,
    alignment="prepared crop",
    weights="judge.safetensors",
    sha256="f" * 64,
    num_parameters=1,
    begin_from=None,
    begin_from_sha256=None,
    corpus="sample",
    train_speakers=["M101"],
    num_train_clips=3,
    num_clips_per_class={"fear": 1, "happy": 1, "sad": 1},
    trained_on=None,
    params=None,
    seed=1,
    acc_train=1.0,
    acc_val=None,
    clips=None,
    versions={},
)

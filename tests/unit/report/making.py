"""Labels made by hand."""

from cmet.report.summary import RowLabels
from tests.unit.conftest import PROTOCOL

LABELS = RowLabels(
    corpus="mead",
    numbering="author-renumbered",
    rows_planned=1143,
    rows_generated=1143,
    rows_scored=1143,
    coverage=1.0,
    dropped=[],
    num_dropped=0,
    protocol=PROTOCOL.name,
    pools_sha256=PROTOCOL.pools_sha256,
    num_speech_clips=10,
    judge_sha256="f" * 64,
    judge_source="released checkpoint",
    judge_corpus="MEAD",
    judge_saw_test_speakers="not stated",
    fid_kind=None,
    fvd_kind=None,
    absent={},
    media="25 fps",
    backbone="edtalk",
    checkpoint_sha256="2" * 64,
    backbone_weights=[],
    strength=1.0,
    lips="own",
    training_steps=1,
    seed=7,
    test_speakers=["M003"],
    uncertainty="95 % bootstrap",
    whole_number_check="passed",
    train_speakers_in_rows=0,
    synthetic=False,
)
"""Of rows as published."""

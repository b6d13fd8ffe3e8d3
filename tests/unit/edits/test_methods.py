"""Whose codes a row takes for a reference."""

from pathlib import Path

import numpy as np
import pandas as pd

from cmet.edits.methods import draw_references
from cmet.edits.pools import with_level
from cmet.expression.product import Faces
from tests.packing import pack_arrays

SEED = 3
NUM_CLIPS, NUM_ROWS = 400, 120


def drawn(draw: np.random.Generator, number: int, speakers: str) -> pd.DataFrame:
    """Labels with gaps, as corpora have them."""
    labels: dict[str, list[str | None]] = {
        "speaker": list(draw.choice(list(speakers), number)),
        "emotion": list(draw.choice(["happy", "sad", "fear"], number)),
        "sentence": [None if word == "-" else word for word in draw.choice(list("123456789-"), number)],
    }
    levels = pd.array([None if level == 0 else int(level) for level in draw.integers(0, 4, number)], dtype="Int64")
    return pd.DataFrame(labels).assign(intensity=levels)


def test_references_are_those_of_the_rule_spelled_out(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    clips = drawn(draw, NUM_CLIPS, "ABCD").assign(
        clip_id=[f"clip-{number}" for number in draw.permutation(NUM_CLIPS)],
        split=draw.choice(["train", "test"], NUM_CLIPS, p=[0.3, 0.7]),
        status=draw.choice(["ok", "quarantined"], NUM_CLIPS, p=[0.9, 0.1]),
    )
    faces = Faces(tmp_path)
    encoded = clips.clip_id[draw.random(NUM_CLIPS) < 0.8]
    pack_arrays(faces.all_codes, dict.fromkeys(encoded, np.zeros((1, 1))))
    # D is a speaker of the training, too; of surprise there is no clip
    rows = drawn(draw, NUM_ROWS, "DEF").assign(row_id=[f"row-{number}" for number in range(NUM_ROWS)])
    rows.loc[rows.index[:3], "emotion"] = "surprised"
    usable = with_level(clips[(clips.split == "train") & (clips.status == "ok") & clips.clip_id.isin(encoded)])
    usable = usable.sort_values("clip_id")

    random = np.random.default_rng([SEED, 0])
    expected: dict[str, str | None] = {}
    for row in with_level(rows).itertuples():
        same = usable[(usable.emotion == row.emotion) & (usable.level == row.level) & (usable.speaker != row.speaker)]
        candidates = same[same.sentence == row.sentence]
        candidates = candidates if len(candidates) else same
        expected[str(row.row_id)] = random.choice(candidates.clip_id.to_numpy()) if len(candidates) else None

    assert draw_references(rows, clips, faces, SEED) == expected
    assert [expected[f"row-{number}"] for number in range(3)] == [None] * 3
    by_id = clips.set_index("clip_id")
    kinds = {
        by_id.sentence[chosen] == sentence
        for chosen, sentence in zip(expected.values(), rows.sentence, strict=True)
        if chosen is not None
    }
    assert kinds == {True, False}

"""Side-by-side clips for a person's eyes: source, every method, the true target, with the sound of the source."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from cmet.clips.product import Clips
from cmet.edits.product import Edits
from cmet.media.video import read_video, write_video
from cmet.vocabulary import GROUND_TRUTH, METHODS

PANEL_PX = 224
LABEL_PX = 32
GAP_PX = 8
WIDTH_STEP_PX = 64
"""x264 gave bytes that differ from process to process at widths that are no multiple of this."""
CRF = 24
"""Quality of the strips: small enough to embed, good enough to judge an expression."""

PANEL_TITLES = {
    "neutral": "source, neutral",
    "reference": "reference",
    "cmet": "C-MET",
    "oracle": "oracle",
    GROUND_TRUTH: "true target",
}
"""Name of each panel; the panels appear in this order. `neutral` does not edit, so it is the source."""


@dataclass(frozen=True)
class Example:
    """One row of the evaluation, all methods beside each other."""

    row_id: str
    speaker: str
    sentence: str
    emotion: str
    intensity: int | None
    is_held_out: bool
    answers: dict[str, str | None]
    """What the judge said of each panel; null where there is no clip."""
    panels: dict[str, Path]
    """Video of each panel that has one."""
    sound: Path


def choose_examples(predictions: pd.DataFrame, edits: Edits, clips: Clips, count: int, seed: int) -> list[Example]:
    """Rows drawn at random, emotions in turn, at each emotion's highest level; a wrong answer is as likely as it is."""
    rng = np.random.default_rng([seed, count])
    piles = []
    for _, rows in predictions.drop_duplicates("row_id").sort_values("row_id").groupby("emotion"):
        levels = rows["intensity"].astype(float).fillna(0)
        strongest = rows.loc[levels == levels.max(), "row_id"].to_numpy()
        piles.append(list(rng.permutation(strongest)))
    in_turn = [row_id for row_id in chain.from_iterable(zip_longest(*piles)) if row_id is not None]
    return [_example(row_id, predictions, edits, clips) for row_id in in_turn[:count]]


def write_example_strip(example: Example, path: Path) -> None:
    """Write the panels of one example as an H.264 video, as long as the source."""
    panels = {name: read_video(file, size_px=PANEL_PX) for name, file in example.panels.items()}
    first = next(iter(panels.values()))
    columns = {name: video.frames for name, video in panels.items()}
    write_video(path, _frames(columns, len(first.frames)), first.fps, example.sound, CRF)


def _example(row_id: str, predictions: pd.DataFrame, edits: Edits, clips: Clips) -> Example:
    said = predictions[predictions["row_id"] == row_id].set_index("method")["predicted"]
    rows = edits.table[edits.table["row_id"] == row_id]
    made, row = rows.set_index("method")["video"], rows.iloc[0]
    videos = {method: edits.video(made[method]) for method in METHODS[1:] if method in made and pd.notna(made[method])}
    ends = {name: clips.video(row[key]) for name, key in (("neutral", "source_clip"), (GROUND_TRUTH, "target_clip"))}
    return Example(
        row_id=row_id,
        speaker=row["speaker"],
        sentence=row["sentence"],
        emotion=row["emotion"],
        intensity=None if pd.isna(row["intensity"]) else int(row["intensity"]),
        is_held_out=bool(row["is_held_out"]),
        answers={name: said[name] if name in said and pd.notna(said[name]) else None for name in PANEL_TITLES},
        panels={name: path for name in PANEL_TITLES if (path := (videos | ends).get(name)) is not None},
        sound=clips.sound(row["source_clip"]),
    )


def _frames(columns: dict[str, np.ndarray], num_frames: int) -> Iterator[np.ndarray]:
    header = _header(list(columns))
    gap = np.full((PANEL_PX, GAP_PX, 3), 255, np.uint8)
    for number in range(num_frames):
        # the true target says the sentence at its own pace: it is cut, or its last frame is held
        pictures = [frames[min(number, len(frames) - 1)] for frames in columns.values()]
        parts = [part for picture in pictures for part in (gap, picture)][1:]
        strip = np.concatenate([header, np.concatenate(parts, axis=1)])
        yield np.pad(strip, ((0, 0), (0, -strip.shape[1] % WIDTH_STEP_PX), (0, 0)), constant_values=255)


def _header(names: list[str]) -> np.ndarray:
    image = Image.new("RGB", (len(names) * (PANEL_PX + GAP_PX) - GAP_PX, LABEL_PX), "white")
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 15)
    draw = ImageDraw.Draw(image)
    for place, name in enumerate(names):
        draw.text(
            (place * (PANEL_PX + GAP_PX) + PANEL_PX / 2, LABEL_PX / 2), PANEL_TITLES[name], "#20242a", font, anchor="mm"
        )
    return np.asarray(image)

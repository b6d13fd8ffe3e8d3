"""Source and edited videos beside each other, in one video that keeps them in step."""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmet.editing.frames.framing import find_square
from cmet.editing.frames.lips import has_sound
from cmet.editing.frames.source import Source
from cmet.extended.faces import EditedVideo
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import write_video
from cmet.scores.examples import CRF, GAP_PX, LABEL_PX, PANEL_PX, WIDTH_STEP_PX

MAX_COLUMNS = 4
MAX_SHOWN_S = 12.0
"""Longer videos are shown up to here: the page is to be mailed."""

CROP_RULE = "fomm-reflect-1"
"""How a square is shown that leaves its frame: the face keeps its proportions, whatever the model's clips were."""

SOUND_HZ = 44_100
INK, PAPER = "#20242a", 255


def write_edits_strip(video: EditedVideo, path: Path) -> bool:
    """Write the face squares of the source and of every edit as one H.264 video with the source's sound.

    Returns:
        Whether all of the source is shown, which is so up to `MAX_SHOWN_S`.

    Raises:
        ClipError: The source shows no single face, which an edit would have refused before.
    """
    source = Source(video.source)
    square = find_square(source.frames, len(source), source.width, source.height, CROP_RULE)
    num_shown = min(len(source), round(MAX_SHOWN_S * source.fps))
    sources = [source, *(Source(edit.path) for edit in video.edits)]
    headers = [_header(label) for label in ("source", *(edit.emotion for edit in video.edits))]
    # an edit may be a frame shorter than its source
    frames = (_grid([square.picture(frame, PANEL_PX) for frame in together], headers) for together in _in_step(sources))
    with tempfile.TemporaryDirectory() as folder:
        sound = _sound(video.source, num_shown / source.fps, Path(folder))
        write_video(path, islice(frames, num_shown), source.fps, sound, CRF, shown=source.file.colour.shown)
    return num_shown == len(source)


def _in_step(sources: Sequence[Source]) -> Iterator[tuple[np.ndarray, ...]]:
    """Frames of all videos at a time, as long as all have one."""
    return zip(*(one.frames() for one in sources), strict=False)


def _sound(source: Path, seconds: float, folder: Path) -> Path | None:
    """The beginning of the sound of a video as a file."""
    if not has_sound(source):
        return None
    samples = read_sound(source, SOUND_HZ)[: round(seconds * SOUND_HZ)]
    write_sound(folder / "sound.wav", samples, SOUND_HZ)
    return folder / "sound.wav"


def _grid(pictures: Sequence[np.ndarray], headers: Sequence[np.ndarray]) -> np.ndarray:
    """Labelled pictures in rows of `MAX_COLUMNS`, the last row filled up with paper."""
    panels = [np.concatenate([header, picture]) for header, picture in zip(headers, pictures, strict=True)]
    num_columns = min(MAX_COLUMNS, len(panels))
    panels += [np.full_like(panels[0], PAPER)] * (-len(panels) % num_columns)
    grid = np.concatenate([_row(panels[start : start + num_columns]) for start in range(0, len(panels), num_columns)])
    return np.pad(grid, ((0, 0), (0, -grid.shape[1] % WIDTH_STEP_PX), (0, 0)), constant_values=PAPER)


def _row(panels: Sequence[np.ndarray]) -> np.ndarray:
    gap = np.full((len(panels[0]), GAP_PX, 3), PAPER, np.uint8)
    return np.concatenate([part for panel in panels for part in (gap, panel)][1:], axis=1)


def _header(label: str) -> np.ndarray:
    image = Image.new("RGB", (PANEL_PX, LABEL_PX), "white")
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", 15)
    ImageDraw.Draw(image).text((PANEL_PX / 2, LABEL_PX / 2), label, INK, font, anchor="mm")
    return np.asarray(image)

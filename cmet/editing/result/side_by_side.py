"""Before and after in one video, which is what people post."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmet.editing.frames.framing import resized
from cmet.editing.frames.schedule import frames_in_order, there_and_back
from cmet.editing.frames.source import counted_frames
from cmet.editing.result.credentials import SigningIdentity, sign_video
from cmet.editing.result.marking import INK, PLATE, lettering
from cmet.editing.result.provenance import read_provenance
from cmet.editing.wishes.options import CRF
from cmet.media.readers import PyavReader
from cmet.media.video import VideoFile, frames_at_rate, write_video

BEFORE, AFTER = "before", "after"

MAX_PANEL_PX = 1280
"""Longer side of either picture at most: places where videos are posted make larger ones smaller."""

MAX_RATIO_BESIDE = 4 / 3
"""Width by height from which on pictures lie one above the other: beside each other both would be tiny."""

LETTER_SHARE, MIN_LETTER_PX = 0.035, 10
"""Height of letters: a share of a picture's shorter side, and at least as high as can be read."""


def write_side_by_side(
    before: Path, after: Path, out: Path, is_quiet: bool = False, identity: SigningIdentity | None = None
) -> None:
    """Write a video and its edit beside each other, wide ones one above the other, with labels and the edit's sound.

    It says of itself what the edit says. Where the edit is longer, the video runs back and forth.

    Args:
        before: The video.
        after: Its edit, as `edit_video` wrote it.
        out: Target mp4; the caller makes it atomic.
        is_quiet: Whether to show no progress.
        identity: Who signs it; None for nobody.

    Raises:
        UserError: `after` does not say that it is an edit.
        ClipError: A video cannot be read.
    """
    provenance = read_provenance(after)
    provenance = replace(provenance, settings={**provenance.settings, "side_by_side": True})
    # decord would hold gigabytes of two large videos
    edited, video = VideoFile(after, PyavReader), VideoFile(before, PyavReader)
    pairs = zip(_shown_at(video, edited), edited.frames_at(range(len(edited))), strict=True)
    frames = (side_by_side(*pair) for pair in counted_frames(pairs, "showing both", len(edited), is_quiet))
    write_video(out, frames, edited.fps, after, CRF, shown=edited.colour.shown, tags=provenance.tags)
    provenance.put_into(out)
    if identity is not None:
        sign_video(out, provenance, identity)


def side_by_side(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Two pictures with their labels in one.

    Args:
        before: Shape (H, W, 3), uint8.
        after: Likewise; another size is brought to the same height, or to the same width where they lie above each
            other.
    """
    height, width = before.shape[:2]
    is_beside = width <= MAX_RATIO_BESIDE * height
    scale = min(1.0, MAX_PANEL_PX / max(height, width))
    side = _even((height if is_beside else width) * scale)
    letter_px = max(MIN_LETTER_PX, round(LETTER_SHARE * min(height, width) * scale))
    panels = [
        labelled(_fitted(picture, side, is_beside), label, letter_px)
        for picture, label in ((before, BEFORE), (after, AFTER))
    ]
    return np.concatenate(panels, axis=1 if is_beside else 0)


def labelled(picture: np.ndarray, label: str, letter_px: int) -> np.ndarray:
    """A picture below a strip with a label, whose height is that of its letters alone."""
    width = picture.shape[1]
    letters = lettering(label, letter_px)
    strip = np.zeros((_even(letters.shape[0] * 1.5), width), np.float32)
    top, left = (len(strip) - len(letters)) // 2, max(0, (width - letters.shape[1]) // 2)
    strip[top : top + len(letters), left : left + letters.shape[1]] = letters[:, :width]
    levels = np.rint(PLATE + strip * (INK - PLATE)).astype(np.uint8)
    return np.concatenate([np.repeat(levels[..., None], 3, axis=2), picture])


def _fitted(picture: np.ndarray, side: int, is_height: bool) -> np.ndarray:
    """A picture of this height or width, of even sizes."""
    height, width = picture.shape[:2]
    scale = side / (height if is_height else width)
    return resized(picture, _even(width * scale), _even(height * scale))


def _even(length: float) -> int:
    return 2 * max(1, round(length / 2))


def _shown_at(video: VideoFile, edited: VideoFile) -> Iterator[np.ndarray]:
    """Frames of a video, one for each frame of its edit."""
    num_frames = max(1, round(video.duration_s() * edited.fps))
    shown = frames_at_rate(video.start_times_s(), edited.fps, num_frames)
    return frames_in_order(video, shown[there_and_back(num_frames, len(edited))])

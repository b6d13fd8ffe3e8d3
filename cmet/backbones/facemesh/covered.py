"""Whether something is held before the mouth, a hand or a microphone: the skin does not look as it usually does.

Legend: N pictures, T frames, Q points around the mouth.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cmet.backbones.facemesh.limits import smooth_step
from cmet.backbones.facemesh.mesh import LIPS, NUM_FACE_POINTS
from cmet.media.scaling import scaled

AROUND_MOUTH = (
    2, 18, 32, 43, 57, 83, 92, 97, 106, 140, 148, 152, 164, 165, 167, 175, 176, 182, 186, 194, 199, 200, 201, 202, 204,
    206, 207, 208, 212, 216, 262, 273, 287, 313, 322, 326, 335, 369, 377, 391, 393, 400, 406, 410, 418, 421, 422, 424,
    426, 427, 428, 432, 434, 436, *LIPS["outer_upper"], *LIPS["outer_lower"],
)  # fmt: skip
ELSEWHERE = (
    4, 5, 9, 10, 50, 66, 69, 101, 107, 109, 117, 123, 151, 195, 197, 280, 296, 299, 304, 330, 333, 336, 338, 346, 352,
)  # fmt: skip
"""Nose, forehead and cheeks, which say how light it is."""

EYE_CORNERS = (33, 263)
CORNER_TO_CORNER_PX = 60
"""Between the outer corners of the eyes in the picture that is looked at."""

TEXTURE_PX = 7
"""Side of the squares whose roughness is compared."""

DARK = 16
"""Added to colours, 0 to 255, so that noise of dark pictures is no difference."""

FAINT = 0.02
"""The same for roughness."""

COLOUR_STEP, TEXTURE_STEP = 0.12, 0.7
"""Differences of logarithms that count as one."""

MIN_DIFFERENCE = 0.4
"""That of people who hardly move; in a still picture the slow change of light would be all there is."""

MIN_PICTURES = 5
"""Fewer say nothing of how somebody usually looks."""

STRANGE = (1.9, 2.5)
"""Times of the usual difference from which an edit fades, and at which it is gone. In eight real talking heads it stays
below 1.8, a drawn hand in the colour of the face has 2.6 to 4.6 in nine of ten."""

AVERAGED, FADE_FRAMES = 5, 5
"""Frames whose mean counts, and over which an edit fades before and after."""


@dataclass(frozen=True, eq=False)
class UsualLook:
    """How a face looks in most of some pictures."""

    colours: np.ndarray
    """(Q, 3) logarithms, against those of the rest of the face."""
    texture: np.ndarray
    """(Q,) logarithms."""
    difference: float
    """Of a usual picture from that."""

    @classmethod
    def of(cls, pictures: Sequence[np.ndarray], track: np.ndarray) -> "UsualLook | None":
        """What most of the pictures show; None where too few show the face.

        Args:
            pictures: N frames of a person, RGB uint8.
            track: Their landmarks, shape (N, 478, 3), pixels; NaN where there is no face.
        """
        looks = [
            _look(picture, points[:, :2])
            for picture, points in zip(pictures, track, strict=True)
            if np.isfinite(points).all()
        ]
        if len(looks) < MIN_PICTURES:
            return None
        colours_NQ3, texture_NQ = map(np.stack, zip(*looks, strict=True))
        usual = cls(np.median(colours_NQ3, axis=0), np.median(texture_NQ, axis=0), 1.0)
        difference = float(np.median([usual.distance(*look) for look in looks]))
        return cls(usual.colours, usual.texture, max(difference, MIN_DIFFERENCE))

    def distance(self, colours: np.ndarray, texture: np.ndarray) -> float:
        """Mean difference of a look (Q, 3), (Q,) in usual differences."""
        of_colour = np.abs(colours - self.colours).max(axis=1) / COLOUR_STEP
        of_texture = np.abs(texture - self.texture) / TEXTURE_STEP
        return float((of_colour + of_texture).mean()) / self.difference

    def free(self, frames: Iterable[np.ndarray], points: np.ndarray) -> Iterator[float]:
        """Share of an edit that each frame can show: 0 where the mouth is covered, and less than 1 shortly before.

        Args:
            frames: T pictures, RGB uint8.
            points: Landmarks, shape (T, 478, 2), pixels.
        """
        distances = (self.distance(*_look(frame, where)) for frame, where in zip(frames, points, strict=True))
        start, end = STRANGE
        shares = (
            float(smooth_step(np.array((end - mean) / (end - start))))
            for mean in _around(distances, AVERAGED // 2, _mean)
        )
        return _around(shares, FADE_FRAMES, _faded)


def _look(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours (Q, 3) and roughness (Q,) around the mouth, logarithms."""
    face = points[:NUM_FACE_POINTS]
    size = np.array(picture.shape[1::-1])
    # of a face that has left the picture a pixel of its edge
    low = np.clip(np.floor(face.min(axis=0)).astype(int), 0, size - 1)
    high = np.clip(np.ceil(face.max(axis=0)).astype(int) + 1, low + 1, size)
    scale = CORNER_TO_CORNER_PX / max(float(np.linalg.norm(np.subtract(*points[list(EYE_CORNERS)]))), 1.0)
    width, height = np.maximum(np.ceil((high - low) * scale), 1).astype(int).tolist()
    cut = scaled(
        picture[low[1] : high[1], low[0] : high[0]], width, height, cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    level = np.log(cut.astype(np.float32) + DARK)
    green = level[..., 1]
    mean, mean_square = (cv2.blur(values, (TEXTURE_PX, TEXTURE_PX)) for values in (green, green * green))
    roughness = np.log(np.sqrt(np.maximum(mean_square - mean * mean, 0)) + FAINT)
    x, y = np.clip(np.rint((face - low) * scale).astype(int), 0, (width - 1, height - 1)).T
    colours = cv2.GaussianBlur(level, (0, 0), 1)[y, x]
    around = list(AROUND_MOUTH)
    return colours[around] - np.median(colours[list(ELSEWHERE)], axis=0), roughness[y, x][around]


def _around(values: Iterable[float], reach: int, told: Callable[[Sequence[float], int], float]) -> Iterator[float]:
    """What is told of each value and those up to `reach` before and after it, read no further ahead than that."""
    seen: deque[float] = deque(maxlen=2 * reach + 1)
    num_after = 0
    for value in values:
        seen.append(value)
        if num_after < reach:
            num_after += 1
            continue
        yield told(seen, len(seen) - 1 - reach)
    for place in range(len(seen) - num_after, len(seen)):
        yield told(list(seen)[max(0, place - reach) :], min(place, reach))


def _mean(values: Sequence[float], _place: int) -> float:
    return sum(values) / len(values)


def _faded(shares: Sequence[float], place: int) -> float:
    """The least share, where one that is some frames away counts for less."""
    return min(min(1.0, share + abs(index - place) / (FADE_FRAMES + 1)) for index, share in enumerate(shares))

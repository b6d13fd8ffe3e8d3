"""A video whose face has been found and read, for a backbone that changes frames in place: drawn with any change.

Legend: T frames, K expression components.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import tee

import numpy as np

from cmet.backbones.backbone import Backbone, DrawsPeople
from cmet.backbones.facemesh.model import FaceMesh, FaceMovement
from cmet.backbones.frames import fill_gaps
from cmet.editing.editor import Editor
from cmet.editing.frames.framing import MIN_FACE_RATIO, NUM_LOOKS, look_for_faces, presence, refuse_two_faces
from cmet.editing.frames.source import Source, counted_frames
from cmet.errors import ClipError, UserError
from cmet.media.landmarks import Region


@dataclass(frozen=True, eq=False)
class PreparedVideo:
    """All that an edit knows of a video before it knows of any emotion."""

    source: Source
    view: Region
    """Part of the frames that is changed."""
    backbone: Backbone
    """Of the person in the video."""
    track: np.ndarray
    """Shape (T, ...), without gaps."""
    codes_TK: np.ndarray
    presence_T: np.ndarray
    """Weight of an edit per frame."""
    face_ratio: float
    """Share of the frames that show the face."""

    @classmethod
    def of(cls, source: Source, editor: Editor, is_quiet: bool = False) -> "PreparedVideo":
        """Find and read the face of a video.

        Args:
            source: The video.
            editor: The model, of a backbone that changes frames in place.
            is_quiet: Whether to show no progress.

        Raises:
            ClipError: It shows no face, too rarely one, or two.
        """
        some = evenly(source)
        seen = dict(zip(some, source.frames(some), strict=True))
        faces, region = look_for_faces(lambda indices: [seen[index] for index in indices], some)
        refuse_two_faces(faces)
        # a small face is tracked and changed as if a person had cropped the video to it
        view = region or Region(0, 0, source.width, source.height)
        pictures = map(view.of, source.frames())
        track = editor.backbone.track(counted_frames(pictures, "finding the face", len(source), is_quiet))
        is_found = np.isfinite(track).reshape(len(track), -1).all(axis=1)
        if is_found.mean() < MIN_FACE_RATIO:
            raise ClipError("no_face", f"a face in only {is_found.mean():.0%} of the frames of {source.path.name}")
        backbone = editor.backbone
        if isinstance(backbone, DrawsPeople):
            backbone = backbone.of_person(list(map(view.of, seen.values())), track[some])
        track = fill_gaps(track, is_found)
        codes = editor.backbone.encode(track)
        return cls(source, view, backbone, track, codes, presence(is_found), float(is_found.mean()))

    def drawn(
        self, delta_TK: np.ndarray, shown: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]] = iter
    ) -> Iterator[np.ndarray]:
        """All frames with a change of their codes, shape (T, K); `shown` is handed what is read, to show progress."""
        frames, below = tee(shown(self.source.frames()))
        parts = self.backbone.render(map(self.view.of, frames), self.track, self.codes_TK + delta_TK)
        return map(self.view.put_back, below, parts)

    def movement(self, delta_TK: np.ndarray) -> FaceMovement:
        """What a change of the codes, shape (T, K), does to the face along the video.

        Raises:
            UserError: The backbone moves no points of a face.
        """
        if not isinstance(self.backbone, FaceMesh):
            raise UserError(f"{self.backbone.name} draws a video as a whole, so there is no preview; make the video")
        return self.backbone.movement(self.track, self.codes_TK + delta_TK)

    def drawn_frame(self, index: int, frame: np.ndarray, movement: FaceMovement) -> np.ndarray:
        """One frame with what happens to it in the whole video.

        Only where something covers the mouth it differs: the whole video fades the change out before, and in after.
        """
        assert isinstance(self.backbone, FaceMesh)
        part = next(iter(self.backbone.drawn(iter([self.view.of(frame)]), movement.at(index))))
        return self.view.put_back(frame, part)


def evenly(source: Source) -> list[int]:
    """Frames in which faces are counted."""
    return np.unique(np.linspace(0, len(source) - 1, NUM_LOOKS).astype(int)).tolist()

"""Nothing is before the mouth of a real face: all of an edit is shown."""

from pathlib import Path

import pytest

from cmet.media.landmarks import track_landmarks
from cmet.media.video import VideoFile
from tests.unit.backbones.test_facemesh_covered import free

NUM_FRAMES = 60


@pytest.mark.parametrize("number", range(1, 9))
def test_eight_real_faces_show_all_of_an_edit(real: Path, number: int) -> None:
    video = VideoFile(real / f"faces/face_{number}.mp4")
    frames = list(video.frames_at(range(min(len(video), NUM_FRAMES))))
    assert free(frames, track_landmarks(frames)).min() == 1

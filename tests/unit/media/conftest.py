"""A face that every machine has: a rendered actor who speaks."""

from pathlib import Path

import numpy as np
import pytest

from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.engine import Job
from cmet.media.video import read_video
from cmet.params import Params


@pytest.fixture(scope="session")
def talking(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An actor of the sample corpus, 256x256 at 30 frames/s, with sound."""
    folder: Path = tmp_path_factory.mktemp("talking")
    job = list_clips(params.sample, seed=3)[0]
    render_clip(job, folder)
    return folder / f"{job['clip_id']}.mp4"


@pytest.fixture(scope="session")
def talking_frames(talking: Path) -> np.ndarray:
    """The first 30 frames of it."""
    return read_video(talking, range(30)).frames


@pytest.fixture
def job(params: Params) -> Job:
    """A job without its files; a face is looked for often, since the clips are short."""
    files = {"video": None, "audio": None, "picture": "video/clip.mp4", "sound": "audio/clip.wav"}
    return {"clip_id": "clip", **files, **params.clips.model_dump(), "detect_stride": 5}

"""What one edit needs, on a machine that has nothing: `python -m tests.smoke_edit FOLDER`."""

import sys
from pathlib import Path

from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.media.sound import read_sound, write_sound
from cmet.params import load_params

ROOT = Path(__file__).parents[1]


def write_smoke_edit(folder: Path) -> None:
    """A drawn actor's `neutral.mp4`, `neutral.wav` and `happy.wav`; the model is the one in the wheel."""
    folder.mkdir()
    params = load_params(ROOT / "params.yaml")
    clips = {job["emotion"]: job for job in list_clips(params.sample, seed=3)}
    for emotion in ("neutral", "happy"):
        render_clip(clips[emotion], folder)
        video = (folder / f"{clips[emotion]['clip_id']}.mp4").rename(folder / f"{emotion}.mp4")
        rate_hz = params.clips.sample_rate_hz
        write_sound(folder / f"{emotion}.wav", read_sound(video, rate_hz), rate_hz)


if __name__ == "__main__":
    write_smoke_edit(Path(sys.argv[1]))

"""Edits of real faces, the emotion told: what judges name that nobody here has trained, and whether it is still a face.

`python -m tests.bench_faces` prints the tables of docs/results.md, and writes each clip's numbers to
reports/real-faces.json. `--edits FOLDER` keeps the edited videos, and takes those that are there instead of making
them.
"""

import argparse
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cmet.errors import ClipError
from cmet.outputs import write_json
from tests.face_shapes import LIDS, MOUTH, RealRange, jitter

# heavy imports are inside the functions: processes that measure something else import this module too
if TYPE_CHECKING:
    from cmet.editing.editor import Editor

ROOT = Path(__file__).parents[1]
REAL = ROOT / "../shared/real"
DETAILS = ROOT / "reports/real-faces.json"
EMOTIONS = ("happy", "sad", "angry", "surprised", "fear")
TUNED, OTHERS = tuple(f"face_{n}" for n in range(1, 5)), tuple(f"face_{n}" for n in range(5, 9))
"""The faces that the renderer was tuned on, and those that it was not."""
NEUTRAL_CLIP = "MEAD/FPS25/W009/front/neutral/level_1/038.mp4"
TRUE_CLIPS = {
    "happy": "clips/mead_happy_cropped.mp4",
    "sad": "MEAD_raw/M030/video/front/sad/level_3/001.mp4",
    "surprised": "clips/mead_surprised_cropped.mp4",
    "fear": "clips/mead_fear_cropped.mp4",
}
"""Clips of MEAD that show an emotion; there is none of anger."""
FACEAPI_BEFORE = {"happy": 8, "sad": 7, "angry": 2, "surprised": 0, "fear": 2}
"""Of the eight faces, how many face-api named rightly before the renderer was tuned on the first four."""


@dataclass(frozen=True)
class Clip:
    """What was measured of one clip, edited or not."""

    face: str
    """Whose it is."""
    emotion: str
    """The wanted one, or the one it truly shows; `unedited`."""
    fer: str
    """What the network of FER-2013 names."""
    faceapi: str
    """What that of face-api names."""
    similarity: float
    """Mean cosine of its descriptors with the source's."""
    own_similarity: float
    """That of the second half of the source with the first."""
    distance: float
    """Mean distance of its descriptors from the source's."""
    own_distance: float
    beyond: Mapping[str, float]
    """Of each quantity of the face, the share of frames that leave its range."""
    excess: Mapping[str, float]
    """Of each, how far they leave it at most, in widths of the range."""
    mouth_out: float
    """Share of frames in which the mouth leaves the range in any of its quantities."""
    lids_out: float
    jitter: float
    """In times of the source."""

    @property
    def identity(self) -> float:
        """Similarity to the source relative to that of its two halves to each other."""
        return self.similarity / self.own_similarity

    @property
    def mouth_excess(self) -> float:
        """How far the mouth leaves the range at most, in widths of the range."""
        return max(self.excess[name] for name in MOUTH)

    @property
    def lids_excess(self) -> float:
        """The same of the lids."""
        return max(self.excess[name] for name in LIDS)


class Seen(NamedTuple):
    """What networks and landmarks give of a clip."""

    fer: str
    faceapi: str
    descriptors: np.ndarray
    """Shape (K, 128)."""
    track: np.ndarray
    """Landmarks, shape (T, 478, 3), without gaps."""


@dataclass(frozen=True)
class Table:
    """All clips."""

    clips: Sequence[Clip]
    truly: Mapping[str, tuple[str, str]]
    """Of the true clips of MEAD, by emotion: what the two judges name."""

    def of(self, faces: Iterable[str], emotion: str | None = None) -> list[Clip]:
        """The edited clips of some faces."""
        wanted = EMOTIONS if emotion is None else (emotion,)
        return [clip for clip in self.clips if clip.face in set(faces) and clip.emotion in wanted]

    @cached_property
    def on_mead(self) -> tuple[float, float]:
        """Share that FER-2013's network names rightly: of the edits of MEAD's clip, and of true clips of the same."""
        edited = [clip for clip in self.clips if clip.face == NEUTRAL_CLIP and clip.emotion in self.truly]
        true = [said == emotion for emotion, (said, _) in self.truly.items()]
        return share_named(edited), float(np.mean(true))

    @property
    def markdown(self) -> str:
        """As docs/results.md has it."""
        return "\n".join([*_heads(), *_rows(self), "", *_true_rows(self)])


def share_named(clips: Sequence[Clip]) -> float:
    """Share that FER-2013's network names rightly."""
    return float(np.mean([clip.fer == clip.emotion for clip in clips]))


def measure(real: Path, edits: Path) -> Table:
    """Edit every face towards every emotion and look at the results.

    Args:
        real: The folder of real video.
        edits: Where edits are, and those come that are not there.
    """
    edits.mkdir(parents=True, exist_ok=True)
    sources = {name: real / "faces" / f"{name}.mp4" for name in (*TUNED, *OTHERS)} | {NEUTRAL_CLIP: real / NEUTRAL_CLIP}
    videos = [*sources.values(), *(real / path for path in TRUE_CLIPS.values())]
    others = [path for path in sorted(real.glob("clips/*.mp4")) if path not in videos]
    with multiprocessing.get_context("spawn").Pool(min(2, len(os.sched_getaffinity(0)))) as pool:
        jobs = [(video, edits / Path(name).stem) for name, video in sources.items()]
        made = pool.starmap(edited, jobs, chunksize=1)
        seen = dict(zip(videos, pool.map(seen_or_none, videos, chunksize=1), strict=True))
        tracks = [one.track for one in [*seen.values(), *pool.map(seen_or_none, others, chunksize=1)] if one]
        bounds = RealRange.of(tracks)
        clips = []
        for (name, video), outs in zip(sources.items(), made, strict=True):
            own = seen[video]
            assert own is not None
            clips.append(compared(name, "unedited", own, own, bounds))
            for emotion, found in zip(EMOTIONS, pool.map(look_at, outs, chunksize=1), strict=True):
                clips.append(compared(name, emotion, found, own, bounds))
    truly = {emotion: seen[real / path] for emotion, path in TRUE_CLIPS.items()}
    return Table(clips, {emotion: (one.fer, one.faceapi) for emotion, one in truly.items() if one})


def edited(video: Path, folder: Path) -> list[Path]:
    """The edits of a video by the built-in model, one of each emotion; those that are there are kept."""
    outs = [folder.with_name(f"{folder.name}_{emotion}.mp4") for emotion in EMOTIONS]
    if not all(out.exists() for out in outs):
        editor = built_in()
        for emotion, out in zip(EMOTIONS, outs, strict=True):
            if not out.exists():
                edit(video, emotion, out, editor)
    return outs


def built_in() -> "Editor":
    """The model in the package."""
    import torch

    from cmet.editing.built_in import BUILT_IN
    from cmet.editing.editor import Editor
    from cmet.native_logs import silence_native_logs

    silence_native_logs()
    torch.set_num_threads(1)
    return Editor.load(BUILT_IN)


def edit(video: Path, emotion: str, out: Path, editor: "Editor") -> None:
    """What `cmet edit --emotion` does."""
    from cmet.editing.video import edit_video
    from cmet.editing.wishes.options import EditOptions, NamedEmotion

    edit_video(video, NamedEmotion(emotion), (), out, editor, EditOptions(is_quiet=True))


def look_at(video: Path) -> Seen:
    """See a clip.

    Raises:
        ClipError: It cannot be read or shows no face.
    """
    import torch

    from cmet.backbones.frames import fill_gaps
    from cmet.media.landmarks import track_landmarks
    from cmet.media.video import VideoFile
    from cmet.native_logs import silence_native_logs
    from cmet.scores.metrics.descriptor import DescriptorLikeness
    from cmet.scores.metrics.faceapi import FaceApiAccuracy
    from cmet.scores.metrics.fer import FerAccuracy
    from cmet.scores.metrics.seen import seen_faces

    silence_native_logs()
    torch.set_num_threads(1)
    faces = seen_faces(video)
    fer, faceapi, descriptor = (kind.load(ROOT) for kind in (FerAccuracy, FaceApiAccuracy, DescriptorLikeness))
    file = VideoFile(video)
    track = track_landmarks(file.frames_at(range(len(file))))
    is_found = np.isfinite(track).all(axis=(1, 2))
    return Seen(
        fer.CLASSES[int(fer.logits(faces).argmax())], faceapi.CLASSES[int(faceapi.logits(faces).argmax())],
        descriptor.descriptors(faces).numpy(), fill_gaps(track, is_found),
    )  # fmt: skip


def seen_or_none(video: Path) -> Seen | None:
    """See a clip, or None where it cannot be read or shows no face."""
    try:
        return look_at(video)
    except ClipError:
        return None


def compared(face: str, emotion: str, seen: Seen, source: Seen, bounds: RealRange) -> Clip:
    """An edited clip beside its source."""
    import torch

    from cmet.scores.metrics.descriptor import likeness

    own_KD = torch.from_numpy(source.descriptors)
    half = len(own_KD) // 2
    similarity, distance = likeness(torch.from_numpy(seen.descriptors), own_KD)
    own_similarity, own_distance = likeness(own_KD[half:], own_KD[:half])
    beyond = bounds.beyond(seen.track, source.track)
    return Clip(
        face, emotion, seen.fer, seen.faceapi, similarity, own_similarity, distance, own_distance,
        beyond={name: float((values_T > 0).mean()) for name, values_T in beyond.items()},
        excess={name: float(values_T.max()) for name, values_T in beyond.items()},
        mouth_out=float(np.any([beyond[name] > 0 for name in MOUTH], axis=0).mean()),
        lids_out=float(np.any([beyond[name] > 0 for name in LIDS], axis=0).mean()),
        jitter=jitter(seen.track, source.track, bounds.template),
    )  # fmt: skip


HEADINGS = (
    "faces", "emotion", "FER-2013", "face-api", "identity", "distance", "mouth out", "lids out", "jitter",
)  # fmt: skip


def _heads() -> list[str]:
    return [f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS)]


def _rows(table: Table) -> Iterator[str]:
    groups = {"1 to 4": TUNED, "5 to 8": OTHERS, "MEAD": (NEUTRAL_CLIP,)}
    for name, faces in groups.items():
        for emotion in ("unedited", *EMOTIONS):
            clips = [clip for clip in table.clips if clip.face in faces and clip.emotion == emotion]
            yield _row(name, emotion, clips)
        yield _row(name, "all five", table.of(faces))


def _row(name: str, emotion: str, clips: Sequence[Clip]) -> str:
    mean = partial(_mean, clips)
    own = f"({mean('own_distance'):.2f})"
    judged_and_alike = ["", "", "", own]
    if emotion != "unedited":
        judged_and_alike = [
            f"{sum(clip.fer == clip.emotion for clip in clips)} of {len(clips)}",
            f"{sum(clip.faceapi == clip.emotion for clip in clips)} of {len(clips)}",
            f"{mean('identity'):.3f}",
            f"{mean('distance'):.2f} {own}",
        ]
    shape = [
        f"{mean('mouth_out'):.0%} ({mean('mouth_excess'):.2f})", f"{mean('lids_out'):.0%} ({mean('lids_excess'):.2f})",
        f"{mean('jitter'):.2f}",
    ]  # fmt: skip
    return f"| {' | '.join([name, emotion, *judged_and_alike, *shape])} |"


def _mean(clips: Sequence[Clip], name: str) -> float:
    return float(np.mean([getattr(clip, name) for clip in clips]))


def _true_rows(table: Table) -> Iterator[str]:
    yield "| a clip of MEAD that shows | FER-2013 names | face-api names |"
    yield "|---|---|---|"
    for emotion, said in table.truly.items():
        yield f"| {emotion} | {said[0]} | {said[1]} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_faces", description=__doc__.partition("\n")[0])
    parser.add_argument("--edits", type=Path, help="Folder in which edited videos are kept.")
    args = parser.parse_args()
    if not REAL.is_dir():
        parser.error("../shared/real is not here")
    scratch = Path(tempfile.mkdtemp(prefix="cmet-faces-"))
    try:
        table = measure(REAL, args.edits or scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(table.markdown)
    keep(table)
    print(f"\n{DETAILS}: {len(table.clips)} clips")


def keep(table: Table) -> None:
    """Each clip's numbers, for a closer look."""
    DETAILS.parent.mkdir(exist_ok=True)
    write_json(DETAILS, [asdict(clip) for clip in table.clips])


if __name__ == "__main__":
    main()

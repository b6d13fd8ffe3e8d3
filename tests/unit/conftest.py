"""A tiny scored project: clips that show bars instead of faces, edits copied from them, a small judge."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.clips.product import Clips
from cmet.connector.card import BundleConfig
from cmet.connector.product import Model
from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.edits.product import Edits, EditsProtocol, MethodTiming, TimingFacts
from cmet.engine.attempts import Job
from cmet.engine.clip_map import ClipMap
from cmet.judge.product import JudgeFolder
from cmet.judge.training import train_judge
from cmet.media.sound import write_sound
from cmet.media.video import read_video, write_video
from cmet.outputs import write_json
from cmet.packs import read_packed
from cmet.params import ClipForm, JudgeParams, Params, load_params
from cmet.vocabulary import EMOTIONS
from tests.clip_maps import without_workers
from tests.packing import pack_all

ROOT = Path(__file__).parents[2]
WITH_WORKERS = ClipMap._worked_off
SPEAKERS = {"A": "train", "B": "train", "C": "val", "D": "test"}
SENTENCES = ("001", "002")
JUDGE = JudgeParams(
    network="small",
    begin_from=None,
    checkpoint=None,
    label_order=None,
    trained_on=None,
    has_neutral=False,
    image_px=32,
    num_frames=4,
    num_train_frames=2,
    num_epochs=6,
    batch_size=16,
    learning_rate=0.003,
)

TIMED = MethodTiming(seconds_per_video=0.5, sd=0.1, parts={}, num_videos=2, seconds_of_video=2.0)
TIMING = TimingFacts(
    timed_sha256="2" * 64,
    methods={"cmet": TIMED, "neutral": TIMED},
    device="cpu",
    cpu="a processor",
    num_cores=2.0,
    threads=2,
    warm_up=1,
    speech_encoder="opensmile",
    speech="embedded from sound",
    includes=["reading"],
    excludes=["writing"],
)
PROTOCOL = EditsProtocol(
    name="pool-by-intensity-00000000",
    sha256="0" * 64,
    pools_sha256="1" * 64,
    pools="pool-by-intensity",
    num_speech_clips=10,
    pool_seed=None,
    identity_frame=0,
    rows="test-pairs",
    clips=[],
    speech={},
)


@pytest.fixture(scope="session", autouse=True)
def in_this_process() -> Iterator[None]:
    """A map over clips starts no workers, which takes longer than the work of these tests."""
    with without_workers():
        yield


@pytest.fixture(autouse=True)
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """But it does in a test that is marked so."""
    if request.node.get_closest_marker("workers"):
        monkeypatch.setattr(ClipMap, "_worked_off", WITH_WORKERS)


@dataclass(frozen=True)
class Tiny:
    """What the stages of the tiny project have left."""

    clips: Clips
    edits: Edits
    judge: JudgeFolder
    model: Model

    def clips_of(self, rows: pd.DataFrame, folder: Path) -> Clips:
        """Some of the clips, in a folder of their own."""
        folder.mkdir(parents=True)
        for name in ("video", "audio"):
            (folder / name).symlink_to(self.clips.folder / name)
        rows.to_parquet(folder / "clips.parquet", index=False)
        return Clips(folder)


def bars(emotion: str, num_frames: int = 6) -> np.ndarray:
    """Frames with bars whose angle stands for the emotion."""
    angle = np.pi * EMOTIONS.index(emotion) / len(EMOTIONS)
    y, x = np.mgrid[:64, :64]
    picture = 128 + 100 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / 3)
    return np.repeat(picture.astype(np.uint8)[None, :, :, None], num_frames, axis=0).repeat(3, axis=3)


def write_clips(folder: Path) -> Clips:
    """Write the prepared clips of all speakers."""
    (folder / "video").mkdir(parents=True)
    (folder / "audio").mkdir()
    rows = []
    for speaker, split in SPEAKERS.items():
        for emotion in EMOTIONS:
            for sentence in SENTENCES:
                clip_id = f"sample-{speaker}-{emotion}-2-{sentence}"
                write_video(folder / "video" / f"{clip_id}.mp4", bars(emotion), 25)
                write_sound(folder / "audio" / f"{clip_id}.wav", np.zeros(4000, np.float32), 16000)
                rows.append((clip_id, "sample", speaker, emotion, 2, sentence, split, "ok", None))
    columns = ["clip_id", "corpus", "speaker", "emotion", "intensity", "sentence", "split", "status", "reason"]
    pack_all(folder / "video", folder / "audio")
    table = pd.DataFrame(rows, columns=columns).assign(view=None).astype({"intensity": "Int64"})
    table.to_parquet(folder / "clips.parquet", index=False)
    return Clips(folder)


def write_edits(clips: Clips, folder: Path) -> Edits:
    """Perfect `cmet` edits but one that failed, and unedited `neutral` ones."""
    table = clips.table
    targets = table[(table["split"] == "test") & (table["emotion"] != "neutral")]
    rows = []
    for method in ("cmet", "neutral"):
        (folder / method).mkdir(parents=True)
        for target in targets.itertuples():
            source = f"sample-{target.speaker}-neutral-2-{target.sentence}"
            is_failed = method == "cmet" and target.emotion == "fear" and target.sentence == "001"
            video = None if is_failed else f"{method}/{target.clip_id}.mp4"
            if video:
                shown = target.clip_id if method == "cmet" else source
                (folder / video).write_bytes(read_packed(clips.video(shown)))
            rows.append(
                {
                    "row_id": target.clip_id,
                    "method": method,
                    "backbone": "facemesh",
                    "speaker": target.speaker,
                    "sentence": target.sentence,
                    "emotion": target.emotion,
                    "intensity": target.intensity,
                    "source_clip": source,
                    "target_clip": target.clip_id,
                    "video": video,
                    "status": "failed" if is_failed else "ok",
                    "reason": "no_face: lost" if is_failed else None,
                    "is_held_out": target.emotion == "disgusted",
                    "lips": "own",
                    "protocol": PROTOCOL.name,
                }
            )
    pd.DataFrame(rows).astype({"intensity": "Int64"}).to_parquet(folder / "edits.parquet", index=False)
    write_json(folder / "protocol.json", PROTOCOL)
    return Edits(folder)


def write_model(folder: Path) -> Model:
    """A card, a history and no weights that could be loaded."""
    folder.mkdir()
    (folder / "connector.safetensors").write_bytes(b"weights")
    params = load_params(ROOT / "params.yaml")
    config = BundleConfig(
        clips=ClipForm.of(params.clips),
        backbone="facemesh",
        speech_encoder="opensmile",
        speech_settings={},
        expression_width=2,
        speech_width=3,
        network=params.train.network,
        step=20,
        seed=1,
        held_out_emotion="disgusted",
    )
    write_json(folder / "config.json", config.model_dump())
    history = [(step, f"train/{name}", 1 / step) for step in (10, 20) for name in ("total", "regression")]
    history += [(20, "val/delta_mse", 0.5), (20, "val/delta_mse_zero", 1.0), (20, "val/delta_cosine", 0.4)]
    pd.DataFrame(history, columns=["step", "metric", "value"]).to_parquet(folder / "history.parquet")
    return Model(folder)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny project, made once."""
    root = tmp_path_factory.mktemp("tiny")
    clips = write_clips(root / "clips")
    train_judge(clips, root / "judge", JUDGE, seed=1)
    return Tiny(
        clips,
        write_edits(clips, root / "edits"),
        JudgeFolder(root / "judge"),
        write_model(root / "model"),
    )


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

"""The tree of clips on disk, and the truth behind them."""

from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, rmtree

import av
import cv2
import numpy as np
import pandas as pd

from cmet.corpora.sample.affect import ACTIONS, DIMENSIONS, Style, affect_point, facial_actions
from cmet.corpora.sample.face import draw_face
from cmet.corpora.sample.look import Look
from cmet.corpora.sample.motion import ClipMotion, envelope, make_motion
from cmet.corpora.sample.painting import paint_backdrop, paint_frames
from cmet.corpora.sample.product import CORPUS, TRUTH
from cmet.corpora.sample.voice import (
    SAMPLE_RATE_HZ,
    SENTENCES,
    Manner,
    SpokenSentence,
    Voice,
    lip_track,
    room_noise,
    speak,
)
from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from cmet.errors import UserError
from cmet.outputs import fresh_folder
from cmet.params import SampleParams
from cmet.vocabulary import EMOTIONS

FPS = 30
_FIRST_ID = 101
_ACTOR_STREAM, _CLIP_STREAM = 1, 2
"""Second number of the random seeds of speakers and of clips."""


@dataclass(frozen=True)
class SampleReport:
    """What the corpus holds."""

    num_clips: int
    num_speakers: int
    num_frames: int
    duration_s: float


@dataclass(frozen=True)
class Actor:
    """Everything that belongs to one speaker."""

    look: Look
    voice: Voice
    style: Style

    @classmethod
    def cast(cls, seed: int, number: int, style: float) -> "Actor":
        """The speaker of that number, the same one in every process."""
        rng = np.random.default_rng([seed, _ACTOR_STREAM, number])
        is_woman = _is_woman(number)
        return cls(Look.draw(rng, number, is_woman), Voice.draw(rng, is_woman), Style.draw(rng, style))


def make_sample(params: SampleParams, seed: int, out: Path, work: Path) -> SampleReport:
    """Render the sample corpus.

    Args:
        params: The `sample` section of params.yaml.
        seed: The same seed and params give the same bytes.
        out: Gets `corpus/`, a tree like MEAD's with the speaker lists of the splits, and `truth.parquet`, the true
            affect and expression of every clip, which only tests read. It appears complete or not at all.
        work: Keeps finished clips over a kill; gone at the end.

    Raises:
        UserError: More sentences are asked for than there are.
    """
    if params.sentences_per_speaker > params.num_sentences:
        raise UserError(
            f"sample.sentences_per_speaker is {params.sentences_per_speaker}, "
            f"but sample.num_sentences is only {params.num_sentences}"
        )
    if params.num_sentences > len(SENTENCES):
        raise UserError(f"sample.num_sentences is {params.num_sentences}, but only {len(SENTENCES)} sentences exist")
    jobs = list_clips(params, seed)
    # the folder of a stage's work is named by its params only
    clip_map = ClipMap(render_clip, work / f"seed_{seed}", "sample")
    records = clip_map.run(jobs)
    with fresh_folder(out) as folder:
        for job in jobs:
            video = folder / CORPUS / job["path"]
            video.parent.mkdir(parents=True, exist_ok=True)
            copyfile(clip_map.files / f"{job['clip_id']}.mp4", video)
        for split, speakers in split_speakers(params).items():
            lines = "".join(f"{speaker}\n" for speaker in speakers)
            (folder / CORPUS / f"{split}.txt").write_text(lines, encoding="utf-8")
        truth = pd.DataFrame([_truth_row(job, record) for job, record in zip(jobs, records, strict=True)])
        truth.to_parquet(folder / TRUTH, index=False)
    rmtree(work)
    num_frames = int(truth["num_frames"].sum())
    return SampleReport(len(truth), truth["speaker"].nunique(), num_frames, num_frames / FPS)


def split_speakers(params: SampleParams) -> dict[str, list[str]]:
    """Speakers of train, val and test, named as in MEAD: a letter for the sex and three digits."""
    sizes = {"train": params.num_train_speakers, "val": params.num_val_speakers, "test": params.num_test_speakers}
    numbers = iter(range(sum(sizes.values())))
    return {split: [_speaker_id(next(numbers)) for _ in range(size)] for split, size in sizes.items()}


def list_clips(params: SampleParams, seed: int) -> list[Job]:
    """One job per clip: every speaker says each of their sentences neutrally and in every emotion and level."""
    num_speakers = params.num_train_speakers + params.num_val_speakers + params.num_test_speakers
    jobs = []
    for number in range(num_speakers):
        said = sorted((number + place) % params.num_sentences + 1 for place in range(params.sentences_per_speaker))
        for emotion in EMOTIONS:
            for level in [1] if emotion == "neutral" else sorted(set(params.levels)):
                for sentence in said:
                    speaker = _speaker_id(number)
                    jobs.append(
                        {
                            "clip_id": f"{speaker}_{emotion}_{level}_{sentence:03d}",
                            "path": f"{speaker}/front/{emotion}/level_{level}/{sentence:03d}.mp4",
                            "speaker": speaker,
                            "number": number,
                            "emotion": emotion,
                            "level": level,
                            "sentence": sentence,
                            "seed": seed,
                            "frame_px": params.frame_px,
                            "style": params.style,
                            "noise": params.noise,
                        }
                    )
    return jobs


def render_clip(job: Job, folder: Path) -> Record:
    """Act, draw and write one clip; returns its truth."""
    seed, number, noise = job["seed"], job["number"], job["noise"]
    actor = Actor.cast(seed, number, job["style"])
    place = [number, EMOTIONS.index(job["emotion"]), job["level"], job["sentence"]]
    rng = np.random.default_rng([seed, _CLIP_STREAM, *place])
    affect = affect_point(job["emotion"], job["level"]) + 0.06 * noise * rng.standard_normal(len(DIMENSIONS))
    manner = Manner.of(affect * actor.style.voice_gains_D, rng, noise)
    speech = speak(SENTENCES[job["sentence"] - 1], actor.voice, manner, rng)
    before_s, after_s = rng.uniform(0.08, 0.12), rng.uniform(0.08, 0.14)
    num_frames = int(np.ceil(FPS * (before_s + len(speech.samples) / SAMPLE_RATE_HZ + after_s)))
    motion = _act(actor, affect, lip_track(speech, before_s, num_frames, FPS), noise, rng)
    frames = _film(actor, motion, job["frame_px"], noise, rng)
    sound = _record(speech, before_s, num_frames, rng)
    _write_video(folder / f"{job['clip_id']}.mp4", frames, sound)
    return {
        "num_frames": num_frames,
        "affect": affect.tolist(),
        "actions": motion.actions_TA.mean(axis=0).tolist(),
        "speech_open": float(motion.open_T.mean()),
        "pitch_hz": float(actor.voice.pitch_hz * 2 ** (manner.pitch_semitones / 12)),
        "level_db": actor.voice.level_db + manner.level_db,
    }


def _act(actor: Actor, affect: np.ndarray, lips_T2: np.ndarray, noise: float, rng: np.random.Generator) -> ClipMotion:
    num_frames, style = len(lips_T2), actor.style
    affect_TD = envelope(rng, num_frames)[:, None] * affect
    clip_noise_A = 0.03 * noise * rng.standard_normal(len(ACTIONS))
    actions_TA = facial_actions(affect_TD) * style.gains_A + style.biases_A + clip_noise_A
    chin_up = 0.05 * affect[2] + 0.03 * affect[1]
    return make_motion(rng, actions_TA, lips_T2, chin_up, FPS, noise)


def _film(actor: Actor, motion: ClipMotion, frame_px: int, noise: float, rng: np.random.Generator) -> list[np.ndarray]:
    """The frames in YUV 4:2:0, lit and with the noise of a camera."""
    light, gain = rng.uniform(-1, 1), rng.uniform(0.90, 1.04)
    margin = 64
    size = (frame_px + margin, frame_px + margin)
    # 128 stands for no noise
    grain = np.clip(np.round(128 + 1.2 * noise * rng.standard_normal(size)), 0, 255).astype(np.uint8)
    frames = []
    for frame in paint_frames(draw_face(actor.look, motion, light), paint_backdrop(actor.look, frame_px, light)):
        yuv = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
        down, right = rng.integers(margin, size=2)
        patch = np.ascontiguousarray(grain[down : down + frame_px, right : right + frame_px])
        yuv[:frame_px] = cv2.addWeighted(yuv[:frame_px], gain, patch, 1.0, -128 + 16 * (1 - gain))
        frames.append(yuv)
    return frames


def _record(speech: SpokenSentence, before_s: float, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """The sound of the whole clip, exactly as long as its picture."""
    num_samples = num_frames * SAMPLE_RATE_HZ // FPS
    sound = room_noise(rng, num_samples, level_db=rng.uniform(-66, -60))
    start = round(before_s * SAMPLE_RATE_HZ)
    sound[start : start + len(speech.samples)] += speech.samples
    return np.clip(sound, -1, 1).astype(np.float32)


def _write_video(path: Path, frames: list[np.ndarray], sound: np.ndarray) -> None:
    """H.264 and AAC in mp4; one thread each, so that the bytes are always the same."""
    # FFmpeg takes what stands before a colon for a protocol, but not in a whole path
    with av.open(str(path.absolute()), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "20", "threads": "1"})
        video.width, video.height, video.pix_fmt = frames[0].shape[1], frames[0].shape[1], "yuv420p"
        audio = container.add_stream(
            "aac", rate=SAMPLE_RATE_HZ, layout="mono", bit_rate=64000, options={"aac_coder": "fast"}
        )
        for index, yuv in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
            picture.pts = index
            container.mux(video.encode(picture))
        container.mux(video.encode())
        block = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        block.sample_rate, block.pts = SAMPLE_RATE_HZ, 0
        container.mux(audio.encode(block))
        container.mux(audio.encode())


def _truth_row(job: Job, record: Record) -> dict[str, object]:
    columns = ("path", "speaker", "emotion", "level", "sentence")
    return (
        {column: job[column] for column in columns}
        | {"num_frames": record["num_frames"]}
        | dict(zip(DIMENSIONS, record["affect"], strict=True))
        | dict(zip(ACTIONS, record["actions"], strict=True))
        | {name: record[name] for name in ("speech_open", "pitch_hz", "level_db")}
    )


def _is_woman(number: int) -> bool:
    return number % 2 == 1


def _speaker_id(number: int) -> str:
    return f"{'W' if _is_woman(number) else 'M'}{_FIRST_ID + number}"

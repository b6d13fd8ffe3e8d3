"""How long an edit takes: the paper's AITV, measured so that it can be repeated.

The paper prints mean wall-clock seconds per video, of a script that is not published, without warm-up and without
waiting for the GPU. Here a few rows are edited one after the other in this process, after others that are not counted;
every method begins with the pixels and the sound of prepared clips, never with stored tracks, codes or embeddings; and
the clock is looked at when the GPU, if there is one, has done what it was given.

read     decoding the source clip and its sound
encode   tracking the source and reading its expression codes; where lips follow speech, the lips of its sound
drive    the wanted expression codes, all that a method has to do for them:
         reference  decoding, tracking and encoding the driving clip
         cmet       embedding the speech of both pools and predicting the deltas
         oracle     decoding, tracking and encoding the true clip
render   drawing the frames, which are thrown away

`neutral` has no drive. Where a backbone changes frames in place it shows the clip as it is, and only reads.
"""

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch

from cmet.backbones.backbone import Backbone, SpeechDriven
from cmet.backbones.frames import fill_gaps
from cmet.backbones.registry import backbone_class, load_backbone
from cmet.clips.product import Clips
from cmet.connector.bundle import Bundle
from cmet.edits.material import EditRecipe, Material
from cmet.edits.methods import cmet_codes, draw_references, oracle_codes, reference_codes
from cmet.edits.pools import PoolKey, choose_speech, with_level
from cmet.edits.product import TIMED, TIMING, TIMING_SCRIPT, DrivingSpeech, MethodTiming, Timed, TimingFacts
from cmet.edits.rows import planned_rows
from cmet.environment import describe_environment
from cmet.errors import ClipError, UserError
from cmet.media.sound import read_sound
from cmet.media.video import VideoFile
from cmet.outputs import content_digest, fresh_folder, write_json
from cmet.params import TimingParams
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ, SpeechEncoder
from cmet.speech.encoders.registry import load_encoder
from cmet.vocabulary import METHODS

PARTS = ("read", "encode", "drive", "render")
INCLUDES = (
    "decoding the source clip and its sound",
    "tracking and encoding the source from pixels",
    "decoding, tracking and encoding the driving clip (reference) or the true clip (oracle)",
    "embedding the emotional and the neutral speech, and predicting (cmet)",
    "rendering",
)
EXCLUDES = ("loading of models", "cropping and resampling of raw clips", "encoding, muxing and writing of the video")

PlannedRow = Mapping[str, Any]
Laps = dict[str, float]
"""Seconds by part."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class TimingReport:
    """How long edits take on this machine."""

    num_videos: int
    num_warm_up: int
    seconds_of_video: float
    """Mean length of the timed clips."""
    seconds_per_video: dict[str, float]
    """Per method."""


def device_clock() -> float:
    """Seconds, read when the GPU, if there is one, has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def time_edits(
    material: Material,
    recipe: EditRecipe,
    params: TimingParams,
    model_sha256: str,
    out: Path,
    measured: Path,
    methods: Sequence[str] = METHODS,
    clock: Callable[[], float] = device_clock,
) -> TimingReport:
    """Time the edits of rows that are evenly spaced over all that can be made; the first of them warm up.

    Args:
        material: What the edits are made of. Where there are fewer rows than are wanted, some are timed again.
        recipe: How.
        params: The `timing` section. Without warm-up, models that are loaded at their first use are timed with it.
        model_sha256: Of the Connector's weights.
        out: Gets what was timed (`Timed`), the same bytes on every machine.
        measured: Gets the seconds, which `Timing` and the page of the report read.
        methods: Those of `METHODS` that are wanted.
        clock: Gives seconds.

    Raises:
        UserError: No row can be made, a file that backbone or encoder need is missing, or a prepared clip cannot be
            read or shows no face.
    """
    bundle, clips, faces = material.bundle, material.clips, material.faces
    rows = planned_rows(material.pairs, clips.table, recipe.edits, recipe.held_out_emotion)
    whole = with_level(rows[rows.reason.isna()])
    if whole.empty:
        raise UserError("timing: none of the planned rows can be made, so there is no edit to time")
    encoder = load_encoder(bundle.config.speech_encoder, material.weights, bundle.speech_form)
    if encoder.check is not None:
        encoder.check()
    timer = RowTimer(
        load_backbone(bundle.config.backbone, faces.model, material.weights, recipe.inference),
        bundle,
        recipe,
        clips,
        choose_speech(whole, clips.table, material.voices.clip_ids, recipe.edits),
        draw_references(whole, clips.table, faces, recipe.seed),
        Ear(encoder, clips),
        methods,
        clock,
    )
    num_rows = params.num_warm_up + params.num_clips
    chosen = whole.iloc[[int(len(whole) / num_rows * i) for i in range(num_rows)]].to_dict("records")
    try:
        timed = [timer.time_row({str(key): value for key, value in row.items()}) for row in chosen][
            params.num_warm_up :
        ]
    except ClipError as error:
        raise UserError(f"timing: {error}") from error
    summary = {
        method: summed_up([(length_s, laps[method]) for length_s, laps in timed if method in laps])
        for method in methods
        if any(method in laps for _, laps in timed)
    }
    backbone = bundle.config.backbone
    sections = json.dumps(
        [recipe.edits.model_dump(mode="json"), recipe.inference.model_dump(mode="json")], sort_keys=True
    )
    settings = hashlib.sha256(sections.encode()).hexdigest()
    timed_rows = [str(row["row_id"]) for row in chosen]
    with fresh_folder(out) as folder:
        write_json(
            folder / TIMED, Timed(model_sha256, backbone, encoder.name, timed_rows, params.num_warm_up, settings)
        )
        # first: where DVC has what was timed, there are seconds
        facts = _facts(content_digest(folder / TIMED), summary, backbone, params, encoder)
        _write_seconds(facts, backbone, measured)
    return TimingReport(
        num_videos=len(timed),
        num_warm_up=params.num_warm_up,
        seconds_of_video=fmean(length_s for length_s, _ in timed),
        seconds_per_video={method: numbers.seconds_per_video for method, numbers in summary.items()},
    )


@dataclass(frozen=True)
class Ear:
    """Speech embeddings of clips, made anew whenever they are asked for."""

    encoder: SpeechEncoder
    clips: Clips

    def embeddings(self, clip_ids: Iterable[str]) -> np.ndarray:
        """Raw embeddings, shape (N, S).

        Raises:
            ClipError: A sound or a vector cannot be read.
        """
        return np.stack([self._embedding(clip_id) for clip_id in clip_ids])

    def _embedding(self, clip_id: str) -> np.ndarray:
        if self.encoder.embed is not None:
            return self.encoder.embed(read_sound(self.clips.sound(clip_id), SAMPLE_RATE_HZ))
        assert self.encoder.read is not None
        table = self.clips.table
        return self.encoder.read(self.clips.raw_sound(table[table.clip_id == clip_id].iloc[0]))


@dataclass(frozen=True)
class RowTimer:
    """Edits one row by every method and times the parts."""

    backbone: Backbone
    bundle: Bundle
    recipe: EditRecipe
    clips: Clips
    speech: Mapping[PoolKey, DrivingSpeech]
    references: Mapping[str, str | None]
    """Driving clip of every row."""
    ear: Ear
    methods: Sequence[str]
    clock: Callable[[], float]

    def time_row(self, row: PlannedRow) -> tuple[float, dict[str, Laps]]:
        """Length of the source in seconds, and the seconds of every method; without `reference` if there is none."""
        (file, frames, samples), read_s = self._timed(self._read, row["source_clip"])
        (track, own), encode_s = self._timed(self._encode_source, frames, samples, file.fps)
        if self.backbone.picture_px is not None:
            frames = [self._identity_frame(frames, row["source_clip"])]
        drives = {"reference": self._reference, "cmet": self._predicted, "oracle": self._true}
        laps: dict[str, Laps] = {}
        for method in self.methods:
            if method == "reference" and self.references[row["row_id"]] is None:
                continue
            if method == "neutral" and self.backbone.picture_px is None:
                laps[method] = dict.fromkeys(PARTS, 0.0) | {"read": read_s}
                continue
            codes, drive_s = self._timed(drives[method], row, own) if method in drives else (own, 0.0)
            _, render_s = self._timed(self._render, frames, track, codes)
            laps[method] = {"read": read_s, "encode": encode_s, "drive": drive_s, "render": render_s}
        return file.duration_s(), laps

    def _timed(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
        start = self.clock()
        result = work(*args, **kwargs)
        return result, self.clock() - start

    def _read(self, clip_id: str) -> tuple[VideoFile, list[np.ndarray], np.ndarray]:
        file = VideoFile(self.clips.video(clip_id))
        return (
            file,
            list(file.frames_at(range(len(file)))),
            read_sound(self.clips.sound(clip_id), SAMPLE_RATE_HZ),
        )

    def _encode_source(
        self, frames: list[np.ndarray], samples: np.ndarray, fps: float
    ) -> tuple[np.ndarray, np.ndarray]:
        track = self._track(frames)
        codes = self.backbone.encode(track)
        if self.recipe.lips(self.bundle.config.backbone) == "speech":
            assert isinstance(self.backbone, SpeechDriven)
            track = self.backbone.with_speech(track, samples, fps)
        return track, codes

    def _identity_frame(self, frames: list[np.ndarray], clip_id: str) -> np.ndarray:
        number = self.recipe.edits.identity_frame
        if number >= len(frames):
            raise ClipError(
                "too_short", f"{clip_id} has {len(frames)} frames, but the identity frame is number {number}"
            )
        return frames[number]

    def _track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        track = self.backbone.track(frames)
        is_found = np.isfinite(track).reshape(len(track), -1).all(axis=1)
        if not is_found.any():
            raise ClipError("face_lost", "a clip of a timed row shows no face; make the expression codes again")
        return fill_gaps(track, is_found)

    def _codes(self, clip_id: str) -> np.ndarray:
        file = VideoFile(self.clips.video(clip_id))
        return self.backbone.encode(self._track(file.frames_at(range(len(file)))))

    def _reference(self, row: PlannedRow, own: np.ndarray) -> np.ndarray:
        return reference_codes(own, self._codes(str(self.references[row["row_id"]])))

    def _predicted(self, row: PlannedRow, own: np.ndarray) -> np.ndarray:
        speech = self.speech[row["emotion"], row["level"]]
        neutral, emotional = (self.ear.embeddings(clip_ids) for clip_ids in (speech.neutral, speech.emotional))
        delta = self.bundle.scaled_speech_delta(neutral, emotional)
        return cmet_codes(own, self.bundle, delta, self.recipe.edits.strength)

    def _true(self, row: PlannedRow, own: np.ndarray) -> np.ndarray:
        return oracle_codes(own, self._codes(row["target_clip"]))

    def _render(self, frames: list[np.ndarray], track: np.ndarray, codes: np.ndarray) -> None:
        deque(self.backbone.render(frames, track, codes), maxlen=0)


def summed_up(timed: Sequence[tuple[float, Laps]]) -> MethodTiming:
    """Mean seconds of a method with their spread.

    Args:
        timed: Of every video its length and the seconds of the parts; at least one.
    """
    totals = [sum(laps.values()) for _, laps in timed]
    return MethodTiming(
        seconds_per_video=fmean(totals),
        sd=stdev(totals) if len(totals) > 1 else None,
        parts={part: fmean(laps[part] for _, laps in timed) for part in PARTS},
        num_videos=len(timed),
        seconds_of_video=fmean(length_s for length_s, _ in timed),
    )


def _write_seconds(facts: TimingFacts, backbone: str, measured: Path) -> None:
    with fresh_folder(measured) as folder:
        write_json(folder / TIMING, facts)
        text = json.dumps(asdict(facts), sort_keys=True)
        (folder / TIMING_SCRIPT).write_text(f"showTiming({json.dumps(backbone)}, {text});\n", encoding="utf-8")


def _facts(
    timed_sha256: str,
    methods: dict[str, MethodTiming],
    backbone: str,
    params: TimingParams,
    encoder: SpeechEncoder,
) -> TimingFacts:
    """The seconds with where the backbone's networks ran, the processor, and what the clock counted."""
    machine = describe_environment()
    gpus = machine["torch"]["gpus"]
    return TimingFacts(
        timed_sha256=timed_sha256,
        methods=methods,
        device=f"cuda: {gpus[0]['name']}" if gpus and backbone_class(backbone).weights else "cpu",
        cpu=machine["processor"]["model"],
        num_cores=machine["processor"]["num_usable_cores"],
        threads=machine["torch"]["num_threads"],
        warm_up=params.num_warm_up,
        speech_encoder=encoder.name,
        speech="embedded from sound" if encoder.embed is not None else "vectors read from files, no network was run",
        includes=list(INCLUDES),
        excludes=list(EXCLUDES),
    )

"""What our networks give where the golden files hold what the published ones gave: `OURS[file]()[array]`."""

import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cmet.backbones.edtalk.audio2lip import Audio2Lip, lips_from_speech, smooth_lips
from cmet.backbones.edtalk.generator import EXPRESSION, LIP, POSE, EDTalkGenerator
from cmet.backbones.edtalk.mel import mel_spectrogram, mel_windows
from cmet.backbones.edtalk.rendering import Renderer
from cmet.backbones.pdfgc.appearance import AppearanceNetwork
from cmet.backbones.pdfgc.audio import AudioNetwork
from cmet.backbones.pdfgc.generator import PDFGCGenerator
from cmet.backbones.pdfgc.layers import Noise
from cmet.backbones.pdfgc.motion import MotionCodes, MotionNetwork
from cmet.backbones.pdfgc.spectrogram import analysis_window, spectrogram
from cmet.connector.inference import predict_deltas
from cmet.connector.network import Connector
from cmet.params import NetworkParams
from tests.golden.fill import (
    AUDIO2LIP,
    CONNECTOR,
    EDTALK,
    PDFGC,
    Profile,
    fill,
    images,
    normal,
    picture_grid,
    plane_stats,
    sample,
    uniform,
    waveform,
)
from tests.pdfgc_procedure import FIRST_FRAME, Drivers, control_values

HERE = Path(__file__).parent
DROPOUT_OFF = NetworkParams(hidden=1024, num_layers=4, num_heads=4, feedforward=1024, window=5, dropout=0.0)
SWITCHED_OFF = {
    "no_blink": [530, 531, 534, 535],
    "no_gaze": [532, 533],
    "no_pose": range(536, 542),
    "no_emotion": range(500, 530),
    "no_mouth": range(500),
}
"""Columns of the control values that are zero where a part is switched off."""
FILES = (
    "edtalk",
    "audio2lip",
    "pdfgc",
    "pdfgc_control",
    "pdfgc_audio_frontend",
    "connector_10",
    "connector_30",
    "inference",
)
ELSEWHERE = {
    # what the input sums to
    "audio2lip": {"wave_checks"},
    # how an edited clip is lengthened as published: tests of editing
    "inference": {"long/rendered", "long/pose_frame", "long/index"},
    # names of the entries of train_bn_sums
    "connector_10": {"train_bn_names"},
    "connector_30": {"train_bn_names"},
}
"""Arrays that are not compared here."""

BOUND = 2e-4
TIGHTER_BOUNDS = {"connector_10": 1e-5, "connector_30": 1e-5, "inference": 2e-5}
"""Largest difference allowed, relative to the largest magnitude of the golden array."""

Found = dict[str, Tensor | np.ndarray | float]
AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


@dataclass(frozen=True)
class Difference:
    """Ours against one golden array, or against the statistic of it where the difference is relatively largest."""

    file: str
    array: str
    largest: float
    """Largest magnitude of the golden values."""
    difference: float
    bound: float
    """Largest relative difference allowed."""

    @property
    def relative(self) -> float:
        return self.difference / self.largest

    @property
    def is_within(self) -> bool:
        return self.relative <= self.bound  # false of NaN


def compared(file: str) -> list[str]:
    """Arrays of a golden file that `ours` gives."""
    with np.load(HERE / f"{file}.npz") as golden:
        return [name for name in golden.files if name not in ELSEWHERE.get(file, ())]


def differences(file: str) -> Iterator[Difference]:
    """All arrays of a golden file against ours."""
    return (difference(file, name) for name in compared(file))


def difference(file: str, array: str) -> Difference:
    with np.load(HERE / f"{file}.npz") as golden:
        expected = np.atleast_1d(golden[array]).astype(np.float64)
    apart = np.abs(np.reshape(np.asarray(ours(file)[array], np.float64), expected.shape) - expected)
    # statistics differ by orders of magnitude, so each has its own bound
    axes = tuple(range(expected.ndim - 1)) if array.endswith("_stats") else None
    largest, furthest = (np.atleast_1d(values.max(axes)) for values in (np.abs(expected), apart))
    worst = int(np.argmax(furthest / largest))
    bound = TIGHTER_BOUNDS.get(file, BOUND)
    return Difference(file, array, float(largest[worst]), float(furthest[worst]), bound)


@cache
def ours(file: str) -> Mapping[str, Tensor | np.ndarray | float]:
    """What our code gives for each array of a golden file."""
    makers: dict[str, Callable[[], Found]] = {
        "edtalk": edtalk,
        "audio2lip": audio2lip,
        "pdfgc": pdfgc,
        "pdfgc_control": pdfgc_control,
        "pdfgc_audio_frontend": pdfgc_audio_frontend,
        "connector_10": lambda: connector(10),
        "connector_30": lambda: connector(30),
        "inference": inference,
    }
    with torch.inference_mode():
        return makers[file]()


def filled(network: AnyNetwork, profile: Profile) -> AnyNetwork:
    """A network in eval mode with the weights of the golden rule."""
    fill(network, profile)
    return network.eval()


@cache
def filled_connector(width: Literal[10, 30]) -> Connector:
    """The paper's Connector without dropout, in eval mode; who changes it works on a copy."""
    return filled(Connector(DROPOUT_OFF, width, 1024), CONNECTOR)


@cache
def filled_motion() -> MotionNetwork:
    """PD-FGC's; who changes it works on a copy."""
    return filled(MotionNetwork(), PDFGC["motion"])


@cache
def filled_audio() -> AudioNetwork:
    """PD-FGC's; who changes it works on a copy."""
    return filled(AudioNetwork(), PDFGC["audio"])


def edtalk() -> Found:
    renderer = Renderer(filled(EDTalkGenerator(), EDTALK), batch_size=2)
    frames = images("edtalk/frames", 3, 256)
    coefficients_TK = renderer.coefficients(frames)
    source = renderer.source(frames[0])
    # lip given, pose of the second frame, expression given
    audio_driven = coefficients_TK[1:2].clone()
    audio_driven[:, LIP] = normal("edtalk/lip", (1, 20), 1.0)
    audio_driven[:, EXPRESSION] = normal("edtalk/exp", (1, 10), 1.0)
    video_driven = audio_driven.clone()
    video_driven[:, LIP] = coefficients_TK[2, LIP]
    expression_BS = renderer.expression(audio_driven)
    expressed = [
        block(one, expression_BS)
        for block, one in zip(renderer.generator.dec.fineadainresblock, source.maps, strict=True)
    ]
    found: Found = {
        "alpha_lip": coefficients_TK[:, LIP],
        "alpha_pose": coefficients_TK[:, POSE],
        "alpha_exp": coefficients_TK[:, EXPRESSION],
        "source_latent": source.latent_1S,
        "basis": renderer.basis_SK,
        "motion_latent": renderer.motion(audio_driven),
        "expression_latent": expression_BS,
    }
    for level, (one, modulated) in enumerate(zip(source.maps, expressed, strict=True)):
        found[f"feature{level}_sample"] = sample(one.feature_MCHW, 512)
        found[f"modulated{level}_sample"] = sample(modulated, 512)
    (audio_picture,), (video_picture,) = (list(renderer.render(source, row)) for row in (audio_driven, video_driven))
    # a source per sample
    both = torch.cat([audio_driven, -audio_driven])
    both[:, POSE] = coefficients_TK[1:, POSE]
    decoder = renderer.generator.dec
    latents_2S, features = renderer.generator.enc.with_features(frames[:2])
    pictures = decoder(decoder.prepare(features), latents_2S + renderer.motion(both), renderer.expression(both))
    for name, some, step in (("av", audio_picture, 4), ("v", video_picture, 8), ("av_batch2", pictures, 8)):
        found[f"{name}_grid"], found[f"{name}_stats"] = picture_grid(some, step), plane_stats(some)
    return found


def audio2lip() -> Found:
    network = filled(Audio2Lip(), AUDIO2LIP)
    wave = waveform("audio2lip/wave", 2.0)
    windows, reflected = mel_windows(wave), mel_spectrogram(wave, ends="reflect")
    # what does not fill a video frame is cut
    odd = mel_windows(wave[:31000])
    return {
        "coefficients": network(normal("audio2lip/mel", (10, 1, 80, 16), 2.0)),
        "mel": mel_spectrogram(wave),
        "mel_reflect_edges": torch.stack([reflected[:, :3], reflected[:, -3:]]),
        "windows_shape": np.array(windows.shape),
        "windows_sample": sample(windows, 8000),
        "windows_first": windows[0],
        "windows_last": windows[-1],
        "odd_length_frames": len(odd),
        "odd_length_sum": float(odd.double().sum()),
        "track_smooth": smooth_lips(normal("audio2lip/track", (12, 20), 1.0)),
        "wave_lips": network(windows),
        "wave_lips_smooth": lips_from_speech(network, wave),
    }


def pdfgc() -> Found:
    look = filled(AppearanceNetwork(), PDFGC["appearance"])
    motion, audio = filled_motion(), filled_audio()
    generator = filled(PDFGCGenerator(), PDFGC["generator"])
    faces = images("pdfgc/pictures", 3, 224)
    windows = uniform("pdfgc/spectrogram", (4, 1, 80, 20), 0, 1)
    vector_BV, map_BCPP = look(faces[:2])
    pose_B6, eye_B6, expression_BE = motion(faces)
    style_BY, start_BCPP = normal("pdfgc/style", (2, 2590), 0.5), normal("pdfgc/identity", (2, 512, 7, 7), 1.0)
    pictures = generator(start_BCPP, style_BY)
    for module in generator.modules():
        if isinstance(module, Noise):
            module.field.zero_()
    quiet = generator(start_BCPP, style_BY)
    colours = [generator.to_rgb1, *generator.to_rgbs]
    return {
        "appearance_vector": vector_BV,
        "appearance_grid_sample": sample(map_BCPP, 8000),
        "appearance_scores_sample": sample(look.fc(vector_BV), 1000),
        "motion_pose": pose_B6,
        "motion_eye": eye_B6,
        "motion_emotion": expression_BE,
        "motion_mouth": motion.mouth(faces),
        "audio_feature": audio.model(windows),
        "audio_mouth": audio(windows),
        "picture_grid": picture_grid(pictures, 4),
        "picture_stats": plane_stats(pictures),
        "quiet_picture_grid": picture_grid(quiet, 4),
        "quiet_picture_stats": plane_stats(quiet),
        **{f"rgb_style{number}": layer.conv.modulation(style_BY) for number, layer in enumerate(colours)},
    }


def pdfgc_control() -> Found:
    # as it is at work
    motion = deepcopy(filled_motion()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mouth_NM = filled_audio()(uniform("pdfgc/track", (11, 1, 80, 20), 0, 1))

    def driven(part: str, num_frames: int) -> MotionCodes:
        """NaN before the first frame that counts."""
        read = motion(images(f"pdfgc/drive_{part}", num_frames, 224)[FIRST_FRAME:])
        return MotionCodes(*(functional.pad(codes, (0, 0, FIRST_FRAME, 0), value=math.nan) for codes in read))

    drivers = Drivers(driven("pose", 14).pose_B6, driven("expression", 13).expression_BE, driven("eye", 12).eye_B6)
    control_NC = control_values(mouth_NM, drivers)
    switched: Found = {}
    for name, columns in SWITCHED_OFF.items():
        part_NC = control_NC.clone()
        part_NC[:, list(columns)] = 0
        switched[name] = sample(part_NC, 2000)
    return {"all": control_NC, **switched}


def pdfgc_audio_frontend() -> Found:
    wave = waveform("pdfgc/wave", 1.0)
    return {
        "spectrogram": spectrogram(wave),
        "window": analysis_window(),
        "rms_before": math.sqrt(np.mean(np.square(wave, dtype=np.float64))),
    }


def connector(width: Literal[10, 30]) -> Found:
    # the published float32 numbers lie up to 9.6e-6 beside these, which is what their rounding leaves
    network = deepcopy(filled_connector(width)).double()
    reference = normal("connector/ref", (4, 5, width), 0.3).double()
    speech = normal("connector/speech", (4, 1, 1024), 0.3).double()
    codes = normal("connector/source", (4, 5, width), 1.0).double()
    forward, flipped = network(reference, speech, codes), network(-reference, -speech, codes)
    trained = network.train()(reference, speech, codes)
    state = network.state_dict()
    with np.load(HERE / f"connector_{width}.npz") as golden:
        names = golden["train_bn_names"].tolist()
        kept = [name for name in golden.files if name.startswith("train_bn/")]
    return {
        "eval_out": forward.delta_BTD,
        "eval_ref_emb": sample(forward.reference_BTH),
        "eval_speech_emb": forward.speech_B1H,
        "eval_src_emb": sample(forward.source_BTH),
        "eval_flipped_out": flipped.delta_BTD,
        "eval_flipped_speech_emb": flipped.speech_B1H,
        "train_out": trained.delta_BTD,
        "train_ref_emb": sample(trained.reference_BTH),
        "train_src_emb": sample(trained.source_BTH),
        "train_bn_sums": np.array([float(state[name].double().sum()) for name in names]),
        **{name: state[name.removeprefix("train_bn/")] for name in kept},
    }


def inference() -> Found:
    network = filled_connector(10)
    emotional, neutral = (normal(f"infer/speech_{kind}", (10, 1024), 0.4).mean(0) for kind in ("emo", "neu"))
    speech = (emotional - neutral).numpy()
    found: Found = {"speech_direction_sum": float(speech.sum())}
    for name, num_frames in (("short", 23), ("long", 48)):
        codes = normal(f"infer/source{num_frames}", (num_frames, 10), 0.8).numpy()
        directions = predict_deltas(network, speech, codes, drop_tail=True)
        found[f"{name}/directions"] = directions
        found[f"{name}/expression"] = codes[: len(directions)] + directions
    return found

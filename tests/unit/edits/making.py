"""Clips, a connector and a recipe for edits, as small as they can be."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cmet.clips.product import SOUND, VIDEO, Clips, sound_name, video_name
from cmet.connector.bundle import Bundle
from cmet.connector.card import BundleConfig
from cmet.connector.network import Connector
from cmet.edits.material import EditRecipe
from cmet.media.sound import write_sound
from cmet.media.video import write_video
from cmet.params import ClipForm, NetworkParams, Params
from cmet.speech.scaling import SpeechScaling

WIDTH = 10
RATE_HZ = 16_000
CLIPS = ClipForm(size_px=256, fps=25, sample_rate_hz=RATE_HZ, crop_rule="fomm-reflect-1")


def write_clip(clips: Clips, clip_id: str, frames: np.ndarray, samples: np.ndarray) -> None:
    """Picture and sound of a prepared clip; all of them are packed when they are there."""
    for name in (VIDEO, SOUND):
        (clips.folder / name).mkdir(parents=True, exist_ok=True)
    write_video(clips.folder / VIDEO / video_name(clip_id), frames, 25)
    write_sound(clips.folder / SOUND / sound_name(clip_id), samples, RATE_HZ)


def with_table(clips: Clips, table: pd.DataFrame, folder: Path) -> Clips:
    """The same pictures and sounds under another table."""
    folder.mkdir()
    for path in clips.folder.iterdir():
        if path != clips.path:
            (folder / path.name).symlink_to(path)
    changed = Clips(folder, clips.corpus)
    table.to_parquet(changed.path)
    return changed


def made_bundle(speech_width: int, folder: Path, backbone: str = "facemesh") -> Bundle:
    """A small connector with drawn weights."""
    network = NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.0)
    torch.manual_seed(1)
    config = BundleConfig(
        clips=CLIPS, backbone=backbone, speech_encoder="opensmile", speech_settings={}, expression_width=WIDTH,
        speech_width=speech_width, network=network, step=0, seed=1, held_out_emotion=None,
    )  # fmt: skip
    limit = np.ones(speech_width, np.float32)
    connector = Connector(network, WIDTH, speech_width).eval()
    return Bundle(connector, config, SpeechScaling.none(speech_width), limit, folder)


def recipe_of(params: Params, **changes: Any) -> EditRecipe:
    """The project's, with some of the `edits` section changed."""
    edits = params.edits.model_copy(update=changes)
    return EditRecipe(edits, params.inference, seed=1, crf=params.clips.crf, held_out_emotion=None)

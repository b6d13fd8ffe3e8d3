"""How fast a judge names the emotion of clips on one core, for the table of bench.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from cmet.judge.classifier import ClipClassifier
from cmet.judge.frames import read_frames
from cmet.judge.networks import KINDS
from cmet.vocabulary import TARGET_EMOTIONS
from tests.bench_media import fastest, one_core

NUM_FRAMES = 16


def judge_speed(
    videos: Sequence[Path], network: Literal["small", "resnet18"] = "small", image_px: int = 112
) -> dict[str, float]:
    """Frames per second of one core, with drawn weights, which cost the same.

    Args:
        videos: Prepared clips.
        network: The kind of judge.
        image_px: Side of the frames it is given.

    Returns:
        `whole_fps` from files to answers, `reading_fps` of decoding and scaling, `network_fps` of the network alone,
        and `num_frames` that were judged.
    """
    threads = torch.get_num_threads()
    judge = ClipClassifier(KINDS[network].make(7), network, TARGET_EMOTIONS, image_px, NUM_FRAMES)
    resize = KINDS[network].resize
    clips = [clip for clip in read_frames(videos, NUM_FRAMES, image_px, resize) if isinstance(clip, np.ndarray)]
    num_frames = NUM_FRAMES * len(clips)
    torch.set_num_threads(1)
    try:
        with one_core():
            whole_s, reading_s, network_s = fastest(
                lambda: judge.classify_clips(videos),
                lambda: list(read_frames(videos, NUM_FRAMES, image_px, resize)),
                lambda: judge.logits(np.concatenate(clips)),
            )
    finally:
        torch.set_num_threads(threads)
    return {
        "whole_fps": num_frames / whole_s,
        "reading_fps": num_frames / reading_s,
        "network_fps": num_frames / network_s,
        "num_frames": float(num_frames),
    }

"""What moves from frame to frame besides the expression: head, blinks, lips that speak, and the unrest of a face."""

from dataclasses import dataclass

import numpy as np

# T frames, A facial actions


@dataclass(frozen=True)
class ClipMotion:
    """Everything about the frames of one clip that is not the actor; one value per frame."""

    actions_TA: np.ndarray
    blink_T: np.ndarray
    """0 open ... 1 shut."""
    open_T: np.ndarray
    """How far speech opens the mouth, 0 ... 1."""
    round_T: np.ndarray
    """How far speech rounds the lips, 0 ... 1."""
    shift_T2: np.ndarray
    """Of the head, in face units, right and down."""
    roll_T: np.ndarray
    yaw_T: np.ndarray
    pitch_T: np.ndarray
    """Radians; positive pitch lifts the chin."""
    scale_T: np.ndarray


def unrest(rng: np.random.Generator, num_frames: int, num_channels: int, memory: float) -> np.ndarray:
    """Smooth noise of unit variance, shape (num_frames, num_channels); `memory` below 1 is its persistence."""
    steps = rng.standard_normal((num_frames, num_channels))
    values = np.empty_like(steps)
    values[0] = steps[0]
    for index in range(1, num_frames):
        values[index] = memory * values[index - 1] + np.sqrt(1 - memory**2) * steps[index]
    return values


def envelope(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """How an expression swells and ebbs over a clip, around 1, shape (num_frames,)."""
    time = np.linspace(0, 1, num_frames)
    return 1 + 0.10 * np.sin(np.pi * (2 * time + rng.uniform(0, 2))) - 0.25 * np.exp(-time / 0.06)


def blinks(rng: np.random.Generator, num_frames: int, fps: int) -> np.ndarray:
    """Lids falling shut and opening again every few seconds, shape (num_frames,)."""
    shut = np.zeros(num_frames)
    frame = rng.exponential(2.0) * fps
    while frame < num_frames:
        offset = np.arange(num_frames) - frame
        # lids close in two frames and open in four
        shut = np.maximum(shut, np.clip(np.where(offset < 0, 1 + offset / 2.2, 1 - offset / 4.2), 0, 1))
        frame += (0.8 + rng.exponential(2.5)) * fps
    return shut


def make_motion(
    rng: np.random.Generator, actions_TA: np.ndarray, lips_T2: np.ndarray, chin_up: float, fps: int, noise: float
) -> ClipMotion:
    """Put an actor's expression, speech and head motion together.

    Args:
        rng: Randomness of the clip.
        actions_TA: Facial actions without unrest.
        lips_T2: Opening and rounding of the lips by speech.
        chin_up: Mean pitch of the head in radians.
        fps: Frames per second.
        noise: Factor on the unrest of the face.
    """
    num_frames = len(actions_TA)
    head = unrest(rng, num_frames, 6, 0.97)
    start = rng.standard_normal(6)
    sway = 0.6 * head + 0.6 * start
    return ClipMotion(
        actions_TA=actions_TA + 0.035 * noise * unrest(rng, num_frames, actions_TA.shape[1], 0.8),
        blink_T=blinks(rng, num_frames, fps),
        open_T=lips_T2[:, 0],
        round_T=lips_T2[:, 1],
        shift_T2=sway[:, :2] * 3.0,
        roll_T=0.025 * sway[:, 2],
        yaw_T=0.06 * sway[:, 3],
        pitch_T=chin_up + 0.04 * sway[:, 4],
        scale_T=1 + 0.015 * sway[:, 5],
    )

"""How much faster EDTalk's renderer is than the published procedure; `python -m tests.bench_edtalk` prints it."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from cmet.backbones.edtalk.generator import EXPRESSION, LIP, EDTalkGenerator
from cmet.backbones.edtalk.rendering import Renderer
from tests.edtalk_procedure import published_coefficients, published_frame
from tests.golden.fill import EDTALK, fill, images, normal

NUM_ROUNDS = 2


@dataclass(frozen=True)
class Run:
    """One way through a driving video."""

    pictures_T3HW: Tensor
    edit_s: float
    """Expression codes, pose codes and rendering."""
    rendering_s: float


def edtalk_speeds(num_frames: int = 8, batch_size: int | None = None) -> dict[str, float]:
    """Frames per second of a whole edit and of rendering alone, published and ours, and the largest difference.

    A whole edit is the expression codes and the pose codes of the driving video, and rendering with lips from speech.
    The two take turns, so that other work on the machine slows both, and the fastest round of each counts. Both use the
    threads that torch chooses. Kernels are scaled beforehand, as once per load.
    """
    generator = EDTalkGenerator()
    fill(generator, EDTALK)
    renderer = Renderer(generator.requires_grad_(False), batch_size)
    source_3HW, *driving = images("edtalk/bench", num_frames + 1, 256)
    lips_TP = normal("edtalk/bench/lips", (num_frames, 20), 1.0)
    published, ours = [], []
    for _ in range(NUM_ROUNDS):
        published.append(published_run(generator, source_3HW, driving, lips_TP))
        ours.append(our_run(renderer, source_3HW, driving, lips_TP))
    expected, found = published[0].pictures_T3HW, ours[0].pictures_T3HW
    published_edit_s, edit_s = (min(run.edit_s for run in runs) for runs in (published, ours))
    published_rendering_s, rendering_s = (min(run.rendering_s for run in runs) for runs in (published, ours))
    return {
        "num_frames": num_frames,
        "batch_size": renderer.batch_size,
        "published_edit_fps": num_frames / published_edit_s,
        "edit_fps": num_frames / edit_s,
        "edit_speedup": published_edit_s / edit_s,
        "published_rendering_fps": num_frames / published_rendering_s,
        "rendering_fps": num_frames / rendering_s,
        "rendering_speedup": published_rendering_s / rendering_s,
        "max_difference_relative": float((found - expected).abs().max() / expected.abs().max()),
    }


def published_run(generator: EDTalkGenerator, source_3HW: Tensor, driving: list[Tensor], lips_TP: Tensor) -> Run:
    """Codes frame by frame, then pictures frame by frame."""
    started = time.perf_counter()
    codes = [published_coefficients(generator, picture_3HW[None])[:, EXPRESSION] for picture_3HW in driving]
    encoded = time.perf_counter()
    pictures = [
        published_frame(generator, source_3HW[None], pose_3HW[None], lips_P[None], code_1E)
        for pose_3HW, lips_P, code_1E in zip(driving, lips_TP, codes, strict=True)
    ]
    ended = time.perf_counter()
    return Run(torch.cat(pictures), ended - started, ended - encoded)


def our_run(renderer: Renderer, source_3HW: Tensor, driving: list[Tensor], lips_TP: Tensor) -> Run:
    """One pass of the encoder per driving frame and one over the source, then pictures in batches."""
    started = time.perf_counter()
    coefficients_TK = renderer.coefficients(driving)
    coefficients_TK[:, LIP] = lips_TP
    encoded = time.perf_counter()
    pictures = list(renderer.render(renderer.source(source_3HW), coefficients_TK))
    ended = time.perf_counter()
    return Run(torch.cat(pictures), ended - started, ended - encoded)


if __name__ == "__main__":
    for name, value in edtalk_speeds().items():
        print(f"{name:<28}{value:>12.4g}")

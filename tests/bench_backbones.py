"""The networks of the published backbones: speed, memory, and where the time goes.

`python -m tests.bench_backbones` prints how much EDTalk computes per frame. Weights are filled, since published ones
are not needed for any of this.
"""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tests.processes import tree_bytes

# heavy imports are inside the functions: processes that measure something else import this module too
if TYPE_CHECKING:
    import numpy as np

FPS = 25
SIDE_PX = 256
SHORT_S = 2
"""Length of the video that is edited with all passes of the networks."""
POLL_S = 0.1


def backbone_speeds() -> dict[str, float]:
    """What `edtalk_speeds` gives, and `pdfgc_speedup` under that name, from a process of their own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_speeds)


def _speeds() -> dict[str, float]:
    from tests.bench_edtalk import edtalk_speeds
    from tests.bench_pdfgc import pdfgc_speedup

    speedup, difference = pdfgc_speedup()
    return {**edtalk_speeds(), "pdfgc_speedup": speedup, "pdfgc_max_difference": difference}


def memory_while_streaming(scratch: Path, duration_s: float, is_shortened: bool) -> float:
    """Peak MiB of a process that tracks a video with EDTalk, draws it anew and writes it.

    Args:
        scratch: Folder for the weights and the videos.
        duration_s: Length of the video.
        is_shortened: Whether each network runs once and its result is handed out again for every frame. All else is
            done for all frames: reading, passing on, sampling of the track, writing. A CPU would need hours otherwise.
    """
    weights, video = scratch / "weights", scratch / f"{duration_s:g}s.mp4"
    write_edtalk_weights(weights)
    write_moving_video(video, duration_s)
    command = [sys.executable, "-m", "tests.bench_backbones", str(weights), str(video), str(scratch / "edited.mp4")]
    process = subprocess.Popen([*command, *(["shortened"] if is_shortened else [])])
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(POLL_S)
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    return peak / 2**20


def stream(weights: Path, video: Path, out: Path, is_shortened: bool) -> None:
    """Track a video, and write it drawn anew with its own codes and its sound."""
    from cmet.backbones.edtalk.model import EDTalk
    from cmet.media.video import VideoFile, write_video
    from cmet.params import InferenceParams

    backbone = EDTalk.load(weights, weights, InferenceParams(batch_size=None, precision="float32", compile=False))
    file = VideoFile(video)
    indices = range(len(file))
    with ExitStack() as stack:
        if is_shortened:
            stack.enter_context(shortened_passes())
        track = backbone.track(file.frames_at(indices))
        codes = backbone.encode(track)
        written = write_video(out, backbone.render(file.frames_at(indices), track, codes), file.fps, video)
    assert written == len(file)


@contextmanager
def shortened_passes() -> Iterator[None]:
    """The encoder and the decoder run once per size of a batch; afterwards they give copies of that result."""
    from cmet.backbones.edtalk.decoder import Decoder
    from cmet.backbones.edtalk.encoder import Encoder

    def once(forward: Callable[..., Any]) -> Callable[..., Any]:
        kept: dict[int, Any] = {}

        def first_or_copy(network: object, *inputs: Any) -> Any:
            size = len(inputs[-1])
            if size not in kept:
                kept[size] = forward(network, *inputs)
            return kept[size].clone()

        return first_or_copy

    with (
        patch.object(Encoder, "forward", once(Encoder.forward)),
        patch.object(Decoder, "forward", once(Decoder.forward)),
    ):
        yield


def write_edtalk_weights(folder: Path) -> None:
    """`EDTalk.pt` with filled weights, unless it is there."""
    import torch

    from cmet.backbones.edtalk.generator import EDTalkGenerator
    from tests.golden.fill import EDTALK, fill

    file = folder / "edtalk/EDTalk.pt"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        generator = EDTalkGenerator()
        fill(generator, EDTALK)
        torch.save({"gen": generator.state_dict()}, file)


def write_moving_video(path: Path, duration_s: float) -> None:
    """A pattern that moves, and noise to hear."""
    import numpy as np

    from cmet.media.sound import write_sound
    from cmet.media.video import write_video

    rate_hz = 16_000
    sound = path.with_suffix(".wav")
    noise = np.random.default_rng(0).standard_normal(round(duration_s * rate_hz)).astype(np.float32)
    write_sound(sound, 0.1 * noise, rate_hz)

    def frames() -> Iterator["np.ndarray"]:
        rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.uint8)
        for number in range(round(duration_s * FPS)):
            yield np.stack([rows + np.uint8(number % 256), columns, rows // 2 + columns // 2], -1)

    write_video(path, frames(), FPS, sound, preset="ultrafast")


def edtalk_profile() -> dict[str, float]:
    """Multiply-adds of one frame in units of 10^9, ours and as published, and the convolutions' share of the time."""
    import torch
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode

    from cmet.backbones.edtalk.generator import NUM_COEFFICIENTS, EDTalkGenerator
    from cmet.backbones.edtalk.rendering import Renderer
    from tests.edtalk_procedure import published_decoding, published_encoding
    from tests.golden.fill import EDTALK, fill, images

    generator = EDTalkGenerator()
    fill(generator, EDTALK)
    renderer = Renderer(generator.requires_grad_(False))
    picture_13HW = images("edtalk/bench", 1, SIDE_PX)
    coefficients_1K = torch.zeros(1, NUM_COEFFICIENTS)
    source = renderer.source(picture_13HW[0])
    expression_1S = renderer.expression(coefficients_1K)
    features = [one.feature_MCHW for one in source.maps]
    passes: dict[str, Callable[[], object]] = {
        "encoder": lambda: generator.enc(picture_13HW),
        "decoder": lambda: generator.dec(source.maps, source.latent_1S, expression_1S),
        "published encoder": lambda: published_encoding(generator.enc, picture_13HW),
        "published decoder": lambda: published_decoding(generator.dec, features, source.latent_1S, expression_1S),
    }
    found = {}
    with torch.no_grad():
        for name, run in passes.items():
            with FlopCounterMode(display=False) as counter:
                run()
            found[f"{name}, 10^9 multiply-adds"] = counter.get_total_flops() / 2 / 1e9
        for name in ("encoder", "decoder"):
            passes[name]()
            with profile(activities=[ProfilerActivity.CPU]) as recorded:
                passes[name]()
            events = [event for event in recorded.key_averages() if event.device_type == DeviceType.CPU]
            times = {event.key: event.self_cpu_time_total for event in events}
            convolving = sum(time_us for key, time_us in times.items() if "conv" in key)
            found[f"{name}, time in convolutions, share"] = convolving / sum(times.values())
    return found


def main() -> None:
    if len(sys.argv) > 1:
        weights, video, out, *shortened = sys.argv[1:]
        stream(Path(weights), Path(video), Path(out), bool(shortened))
        return
    for name, value in edtalk_profile().items():
        print(f"{name:<44}{value:>10.4g}")


if __name__ == "__main__":
    main()

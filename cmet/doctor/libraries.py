"""Libraries with native code: each is tried in a process of its own, since it can crash or hang."""

import importlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from cmet.doctor.finding import Finding, Findings, gib
from cmet.environment import missing_library
from cmet.weights.extras import repair_advice

LIMIT_S = 60

CODECS = {
    ("libx264", "w"): "write videos",
    ("aac", "w"): "write the sound of videos",
    ("h264", "r"): "read mp4 (the sample, MEAD, RAVDESS, MELD)",
    ("aac", "r"): "read the sound of mp4",
    ("flv", "r"): "read flv (CREMA-D)",
    ("vp6f", "r"): "read older flv",
    ("hevc", "r"): "read HEVC, as phones record it",
}
CODECS_OF_SAMPLE = frozenset({("libx264", "w"), ("aac", "w"), ("h264", "r"), ("aac", "r")})


def probe_gpu() -> Findings:
    """What torch can compute on."""
    import torch

    # a build that does not fit torch fails here
    importlib.import_module("torchaudio")
    driver = _driver()
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(number)
            yield Finding(
                "gpu",
                "ok",
                f"{properties.name}, {gib(properties.total_memory)}, compute capability {properties.major}."
                f"{properties.minor}; torch {torch.__version__}, CUDA {torch.version.cuda}; "
                f"{driver or 'driver not named'}",
            )
    elif driver is None:
        yield Finding(
            "gpu",
            "note",
            f"none; torch {torch.__version__} computes on the CPU",
            "the sample needs none; EDTalk and PD-FGC are slow without one",
        )
    else:
        yield Finding(
            "gpu",
            "note",
            f"an NVIDIA driver ({driver}), but torch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU",
            "install a newer driver or a build of torch for CUDA, or give the GPU to this container (`--gpus all`)",
        )


def _driver() -> str | None:
    file = Path("/proc/driver/nvidia/version")
    return file.read_text(encoding="utf-8").partition("\n")[0] if file.is_file() else None


def probe_codecs(can: Callable[[str, str], bool] | None = None) -> Findings:
    """Codecs in PyAV, which brings its own FFmpeg."""
    can = _has_codec if can is None else can
    missing = [codec for codec in CODECS if not can(*codec)]
    for codec in missing:
        yield Finding(
            "codecs",
            "problem" if codec in CODECS_OF_SAMPLE else "note",
            f"PyAV has no {'encoder' if codec[1] == 'w' else 'decoder'} {codec[0]}; it is needed to {CODECS[codec]}",
            "install the wheel of av from PyPI, which has it: pip install --force-reinstall --no-deps av",
        )
    if not missing:
        names = sorted({name for name, _ in CODECS})
        yield Finding("codecs", "ok", f"PyAV has {', '.join(names)}; no ffmpeg program is needed")


def _has_codec(name: str, mode: str) -> bool:
    import av

    try:
        return bool(av.Codec(name, mode))  # type: ignore[arg-type]
    except av.codec.codec.UnknownCodecError:
        return False


def probe_video() -> Findings:
    """Write a clip with PyAV and read it with decord."""
    import numpy as np

    from cmet.media.video import read_video, write_video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, np.zeros((5, 64, 64, 3), np.uint8), 25)
        num_frames = len(read_video(path).frames)
    if num_frames == 5:
        yield Finding("video", "ok", "a clip was written and read (decord)")
    else:
        yield Finding("video", "problem", f"decord read {num_frames} of 5 frames", "reinstall decord")


def probe_face_mesh() -> Findings:
    """Look for a face with MediaPipe where there is none."""
    import numpy as np

    from cmet.media.landmarks import still_landmarks

    still_landmarks([np.zeros((64, 64, 3), np.uint8)])
    yield Finding("face mesh", "ok", "MediaPipe and its model load")


def probe_opensmile() -> Findings:
    """Compute the features of one second of noise."""
    import numpy as np
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    width = smile.process_signal(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000).shape[1]
    yield Finding("opensmile", "ok", f"computes {width} features")


def probe_espeak() -> Findings:
    """Start espeak-ng, the voice of the sample."""
    import ctypes

    import espeakng_loader

    data = espeakng_loader.get_data_path()
    # 2: play nothing, return when done
    rate_hz = ctypes.CDLL(espeakng_loader.get_library_path()).espeak_Initialize(2, 0, str(data).encode(), 0)
    if rate_hz > 0:
        yield Finding("espeak-ng", "ok", f"starts, {rate_hz} Hz")
    else:
        yield Finding(
            "espeak-ng",
            "problem",
            f"does not start with its data in {data}",
            "its data cannot lie under a path of more than 150 letters; if it does not, reinstall espeakng-loader",
        )


PROBES: dict[str, Callable[[], Findings]] = {
    "gpu": probe_gpu,
    "codecs": probe_codecs,
    "video": probe_video,
    "face mesh": probe_face_mesh,
    "opensmile": probe_opensmile,
    "espeak-ng": probe_espeak,
}


def print_probe(name: str) -> None:
    """Run one of PROBES and print its findings as JSON: all that a child does."""
    print(json.dumps([asdict(finding) for finding in PROBES[name]()]))


def start_probe(name: str) -> subprocess.Popen[str]:
    """Run one of PROBES in a process of its own."""
    return start_python(f"from cmet.doctor.libraries import print_probe; print_probe({name!r})")


def start_python(code: str) -> subprocess.Popen[str]:
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", code]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def answer_of(name: str, child: subprocess.Popen[str], limit_s: float | None = None) -> Findings:
    """Findings that a child prints in its last line; its end is one when it has none."""
    limit_s = LIMIT_S if limit_s is None else limit_s
    try:
        out, err = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return [
            Finding(
                name,
                "problem",
                f"did not answer within {limit_s:g} s",
                f"ask again on a quiet machine; if it still hangs, {repair_advice()}",
            )
        ]
    if child.returncode < 0:
        died = signal.Signals(-child.returncode).name
        advice = f"the packages do not fit this processor or each other; {repair_advice()}"
        return [Finding(name, "problem", f"the process died of {died}", advice)]
    if child.returncode:
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "no message")
        advice = missing_library(last) or repair_advice()
        return [Finding(name, "problem", last.strip()[-300:], advice)]
    return [Finding(**finding) for finding in json.loads(out.splitlines()[-1])]

"""Sound as mono float32 at one rate, from any file."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from cmet.errors import ClipError
from cmet.media.packets import SEARCHED_FORMATS, picture_track

SOUNDFILE_SUFFIXES = frozenset({".wav", ".flac", ".ogg"})
"""Files libsndfile reads; everything else goes through FFmpeg (PyAV)."""

BLOCK_SAMPLES = 1 << 20

MIN_RATE_HZ = 1000
"""A second at a rate of 1 Hz becomes 16000 samples; a few kB in such a file would take gigabytes."""

MAX_LATE_S = 3600
"""By how much sound may begin after the picture; until then there is silence, which takes memory, too."""

STREAMED_BYTES = 0x7FFFF000


def read_sound(path: Path, sample_rate_hz: int) -> np.ndarray:
    """Read a sound file, or the first sound track of a video, mixed to mono and resampled.

    Returns:
        Shape (N,), float32, full scale 1.

    Raises:
        ClipError: `missing_audio`, `unreadable_audio`, `truncated` (a wav that ends before it says it does),
            `no_sound` (a video without a sound track), `empty_sound` or `bad_sound` (NaN or infinite samples, or a rate
            that no recording of speech has).
    """
    if not path.is_file():
        raise ClipError("missing_audio", f"{path.name} does not exist")
    samples, rate = _read_soundfile(path) if path.suffix.lower() in SOUNDFILE_SUFFIXES else _read_track(path)
    if samples.size == 0:
        raise ClipError("empty_sound", f"{path.name} holds no samples")
    if rate < MIN_RATE_HZ:
        raise ClipError("bad_sound", f"{path.name} says {rate} samples per second; at least {MIN_RATE_HZ} are needed")
    if not np.isfinite(samples).all():
        raise ClipError("bad_sound", f"{path.name} holds NaN or infinite samples")
    return resample(samples.mean(axis=1), rate, sample_rate_hz)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Band-limited resampling of a mono signal, shape (N,) to about (N * to_hz / from_hz,), float32."""
    return soxr.resample(samples.astype(np.float32, copy=False), from_hz, to_hz)


def write_sound(path: Path, samples: np.ndarray, sample_rate_hz: int) -> None:
    """Write mono 16 bit PCM wav; values beyond full scale are clipped."""
    soundfile.write(path, np.clip(samples, -1, 1), sample_rate_hz, subtype="PCM_16")


def rms_db(samples: np.ndarray) -> float:
    """Level in dB of full scale; digital silence is -200."""
    return float(20 * np.log10(max(np.sqrt(np.mean(np.square(samples, dtype=np.float64))), 1e-10)))


def _read_soundfile(path: Path) -> tuple[np.ndarray, int]:
    _refuse_cut_wav(path)
    try:
        with soundfile.SoundFile(path) as file:
            return np.concatenate([np.zeros((0, file.channels), np.float32), *_blocks(file)]), file.samplerate
    except soundfile.LibsndfileError as error:
        raise ClipError("unreadable_audio", f"{path.name} is not a sound file ({error.error_string})") from error


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """All samples; a header may promise more than any memory holds, so they are not read at once."""
    while len(block := file.read(BLOCK_SAMPLES, "float32", always_2d=True)):
        yield block


def _refuse_cut_wav(path: Path) -> None:
    """Raise for a wav whose samples end early, which libsndfile reads without a word."""
    with path.open("rb") as stream:
        if stream.read(4) != b"RIFF":
            return
        num_bytes, position = path.stat().st_size, 12
        while position + 8 <= num_bytes:
            stream.seek(position)
            name, declared = struct.unpack("<4sI", stream.read(8))
            held = num_bytes - position - 8
            # recorders that cannot seek back leave the greatest number there is
            if name == b"data" and held < declared < STREAMED_BYTES:
                raise ClipError("truncated", f"{path.name} declares {declared} bytes of sound but holds {held}")
            position += 8 + declared + declared % 2


def _read_track(path: Path) -> tuple[np.ndarray, int]:
    """First sound track, shape (N, channels), from the start of the picture where there is one."""
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise ClipError("no_sound", f"{path.name} has no sound track")
            stream = container.streams.audio[0]
            resampler = av.AudioResampler("fltp", rate=stream.codec_context.sample_rate)
            zero_s = picture_start_s(container)
            start_s = None
            blocks = []
            for decoded in container.decode(stream):
                start_s = decoded.time if start_s is None else start_s
                blocks += [frame.to_ndarray() for frame in resampler.resample(decoded)]
            rate = stream.codec_context.sample_rate
    except av.FFmpegError as error:
        raise ClipError("unreadable_audio", f"the sound of {path.name} cannot be decoded ({error.strerror})") from error
    if not blocks:
        return np.zeros((0, 1), np.float32), rate
    if (start_s or 0.0) - zero_s > MAX_LATE_S:
        raise ClipError("unreadable_audio", f"the sound of {path.name} begins over an hour after the picture")
    samples = np.concatenate(blocks, axis=1).T
    offset = round(((start_s or 0.0) - zero_s) * rate)
    if offset >= 0:
        return np.pad(samples, ((offset, 0), (0, 0))), rate
    return samples[-offset:], rate


def picture_start_s(container: av.container.InputContainer) -> float:
    """When the picture begins on the clock of its file; 0 where there is none or it is not said."""
    track = picture_track(container)
    if track is None:
        return 0.0
    # a recording may begin within a group of pictures, of which none can be shown; mp4 has lists that say so
    if container.format.name not in SEARCHED_FORMATS:
        with suppress(av.FFmpegError), av.open(container.name, metadata_errors="ignore") as other:
            first = next(other.decode(other.streams[track.index]), None)
            if isinstance(first, av.VideoFrame) and first.time is not None:
                return first.time
    if track.start_time is None or track.time_base is None:
        return 0.0
    return float(track.start_time * track.time_base)

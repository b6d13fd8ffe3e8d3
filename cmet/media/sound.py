"""Sound as mono float32 at one rate, from any file."""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from cmet.errors import ClipError
from cmet.media.files import missing, open_media
from cmet.media.packets import SEARCHED_FORMATS, picture_track
from cmet.packs import plain_file

SOUNDFILE_SUFFIXES = frozenset({".wav", ".flac", ".ogg"})
"""Files that libsndfile is asked to read first; what it cannot read, and everything else, is read by FFmpeg (PyAV)."""

BLOCK_SAMPLES = 1 << 20

MIN_RATE_HZ = 1000
"""A second at a rate of 1 Hz becomes 16000 samples; a few kB in such a file would take gigabytes."""

MAX_LATE_S = 3600
"""By how much sound may begin after the picture; until then there is silence, which takes memory, too."""

INDEXED_FORMATS = SEARCHED_FORMATS | {"avi"}
"""Containers of which the first packet says when the picture begins, unless it cannot be shown."""

STREAMED_BYTES = 0x7FFFF000
FMT_BYTES = 12
"""Of a wav's chunk `fmt `, up to the bytes per second."""

MAX_LOST_S = 0.25
"""A wav may declare so much more than it holds: some writers count their header, too."""

MAX_LOST_PACKETS, MAX_LOST_SHARE = 2, 0.02
"""Pieces of a sound track that may be undecodable; mp3 files often end with one."""


def read_sound(path: Path, sample_rate_hz: int) -> np.ndarray:
    """Read a sound file, or the first sound track of a video, mixed to mono and resampled.

    Returns:
        Shape (N,), float32, full scale 1.

    Raises:
        ClipError: `missing_audio`, `unreadable_audio`, `truncated` (a wav that ends long before it says it does),
            `no_sound` (a video without a sound track), `empty_sound` or `bad_sound` (NaN or infinite samples, or a rate
            that no recording of speech has).
    """
    odd = missing(path)
    if odd is not None:
        raise ClipError("unreadable_audio" if path.is_file() else "missing_audio", f"{path.name} {odd}")
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
    soundfile.write(_name(path), np.clip(samples, -1, 1), sample_rate_hz, subtype="PCM_16")


def rms_db(samples: np.ndarray) -> float:
    """Level in dB of full scale; digital silence is -200."""
    return float(20 * np.log10(max(np.sqrt(np.mean(np.square(samples, dtype=np.float64))), 1e-10)))


def _read_soundfile(path: Path) -> tuple[np.ndarray, int]:
    try:
        with plain_file(path) as plain:
            _refuse_cut_wav(plain, path.name)
            with soundfile.SoundFile(_name(plain)) as file:
                samples = np.concatenate([np.zeros((0, file.channels), np.float32), *_blocks(file)])
                rate = file.samplerate
        fault = ClipError("empty_sound", f"{path.name} holds no samples")
    except soundfile.LibsndfileError as error:
        samples, rate = np.zeros((0, 1), np.float32), 0
        fault = ClipError("unreadable_audio", f"{path.name} is not a sound file ({error.error_string})")
    if samples.size:
        return samples, rate
    try:
        # another format under this name, or a header that was never finished
        return _read_track(path)
    except ClipError as error:
        raise fault from error


def _name(path: Path) -> bytes:
    # as bytes: a name need not be UTF-8
    return os.fsencode(path.absolute())


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """All samples; a header may promise more than any memory holds, so they are not read at once."""
    while len(block := file.read(BLOCK_SAMPLES, "float32", always_2d=True)):
        yield block


def _refuse_cut_wav(path: Path, name: str) -> None:
    """Raise for a wav whose samples end early, which libsndfile reads without a word."""
    with path.open("rb") as stream:
        if stream.read(4) != b"RIFF":
            return
        num_bytes, position, bytes_per_s = path.stat().st_size, 12, 0
        while position + 8 <= num_bytes:
            stream.seek(position)
            chunk, declared = struct.unpack("<4sI", stream.read(8))
            held = num_bytes - position - 8
            if chunk == b"fmt " and held >= FMT_BYTES:
                bytes_per_s = struct.unpack("<HHII", stream.read(FMT_BYTES))[3]
            # recorders that cannot seek back leave the greatest number there is
            if chunk == b"data" and held + MAX_LOST_S * bytes_per_s < declared < STREAMED_BYTES:
                raise ClipError("truncated", f"{name} declares {declared} bytes of sound but holds {held}")
            position += 8 + declared + declared % 2


def _read_track(path: Path) -> tuple[np.ndarray, int]:
    """First sound track, shape (N, channels), from the start of the picture, or from its own where there is none."""
    try:
        with open_media(path) as container:
            stream = sound_track(container)
            if stream is None:
                raise ClipError("no_sound", f"{path.name} has no sound track")
            rate = stream.codec_context.sample_rate
            zero_s = clock_start_s(container, path)
            start_s = None
            blocks = []
            lost: list[str] = []
            num_frames = 0
            for decoded in resampled_frames(decoded_frames(container, stream, lost), None, rate):
                start_s = decoded.time if start_s is None else start_s
                blocks.append(decoded.to_ndarray())
                num_frames += 1
    except av.FFmpegError as error:
        raise ClipError("unreadable_audio", f"the sound of {path.name} cannot be decoded ({error.strerror})") from error
    if len(lost) > max(MAX_LOST_PACKETS, MAX_LOST_SHARE * num_frames):
        raise ClipError(
            "unreadable_audio", f"{len(lost)} pieces of the sound of {path.name} cannot be decoded ({lost[0]})"
        )
    if not blocks:
        return np.zeros((0, 1), np.float32), rate
    if (start_s or 0.0) - zero_s > MAX_LATE_S:
        raise ClipError("unreadable_audio", f"the sound of {path.name} begins over an hour after the picture")
    samples = np.concatenate(blocks, axis=1).T
    offset = round(((start_s or 0.0) - zero_s) * rate)
    if offset >= 0:
        return np.pad(samples, ((offset, 0), (0, 0))), rate
    return samples[-offset:], rate


def sound_fault(path: Path) -> str | None:
    """Why the sound track of a file cannot be heard; None where it can, or where there is none."""
    try:
        with open_media(path) as container:
            stream = sound_track(container)
            lost: list[str] = []
            if stream is None or next(decoded_frames(container, stream, lost), None) is not None:
                return None
            return f"the sound of {path.name} cannot be decoded ({lost[0] if lost else 'it is empty'})"
    except av.FFmpegError as error:
        # libsndfile reads some formats that FFmpeg does not know
        return f"the sound of {path.name} cannot be decoded ({error.strerror})"
    except ClipError as error:
        return error.message


def sound_track(container: av.container.InputContainer) -> av.AudioStream | None:
    """The first sound track that there is a decoder for; None where there is no sound.

    Raises:
        ClipError: `unreadable_audio`: there is no decoder for any.
    """
    for stream in container.streams.audio:
        # None where FFmpeg does not know the format
        if stream.codec_context is not None:
            return stream
    if container.streams.audio:
        raise ClipError("unreadable_audio", f"the sound of {Path(container.name).name} is in an unknown format")
    return None


def decoded_frames(
    container: av.container.InputContainer, track: av.AudioStream, lost: list[str]
) -> Iterator[av.AudioFrame]:
    """What can be decoded of a sound track; for each piece that cannot be, the reason is put down in `lost`."""
    for packet in container.demux(track):
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            lost.append(str(error.strerror))


def resampled_frames(frames: Iterable[av.AudioFrame], layout: str | None, rate_hz: int) -> Iterator[av.AudioFrame]:
    """Planar float32 of one rate, layout and clock, whatever the sound changes to on its way.

    Args:
        frames: The sound.
        layout: Channels wanted; those of its start when None.
        rate_hz: Rate wanted.
    """
    resampler, kind, clock, has_changed = None, None, None, False
    for frame in frames:
        layout = layout or frame.layout.name
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        blocks = []
        if resampler is None or kind != found:
            blocks += _rest(resampler)
            has_changed = resampler is not None
            resampler, kind = av.AudioResampler("fltp", layout, rate_hz), found
        blocks += resampler.resample(frame)
        for block in blocks:
            clock = clock or block.time_base
            yield _by_clock(block, clock) if has_changed else block
    for block in _rest(resampler):
        yield _by_clock(block, clock)


def _by_clock(frame: av.AudioFrame, clock: Fraction | None) -> av.AudioFrame:
    if frame.time_base != clock and frame.time_base is not None and clock is not None and frame.pts is not None:
        frame.pts = round(frame.pts * frame.time_base / clock)
        frame.time_base = clock
    return frame


def _rest(resampler: av.AudioResampler | None) -> list[av.AudioFrame]:
    # one that has nothing to do gives back the None it is given
    return [] if resampler is None else [frame for frame in resampler.resample(None) if frame is not None]


def clock_start_s(container: av.container.InputContainer, path: Path) -> float:
    """When the picture begins on the clock of its file, or the sound where there is none; 0 where it is not said.

    Args:
        container: The opened file.
        path: The file, which may be opened once more.
    """
    track: av.VideoStream | av.AudioStream | None = picture_track(container)
    if track is None:
        track = next(iter(container.streams.audio), None)
    else:
        with suppress(av.FFmpegError), open_media(path) as other:
            first_s = _first_shown_s(other, other.streams.video[container.streams.video.index(track)])
            if first_s is not None:
                return first_s
    if track is None or track.start_time is None or track.time_base is None:
        return 0.0
    return float(track.start_time * track.time_base)


def _first_shown_s(container: av.container.InputContainer, track: av.VideoStream) -> float | None:
    """When the first picture that can be shown is; None where it is the one that the track is said to begin with.

    A recording may begin within a group of pictures, of which none can be shown.
    """
    packets = container.demux(track)
    first = next(packets)
    if container.format.name in INDEXED_FORMATS and first.is_keyframe:
        # AVI knows when its packets are decoded; FFmpeg takes them to be shown some frames later
        is_decoding_time = container.format.name == "avi"
        if is_decoding_time or first.pts is None or first.pts <= (track.start_time or 0):
            return None
    shown = next((frame for packet in chain([first], packets) for frame in packet.decode()), None)
    return shown.time if isinstance(shown, av.VideoFrame) else None

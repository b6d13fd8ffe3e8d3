"""The sound of a written video: copied where mp4 can hold it as it is, else encoded as AAC."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from itertools import chain
from pathlib import Path

import av
import numpy as np

from cmet.errors import ClipError
from cmet.media.files import open_media
from cmet.media.packets import longest_gap_s
from cmet.media.sound import clock_start_s, decoded_frames, resampled_frames, sound_fault, sound_track

COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
"""Formats, by FFmpeg's names, that players of mp4 know."""

MIN_RATE_HZ = 8000
MAX_OVERLAP = 512
"""Samples by which pieces of sound may overlap, half a frame of AAC: those of Vorbis do, and some clocks are coarse."""


class SoundTrack:
    """The sound track of a written video, from the start of its picture where it is that of a video."""

    def __init__(self, container: av.container.OutputContainer, path: Path) -> None:
        """Open the sound and add its track.

        Args:
            container: Nothing was written to it yet. It gets no track where there is no sound that can be decoded: see
                `sound_fault`.
            path: Of a sound file or a video.
        """
        self.container = container
        self.output: av.AudioStream | None = None
        self.source: av.container.InputContainer | None = None
        self.pieces: Iterator[av.AudioFrame] | None = None
        """What is encoded anew; None where packets are copied."""
        self.input: av.AudioStream | None = None
        with suppress(av.FFmpegError, ClipError):
            self.source = open_media(path)
            self.input = sound_track(self.source)
        if self.source is None or self.input is None:
            return
        self.start_s = clock_start_s(self.source, path)
        context = self.input.codec_context
        # asked of these formats alone, since each answer opens the file once more
        if context.codec.canonical_name in COPIED and sound_fault(path) is None and _is_copied(path):
            self.output = container.add_stream_from_template(self.input)
            return
        pieces = _until_broken(decoded_frames(self.source, self.input, []))
        first = next(pieces, None)
        if first is not None:
            self.pieces = chain([first], pieces)
            self.output = container.add_stream("aac", rate=aac_rate(context.sample_rate), options={"aac_coder": "fast"})
            self.output.codec_context.layout = "stereo" if context.channels > 1 else "mono"

    def mux(self) -> None:
        """Write the whole track and close its source."""
        if self.source is None:
            return
        with self.source:
            if self.output is None:
                return
            assert self.input is not None
            if self.pieces is None:
                for packet in self.source.demux(self.input):
                    if packet.dts is not None and self._moved_into_view(packet):
                        packet.stream = self.output
                        self.container.mux(packet)
                return
            context = self.output.codec_context
            whole = in_step(self.pieces, longest_gap_s(self.source))
            seen = (frame for frame in whole if self._moved_into_view(frame))
            for frame in resampled_frames(seen, context.layout.name, context.sample_rate):
                self.container.mux(self.output.encode(_finite(frame)))
            self.container.mux(self.output.encode(None))

    def _moved_into_view(self, piece: av.Packet | av.AudioFrame) -> bool:
        """Set the clock of a piece of sound to that of the picture; False where it is over when that begins."""
        if self.start_s == 0 or piece.pts is None or piece.time_base is None:
            return True
        start, length = round(self.start_s / piece.time_base), piece.duration or 0
        piece.pts -= start
        if piece.dts is not None:
            piece.dts -= start
        # one piece more than is heard: a decoder needs the one before the first for the first to be whole
        return piece.pts + 2 * length > 0


def aac_rate(rate_hz: int) -> int:
    """The rate that AAC has next above this one, within those that all players know."""
    rates = av.Codec("aac", "w").audio_rates
    assert rates is not None
    return min((rate for rate in rates if rate >= max(rate_hz, MIN_RATE_HZ)), default=max(rates))


def in_step(frames: Iterable[av.AudioFrame], longest_gap_s: float) -> Iterator[av.AudioFrame]:
    """Sound whose clock neither steps back nor goes too far ahead: what follows comes right after what was before."""
    end_s, late_s = None, 0.0
    for frame in frames:
        unit = frame.time_base
        assert unit is not None
        if frame.pts is None:
            frame.pts = round((end_s or 0.0) / unit)
        else:
            start_s = frame.pts * unit.numerator / unit.denominator
            least_s = -MAX_OVERLAP / frame.sample_rate
            if end_s is not None and not least_s <= start_s + late_s - end_s <= longest_gap_s:
                late_s = end_s - start_s
            if late_s:
                frame.pts += round(late_s / unit)
        end_s = frame.pts * unit.numerator / unit.denominator + frame.samples / frame.sample_rate
        yield frame


def _until_broken(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """The frames up to a place from which the file cannot be read on: the picture must not be lost to its sound."""
    with suppress(av.FFmpegError):
        yield from frames


def _is_copied(path: Path) -> bool:
    """Whether mp4 takes the packets of a sound as they are: their order and their times."""
    with open_media(path) as source, av.open(BytesIO(), "w", format="mp4") as trial:
        track = sound_track(source)
        assert track is not None
        output = trial.add_stream_from_template(track)
        last_s = None
        try:
            for packet in source.demux(track):
                if not packet.size:
                    continue
                if packet.dts is None or packet.is_corrupt:
                    return False
                time_s = float(packet.dts * packet.time_base)
                if last_s is not None and time_s - last_s > longest_gap_s(source):
                    return False
                last_s = time_s
                packet.stream = output
                trial.mux(packet)
        except av.FFmpegError:
            return False
        return last_s is not None


def _finite(frame: av.AudioFrame) -> av.AudioFrame:
    """The same without NaN and infinite samples, which the encoder refuses."""
    if all(np.isfinite(np.frombuffer(memoryview(plane), np.float32, frame.samples)).all() for plane in frame.planes):
        return frame
    bounded = np.nan_to_num(frame.to_ndarray(), nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32)
    mended = av.AudioFrame.from_ndarray(bounded, format="fltp", layout=frame.layout.name)
    mended.sample_rate, mended.pts, mended.time_base = frame.sample_rate, frame.pts, frame.time_base
    return mended

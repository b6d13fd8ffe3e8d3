"""What a video file says it holds, and what it really holds. Reads all packets and decodes the first picture."""

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from cmet.errors import ClipError
from cmet.media.display import Display
from cmet.media.files import open_media
from cmet.media.packets import PacketOrder, longest_gap_s, picture_track

MAX_LOST_FRAMES, MAX_LOST_SHARE = 2, 0.02
"""Frames that may be missing from the declared number: some muxers count one too many."""

MAX_LOST_S, MAX_LOST_DURATION_SHARE = 0.25, 0.03
"""Same for containers that declare a duration only (flv, mkv)."""

MAX_PIXELS, MAX_SIDE_PX = 36_000_000, 16_384
"""Pixels of a frame: up to 8K (8192x4320), and as wide or high as H.264 is written. A few kB of video can unfold to
gigabytes of frames."""


@dataclass(frozen=True)
class Container:
    """Facts of a file and its picture track."""

    display: Display
    """How its frames are shown."""
    fps: float
    declared_frames: int | None
    num_packets: int
    """Whole packets of the picture; those that an edit list hides count."""
    declared_s: float | None
    end_s: float
    """Where the last packet of any track ends."""
    longest_gap_s: float
    """Between frames; see `cmet.media.packets.longest_gap_s`."""
    order: PacketOrder
    """The packets of the picture."""
    is_searchable: bool
    """Whether a seek is sure to lead to the frame that is meant; see `PacketOrder.is_searchable`."""

    @classmethod
    def read(cls, path: Path) -> "Container":
        """Go through the packets of a file.

        Raises:
            ClipError: `unreadable_video` or `too_large`.
        """
        try:
            # the limit keeps FFmpeg from decoding a large picture only to open the file
            options = {"max_pixels": str(MAX_PIXELS)}
            with open_media(path, options) as container:
                track = picture_track(container)
                if track is None:
                    if any(stream.codec_context is None for stream in container.streams.video):
                        raise ClipError("unreadable_video", f"the picture of {path.name} is in an unknown format")
                    raise ClipError("unreadable_video", f"{path.name} has no picture")
                _refuse_large(path, track.codec_context.width, track.codec_context.height)
                track.codec_context.options = options
                track.codec_context.thread_count = 1
                first, num_packets = None, 0
                ends: dict[int, int] = {}
                units_s: dict[int, Fraction] = {}
                order = PacketOrder(container, track)
                for packet in container.demux():
                    if packet.size and not packet.is_corrupt:
                        index = packet.stream_index
                        if packet.pts is not None:
                            ends[index] = max(ends.get(index, 0), packet.pts + (packet.duration or 0))
                            units_s[index] = units_s.get(index) or packet.time_base
                        if index == track.index:
                            num_packets += 1
                            order.add(packet)
                            first = first or _first_picture(packet)
                first = first or next(iter(track.decode(None)), None)
                if first is None:
                    if track.codec_context.name == "webp":
                        raise ClipError(
                            "unreadable_video", f"{path.name} is an animated WebP, which is not read; make it an mp4"
                        )
                    is_sized = track.codec_context.width > 0
                    or_large = "" if is_sized else f", or frames of more than {MAX_PIXELS // 1_000_000} megapixels"
                    raise ClipError("unreadable_video", f"{path.name} holds no frames{or_large}")
                _refuse_large(path, first.width, first.height)
                display = Display.of(first, track.sample_aspect_ratio)
                _refuse_large(path, display.width, display.height)
                return cls(
                    display=display,
                    fps=float(track.average_rate or track.guessed_rate or 0),
                    declared_frames=track.frames or None,
                    num_packets=num_packets,
                    declared_s=container.duration / av.time_base if container.duration else None,
                    end_s=max((float(end * units_s[index]) for index, end in ends.items()), default=0.0),
                    longest_gap_s=longest_gap_s(container),
                    order=order,
                    # a packet of an interlaced video may hold half a picture
                    is_searchable=order.is_searchable() and not first.interlaced_frame,
                )
        except av.FFmpegError as error:
            raise ClipError("unreadable_video", f"{path.name} cannot be decoded ({error.strerror})") from error

    def refuse_truncated(self, name: str) -> None:
        """Raise when the file ends before it says it does.

        Raises:
            ClipError: `truncated`, with both numbers.
        """
        if self.declared_frames is not None:
            lost = self.declared_frames - self.num_packets
            if lost > max(MAX_LOST_FRAMES, MAX_LOST_SHARE * self.declared_frames):
                raise ClipError(
                    "truncated", f"{name} declares {self.declared_frames} frames but holds {self.num_packets}"
                )
        elif self.declared_s is not None:
            lost_s = self.declared_s - self.end_s
            if lost_s > max(MAX_LOST_S, MAX_LOST_DURATION_SHARE * self.declared_s):
                raise ClipError("truncated", f"{name} declares {self.declared_s:.2f} s but holds {self.end_s:.2f} s")


def _refuse_large(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise ClipError(
            "too_large",
            f"{path.name} has frames of {width}x{height}; at most {MAX_PIXELS // 1_000_000} megapixels and "
            f"{MAX_SIDE_PX} pixels a side are read, so make it smaller",
        )


def _first_picture(packet: av.Packet) -> av.VideoFrame | None:
    # a damaged packet is the reader's to report
    with suppress(av.FFmpegError):
        return next(iter(packet.decode()), None)
    return None

"""The picture track of a file, and whether seeking among its packets is sure to lead where it is meant to."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from cmet.media.files import open_media

STILL = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
"""Tracks of pictures that do not move, such as covers."""

SEARCHED_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})
"""Containers with a table of all packets, in which a seek looks. Others search the file, or have a few marks in it."""

TIMED_FORMATS = SEARCHED_FORMATS | {"matroska,webm", "flv"}
"""Containers in which each packet has its time; of others FFmpeg works some out, and others after a seek."""

WHOLE_KEY_CODECS = frozenset({"vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4", "flv1", "mjpeg"})
"""Codecs whose key packets need nothing before them."""

ENTRIES = {"h264": frozenset({5}), "hevc": frozenset(range(16, 22))}
"""Codecs of which a packet is one picture that is shown, and the kinds of units that need nothing before them."""

START_CODE = b"\0\0\1"

JOINED_FORMATS = frozenset({"mpeg", "mpegts"})
"""Containers that can be joined byte by byte, each part with a clock of its own."""

MAX_JUMP_S = 10.0
"""A clock of theirs that goes further ahead at once is another one."""


def moving_tracks(container: av.container.InputContainer) -> list[av.VideoStream]:
    """The tracks of pictures that are not said to be stills."""
    return [track for track in container.streams.video if not track.disposition & STILL]


def picture_track(container: av.container.InputContainer) -> av.VideoStream | None:
    """The moving picture of a file: not its cover, nor a still that lies beside it; None where none can be decoded."""
    # a track of an unknown format has no codec
    tracks = [track for track in moving_tracks(container) if track.codec_context is not None]
    if len(tracks) < 2:
        return tracks[0] if tracks else None
    # containers do not say which track is a still: it is the one that never gets a second packet
    with open_media(Path(container.name)) as other:
        seen = set()
        for packet in other.demux([other.streams[track.index] for track in tracks]):
            if packet.size and packet.stream_index in seen:
                return next(track for track in tracks if track.index == packet.stream_index)
            seen.add(packet.stream_index)
    return tracks[0]


def longest_gap_s(container: av.container.InputContainer) -> float:
    """How far ahead the clock of a file may go from one piece to the next for the time between to have passed."""
    return MAX_JUMP_S if container.format.name in JOINED_FORMATS else math.inf


class PacketOrder:
    """Times and key packets in the order of the file, which is that of decoding."""

    def __init__(self, container: av.container.InputContainer, track: av.VideoStream) -> None:
        """Begin with none."""
        self._codec = track.codec_context.codec.canonical_name
        self._length_bytes = _length_bytes(self._codec, track.codec_context.extradata or b"")
        self._pts: list[int | None] = []
        self._dts: list[int | None] = []
        self._time_base = track.time_base or Fraction(1)
        self.keys: list[int] = []
        """Which packets are key packets."""
        self.entries: set[int] = set()
        """When the pictures appear at which decoding may begin, in units of the track's clock; none where times are
        not to be relied on."""
        self._is_timed = container.format.name in TIMED_FORMATS
        self._is_plain = (
            container.format.name in SEARCHED_FORMATS
            and self._codec in ENTRIES
            # of several tracks decord may choose another
            and len(moving_tracks(container)) == 1
        )

    def add(self, packet: av.Packet) -> None:
        """Note the next packet of the track."""
        self._is_plain &= not packet.is_discard
        if packet.is_keyframe:
            self.keys.append(len(self._pts))
            is_entry = self._is_entry(packet)
            self._is_plain &= is_entry
            if is_entry and self._is_timed and packet.pts is not None:
                self.entries.add(packet.pts)
        self._pts.append(packet.pts)
        self._dts.append(packet.dts)

    def times_s(self) -> np.ndarray:
        """When the pictures appear, ascending, seconds from the first, shape (T,)."""
        pts = np.sort(np.array(self._pts, np.int64))
        return (pts - pts[0]) * float(self._time_base)

    def is_searchable(self) -> bool:
        """Whether a seek to the time of any key packet leads to it, and decoding from there gives all that follows.

        No packet may be hidden or broken, and around each key packet the order of showing must be that of decoding:
        what comes later in the file is shown later. Else pictures are lost at the seek (an open group of pictures),
        or their count from there is another than that from the start. A seek to the time at which a key packet is
        shown compares it with times of decoding, so the next one must not be decoded by then.
        """
        if not self._is_plain or self.keys[:1] != [0] or None in self._pts or None in self._dts:
            return False
        pts, dts, keys = np.array(self._pts), np.array(self._dts), np.array(self.keys)
        latest_before = np.maximum.accumulate(pts)[keys[1:] - 1]
        earliest_after = np.minimum.accumulate(pts[::-1])[::-1][keys]
        return bool(
            len(np.unique(pts)) == len(pts)
            and (np.diff(dts) > 0).all()
            and (latest_before < pts[keys[1:]]).all()
            and (earliest_after == pts[keys]).all()
            and (dts[keys[1:]] > pts[keys[:-1]]).all()
        )

    def _is_entry(self, packet: av.Packet) -> bool:
        """Whether decoding may begin at a key packet: some are marked that only begin to repair the picture."""
        if self._codec not in ENTRIES:
            return self._codec in WHOLE_KEY_CODECS
        firsts = _first_bytes(packet, self._length_bytes)
        return any((first & 0x1F if self._codec == "h264" else first >> 1) in ENTRIES[self._codec] for first in firsts)


def _length_bytes(codec: str, extradata: bytes) -> int:
    """Bytes of the length before each unit of a packet; 0 where units are told apart by start codes."""
    if codec == "h264" and len(extradata) > 4 and extradata[0] == 1:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and len(extradata) > 21 and extradata[0] == 1:
        return (extradata[21] & 3) + 1
    return 0


def _first_bytes(packet: av.Packet, length_bytes: int) -> Iterator[int]:
    """The first byte of each unit of a packet, which says what it is."""
    content = bytes(packet)
    if not length_bytes:
        yield from (unit[0] for unit in content.split(START_CODE)[1:] if unit)
        return
    position = 0
    while position + length_bytes < len(content):
        yield content[position + length_bytes]
        position += length_bytes + int.from_bytes(content[position : position + length_bytes], "big")

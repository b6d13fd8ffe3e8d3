"""Reading and writing video and sound. What is in the picture (faces, landmarks) belongs to `backbones` and `clips`."""

from cmet.media.audio import read_audio, write_audio
from cmet.media.video import Video, VideoFile, read_video, write_video

__all__ = ["Video", "VideoFile", "read_audio", "read_video", "write_audio", "write_video"]

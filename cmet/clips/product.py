"""What the stage `clips` leaves behind."""

from pathlib import Path


def video_path(clips_folder: Path, clip_id: str) -> Path:
    """Where the picture of a prepared clip lies."""
    return clips_folder / "video" / f"{clip_id}.mp4"

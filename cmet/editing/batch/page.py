"""The page of a batch: one file with stills of before and after, settings and notes, and links to the videos."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cmet.editing.frames.framing import resized
from cmet.editing.reports import EditReport
from cmet.editing.result.provenance import Provenance, read_provenance
from cmet.environment import own_version
from cmet.media.video import VideoFile
from cmet.outputs import as_utf8, fresh_file

if TYPE_CHECKING:
    from cmet.editing.batch.running import BatchEdit

STILL_PX = 320
"""Longer side of a still."""

JPEG_QUALITY = 82


def write_batch_page(edits: "Sequence[BatchEdit]", path: Path) -> None:
    """Write the page of all edits of a batch; whole or not at all. It needs no network, and runs no script."""
    environment = Environment(
        loader=PackageLoader("cmet.editing.batch"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    common = _common_notes([edit.notes for edit in edits if edit.state != "failed"])
    page = environment.get_template("page.html.j2").render(
        edits=[_shown_edit(edit, path.parent, common) for edit in edits],
        notes=common,
        num_failed=sum(edit.state == "failed" for edit in edits),
        version=own_version(),
    )
    with fresh_file(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")


def _common_notes(notes: Sequence[Sequence[str]]) -> list[str]:
    """Those of every edit, which are said once."""
    return [note for note in notes[0] if all(note in others for others in notes)] if len(notes) > 1 else []


def _shown_edit(edit: "BatchEdit", folder: Path, common: Sequence[str]) -> dict[str, Any]:
    """What the page says of one edit; its video by its name, without folders."""
    shown = {
        "name": edit.name,
        "video": as_utf8(edit.video.name),
        "fault": (edit.fault or "").replace(str(edit.video), edit.video.name),
        "notes": [note for note in edit.notes if note not in common],
    }
    if edit.out is None or edit.report is None:
        return shown
    said = read_provenance(edit.out)
    after = VideoFile(edit.out)
    middle = len(after) // 2
    before = VideoFile(edit.video)
    # an edit to other lips is longer or shorter than its video
    same_moment = min(len(before) - 1, round(middle / after.fps * before.fps))
    return {
        **shown,
        "out": as_utf8(edit.out.relative_to(folder)),
        "link": quote(edit.out.relative_to(folder).as_posix(), safe="/", errors="surrogateescape"),
        "before": _still(before, same_moment),
        "after": _still(after, middle),
        "facts": facts_of(said, edit.report),
    }


def facts_of(said: Provenance, report: EditReport) -> Mapping[str, str]:
    """What the page says of a result, by what it is called there; what is empty is left out."""
    emotions = "; ".join(
        one.name
        + (f", strength {one.strength:.3g}" if one.strength else "")
        + ("" if one.start_s is None else f", from {one.start_s:g} s")
        for one in said.emotions
    )
    several = [
        (f"{one.name}: ", emotion.likeness) for one, emotion in zip(said.emotions, report.emotions, strict=False)
    ]
    likeness = "; ".join(
        start + ", ".join(f"{name} {cosine:.2f}" for name, cosine in list(found.items())[:2])
        for start, found in several or [("", report.likeness)]
        if found
    )
    settings = ", ".join(f"{name} {value}" for name, value in said.settings.items())
    found = {
        "emotion": emotions,
        "most like": likeness,
        "change of expression": f"{report.mean_change:.2f}",
        "model": f"{said.model} ({said.backbone})",
        "settings": settings,
        "video": f"{report.width_px} × {report.height_px}, {report.num_frames} frames at {report.fps:.4g} a second",
    }
    return {name: text for name, text in found.items() if text}


def _still(video: VideoFile, index: int) -> str:
    """A frame as an address that holds it."""
    (frame,) = video.frames_at([index])
    height, width = frame.shape[:2]
    scale = min(1.0, STILL_PX / max(height, width))
    small = resized(frame, max(1, round(width * scale)), max(1, round(height * scale)))
    bgr = np.ascontiguousarray(small[..., ::-1])
    is_written, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert is_written
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()

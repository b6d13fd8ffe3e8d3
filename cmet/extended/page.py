"""The page: one file with numbers, figures and videos, which can be mailed."""

import base64
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from cmet.extended.faces import EditedVideo
from cmet.extended.figures import cosine_figure, numbers_figure
from cmet.extended.hearing import BASIC, EXTENDED
from cmet.extended.labels import labels_of, notes_of
from cmet.extended.measured import HeardAndMade
from cmet.extended.product import ExtendedResult
from cmet.extended.request import Request
from cmet.extended.strips import MAX_SHOWN_S, write_edits_strip
from cmet.extended.table import (
    AGREEMENT,
    ALIKE,
    CLAMPED,
    CONSISTENCY,
    COSINE,
    FACE,
    LENGTH,
    NEAREST,
    OVER_SPEAKERS,
    POINTS_TO_OWN,
    SPEECH,
    STRENGTH,
    found,
    matrix,
    of_emotions,
)
from cmet.progress import counted
from cmet.scores.figures import to_svg


def write_page(request: Request, measured: HeardAndMade, table: pd.DataFrame, out: ExtendedResult) -> float:
    """Write the page into a folder that is there, and return its size in MiB."""
    speech, basics, face = (
        of_emotions(table, part, group) for part, group in ((SPEECH, EXTENDED), (SPEECH, BASIC), (FACE, EXTENDED))
    )
    emotions = list(measured.emotions)
    page = (
        _environment()
        .get_template("extended.html.j2")
        .render(
            emotions=emotions,
            num_clips=sum(len(heard.recordings) for heard in measured.emotions.values()),
            space=measured.space,
            speech=[_speech_line(speech, table, emotion) for emotion in emotions],
            basics=[_basic_line(basics, emotion) for emotion in dict.fromkeys(basics.emotion.dropna())],
            own=_first(basics[basics.measure == POINTS_TO_OWN]),
            face=[_face_line(face, emotion) for emotion in dict.fromkeys(face.emotion)],
            unit="typical emotional changes" if request.editor and request.editor.has_typical_unit else "code units",
            figures=_figures(speech, basics, face, emotions),
            videos=[
                _shown(video)
                for video in counted(
                    measured.edited, "showing", len(measured.edited), "video", is_quiet=request.is_quiet
                )
            ],
            max_shown_s=MAX_SHOWN_S,
            labels=labels_of(request, measured),
            notes=notes_of(request, measured),
            left_out=measured.left_out,
        )
    )
    # names of files need not be UTF-8
    out.page.write_text(page, encoding="utf-8", errors="backslashreplace")
    return out.page.stat().st_size / 2**20


def _speech_line(rows: pd.DataFrame, table: pd.DataFrame, emotion: str) -> dict[str, Any]:
    """One line of the table of speech."""
    single = table[(table.part == SPEECH) & (table.emotion == emotion) & table["clip"].notna()]
    answers = Counter(single[single.measure == NEAREST].answer)
    length = found(rows, emotion, LENGTH)
    assert length is not None
    return {
        "emotion": emotion,
        "n": length.n,
        "nearest": found(rows, emotion, NEAREST),
        "agreement": found(rows, emotion, AGREEMENT),
        "answers": answers.most_common(),
        "strength": found(rows, emotion, STRENGTH),
        "consistency": found(rows, emotion, CONSISTENCY),
        "over_speakers": found(rows, emotion, OVER_SPEAKERS),
    }


def _basic_line(rows: pd.DataFrame, emotion: str) -> dict[str, Any]:
    return {
        "emotion": emotion,
        "length": found(rows, emotion, LENGTH),
        "own": found(rows, emotion, POINTS_TO_OWN),
    }


def _face_line(rows: pd.DataFrame, emotion: str) -> dict[str, Any]:
    return {
        "emotion": emotion,
        "strength": found(rows, emotion, STRENGTH),
        "nearest": found(rows, emotion, NEAREST),
        "consistency": found(rows, emotion, CONSISTENCY),
        "clamped": found(rows, emotion, CLAMPED),
    }


def _figures(speech: pd.DataFrame, basics: pd.DataFrame, face: pd.DataFrame, emotions: list[str]) -> dict[str, str]:
    """Every figure there is something for, as SVG."""
    maps = {
        "speech": (matrix(speech, COSINE), "direction of the basic emotion, speech", True),
        "speech-alike": (matrix(speech, ALIKE), "direction of the other emotion, speech", False),
        "basics": (matrix(basics, COSINE), "direction of the basic emotion, speech", False),
        "face": (matrix(face, COSINE), "the model’s typical change of face", True),
        "face-alike": (matrix(face, ALIKE), "predicted change for the other emotion", False),
    }
    drawn = {
        name: to_svg(cosine_figure(values, label, is_marked), name)
        for name, (values, label, is_marked) in maps.items()
        if not values.empty
    }
    return drawn | {"numbers": to_svg(numbers_figure(speech, emotions), "numbers")}


def _shown(video: EditedVideo) -> dict[str, Any]:
    """A video of the page with what is said under it."""
    with tempfile.TemporaryDirectory() as folder:
        strip = Path(folder) / "strip.mp4"
        is_whole = write_edits_strip(video, strip)
        content = base64.b64encode(strip.read_bytes()).decode()
    return {
        "name": video.name,
        "data": f"data:video/mp4;base64,{content}",
        "is_cut": not is_whole,
        "lines": [
            {
                "emotion": edit.emotion,
                "size": edit.size,
                "factor": edit.report.strength,
                "likeness": list(edit.likeness.items())[:2],
            }
            for edit in video.edits
        ],
        "remarks": sorted({text for edit in video.edits for text in (*edit.report.warnings, *edit.report.remarks)}),
    }


def _first(rows: pd.DataFrame) -> pd.Series | None:
    """The row that is of no single emotion."""
    of_all = rows[rows.emotion.isna()]
    return None if of_all.empty else of_all.iloc[0]


def _interval(one: pd.Series | None) -> str:
    """The ends of an interval, or nothing."""
    return "" if one is None or pd.isna(one.low) else f"{one.low:.2f} – {one.high:.2f}"


def _hits(one: pd.Series) -> int:
    """How many of n a share is."""
    return round(one.value * one.n)


def _value(one: pd.Series | None) -> str:
    return "–" if one is None or pd.isna(one.value) else f"{one.value:.2f}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cmet.extended"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = _value
    environment.filters["interval"] = _interval
    environment.filters["hits"] = _hits
    return environment

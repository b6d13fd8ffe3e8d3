"""Giving a video another emotion, heard from speech.

Here a face is cut out and put back, speech is embedded, and lengths are fitted. Predicting belongs to
`cmet.connector`, reading codes off pictures and drawing them to `cmet.backbones`.
"""

from cmet.editing.checks import check_emotions, check_files
from cmet.editing.editor import Editor
from cmet.editing.options import EditOptions, EditReport, Emotion, EmotionReport
from cmet.editing.video import edit_video

__all__ = [
    "EditOptions",
    "EditReport",
    "Editor",
    "Emotion",
    "EmotionReport",
    "check_emotions",
    "check_files",
    "edit_video",
]

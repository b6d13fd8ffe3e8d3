"""What a person should know of an edit besides its result."""

from cmet.editing.editor import MIN_LIKENESS, is_like_none
from cmet.editing.reports import EditReport, EmotionReport
from cmet.editing.wishes.timeline import MAX_STRENGTH

FAINT_CHANGE = 0.6
"""Share of a typical emotional change below which it is told how to get more."""


def edit_notes(report: EditReport) -> list[str]:
    """What a person should know besides."""
    found = list(report.remarks)
    if not report.emotions:
        return found + _notes_of(report, report.has_typical_unit)
    for emotion in report.emotions:
        said = _notes_of(emotion, report.has_typical_unit, ", but applies to all emotions")
        found += [f"{emotion.name}: {note}" for note in said]
    return found


def _notes_of(report: EditReport | EmotionReport, has_typical_unit: bool, more: str = "") -> list[str]:
    found = []
    if report.likeness and report.mean_change and is_like_none(report.likeness):
        found.append(
            f"the change is like no emotion that this model knows (no cosine reaches {MIN_LIKENESS:g}), so auto does "
            "not make it stronger: the model may have misheard"
        )
    if report.clamped_share > 0.25:
        found.append(
            f"{report.clamped_share:.0%} of the speech features lie outside the range this model was trained on "
            "and were brought back into it; expect an approximate emotion"
        )
    if has_typical_unit and 0 < report.mean_change < FAINT_CHANGE:
        typical = min(MAX_STRENGTH, report.strength / report.mean_change)
        if typical > report.strength:
            found.append(f"the change is faint; `--strength {typical:.1f}` makes it typical{more}")
    return found

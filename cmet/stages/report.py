"""The stage `report`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.report.page import ReportResult


def report(places: Places, params: Params) -> "ReportResult":
    """Write the HTML page and the machine-readable summary."""
    from cmet.clips.product import Clips
    from cmet.connector.product import Model
    from cmet.edits.product import Edits, Timing
    from cmet.judge.product import JudgeFolder
    from cmet.report.page import Reported, write_report
    from cmet.scores.product import Scores
    from cmet.speech.product import DirectionsResult

    reported: dict[str, Reported] = {
        backbone: Reported(
            Scores.open(places, backbone),
            Edits.open(places, backbone),
            Model.open(places, backbone),
            Timing.open(places, backbone),
        )
        for backbone in params.backbones
    }
    # the page leaves out what was not measured: few speakers have no directions
    directions = DirectionsResult.open(places) if places.folder("directions").exists() else None
    clips, judge, out = Clips.open(places), JudgeFolder.open(places), places.folder("report")
    return write_report(reported, clips, judge, directions, places.scores, params, out)

"""The stage `report`."""

from typing import TYPE_CHECKING

from cmet.params import Params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.report.page import ReportResult


def report(places: Places, params: Params) -> "ReportResult":
    """Write the HTML page, the machine-readable summary, and what commits are compared by."""
    from cmet.clips.product import Clips
    from cmet.connector.product import Model
    from cmet.edits.product import Edits, timed_sha256
    from cmet.judge.product import JudgeFolder
    from cmet.report.compared import write_compared
    from cmet.report.page import Reported, write_report
    from cmet.scores.product import Scores
    from cmet.speech.product import DirectionsResult

    reported: dict[str, Reported] = {
        backbone: Reported(
            Scores.open(places, backbone),
            Edits.open(places, backbone),
            Model.open(places, backbone),
            timed_sha256(places, backbone),
        )
        for backbone in params.backbones
    }
    # the page leaves out what was not measured: few speakers have no directions
    directions = DirectionsResult.open(places) if places.folder("directions").exists() else None
    clips, judge, out = Clips.open(places), JudgeFolder.open(places), places.folder("report")
    result = write_report(reported, clips, judge, directions, places.scores, params, out)
    write_compared(reported, clips, judge, places.metrics, places.plots)
    return result

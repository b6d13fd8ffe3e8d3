"""Expression codes of a fold: the backbone fitted anew without an emotion, on the tracks that the project has.

Tracks do not depend on the emotion that is left out, so faces are not looked for again.
"""

import os
from pathlib import Path

from cmet.backbones.registry import backbone_class
from cmet.clips.product import Clips
from cmet.expression.encoding import write_faces
from cmet.expression.product import TRACKS, Faces
from cmet.outputs import fresh_folder
from cmet.params import Params


def is_fitted(backbone: str) -> bool:
    """Whether a backbone learns its codes from the corpus; the published ones are as they are in every fold."""
    return not backbone_class(backbone).weights


def refit_faces(clips: Clips, faces: Faces, params: Params, backbone: str, weights: Path, out: Path) -> None:
    """Fit a backbone and encode all tracks with it, as the stage `expression` does.

    Args:
        clips: The prepared clips.
        faces: Those of the project, for the tracks.
        params: What the stage `expression` declares; clips of its held-out emotion take no part in fitting.
        backbone: One that is fitted.
        weights: Folder of published checkpoints.
        out: Gets what `Faces` reads; the tracks are a link to those of the project.

    Raises:
        UserError: Too few clips are left to fit on.
    """
    table = clips.table.set_index("clip_id")
    tracked = table[[faces.has_track(clip_id) for clip_id in table.index]]
    model = backbone_class(backbone).fit(
        tracked, clips.video, faces.track, params.held_out_emotion, params.expression, weights, params.inference
    )
    with fresh_folder(out) as folder:
        write_faces(folder, model, faces, tracked.index, f"expression {backbone}: codes")
        (folder / TRACKS).symlink_to(os.path.relpath(faces.all_tracks.resolve(), folder.resolve()))

"""Expression codes of a fold: the backbone fitted anew without an emotion, on the tracks that the project has.

Tracks do not depend on the emotion that is left out, so faces are not looked for again.
"""

import os
from pathlib import Path

import numpy as np

from cmet.backbones.registry import backbone_class
from cmet.outputs import fresh_folder
from cmet.project import Project


def is_fitted(backbone: str) -> bool:
    """Whether a backbone learns its codes from the corpus; the published ones are as they are in every fold."""
    return not backbone_class(backbone).weights


def refit_expression(project: Project, held_out_emotion: str | None, backbone: str, out: Path) -> None:
    """Fit a backbone without an emotion and encode all tracks with it, as the expression stage does.

    Args:
        project: Clips and tracks are its own, and so are the parameters.
        held_out_emotion: Clips of this emotion take no part in fitting.
        backbone: One that is fitted.
        out: Gets `codes/`, `model/` and a link `tracks` to those of the project.

    Raises:
        UserError: The project has no tracks yet, or too few clips are left to fit on.
    """
    params, videos = project.params, project.places.folder("clips") / "video"
    tracks = project.places.written("expression", "tracks", backbone)
    clips = project.clips().table.set_index("clip_id")
    tracked = clips[[(tracks / f"{clip_id}.npy").is_file() for clip_id in clips.index]]
    kind = backbone_class(backbone)
    model = kind.fit(
        tracked, videos, tracks, held_out_emotion, params.expression, project.places.weights, params.inference
    )
    with fresh_folder(out) as folder:
        for name in ("model", "codes"):
            (folder / name).mkdir()
        model.save(folder / "model")
        for clip_id in tracked.index:
            np.save(folder / "codes" / f"{clip_id}.npy", model.encode(np.load(tracks / f"{clip_id}.npy")))
        (folder / "tracks").symlink_to(os.path.relpath(tracks.resolve(), folder.resolve()))

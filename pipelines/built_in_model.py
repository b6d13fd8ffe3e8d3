"""Makes the model that lies in the package: `make model`.

The demo's line runs in a copy of the project, as an experiment of DVC, with the sample's parameters and no emotion held
out, whatever stands in params.yaml. The result takes the place of `cmet/editing/built_in_model`.
"""

import logging
import sys
from pathlib import Path

from assets.experiments import experiment_copy, run_experiment
from assets.snapshots import PARAMS, take_snapshot
from cmet.errors import UserError
from cmet.experiments import EXPERIMENTS, flat_values, read_experiment
from cmet.project import Project

NAME = "built-in-model"
BASE = "sample"
BACKBONE = "facemesh"
CHANGES = {"held_out_emotion": None}

LOG = logging.getLogger(__name__)


def make_built_in_model(root: Path) -> None:
    """Train the built-in model of the code in a project, and put it into that code.

    Raises:
        UserError: The project is not under git, or the model is being made already.
        dagster.Failure: A stage failed.
    """
    from cmet.editing.built_in import BUILT_IN, Recipe, pack

    values = read_experiment(root / EXPERIMENTS / f"{BASE}.yaml") | CHANGES
    snapshot = take_snapshot(root, values, NAME)
    with experiment_copy(root, snapshot) as copy:
        run_experiment(root, copy, snapshot, LOG, {})
        project = Project.at(copy / PARAMS)
        recipe = Recipe.of(flat_values(CHANGES), values, BASE, project.scores(BACKBONE).metrics)
        pack(project.model(BACKBONE), recipe, BUILT_IN)
    print(f"{BUILT_IN.relative_to(root)}: made anew; see its README.md")


def main() -> None:
    """Make it, and show what the stages print."""
    from dagster import Failure

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        make_built_in_model(Path(__file__).resolve().parents[1])
    except (UserError, Failure) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

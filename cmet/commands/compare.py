"""`cmet compare`: two sets of results on the same rows."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmet.commands.answer import Answer, answering
from cmet.commands.score import CONFIDENCE, NUM_BOOTSTRAP, SEED

if TYPE_CHECKING:
    import pandas as pd

    from cmet.params import EvaluateParams

PARAMS = Path("params.yaml")
RUN_ID = re.compile(r"[0-9a-f]{32}")
"""As MLflow names its runs."""


@answering
def compare(
    run_a: Annotated[str, typer.Argument(help="Results: a folder or file, or an MLflow run id; :METHOD may follow.")],
    run_b: Annotated[str, typer.Argument(help="The same; differences are this one minus the first.")],
    metric: Annotated[str, typer.Option("--metric", help="Any metric that has a value per clip.")] = "acc_emo",
    any_judge: Annotated[bool, typer.Option("--any-judge", help="Allow results of two judges.")] = False,
    any_protocol: Annotated[bool, typer.Option("--any-protocol", help="Allow results of two protocols.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write every clip to this file, .csv or .parquet.")] = None,
    params: Annotated[
        Path | None,
        typer.Option(
            "--params", help="Parameter file; its folder is the project. Default params.yaml, if there is one."
        ),
    ] = None,
) -> Answer:
    """Show how far two sets of results differ, how certain that is, and which clips changed."""
    from cmet.scores.compare import (
        check_clips_file,
        chosen_method,
        compare_results,
        comparison_notes,
        printed_comparison,
        refuse_unlike,
        write_clips,
    )

    if out is not None:
        check_clips_file(out)
    evaluate, seed = chosen_intervals(params)
    root = (params or PARAMS).resolve().parent
    (name_a, wanted_a), (name_b, wanted_b) = parsed_run(run_a), parsed_run(run_b)
    a, b = (read_run(name, root) for name in (name_a, name_b))
    method_a, method_b = chosen_method(a, wanted_a, name_a), chosen_method(b, wanted_b, name_b)
    comparison = compare_results(a, b, method_a, method_b, metric, evaluate, seed, names=(name_a, name_b))
    refuse_unlike(comparison, any_judge, any_protocol)
    if out is not None:
        write_clips(comparison, out)
    return Answer({**vars(comparison), "notes": comparison_notes(comparison)}, printed_comparison(comparison))


def chosen_intervals(params: Path | None) -> "tuple[EvaluateParams, int]":
    """Resamples, confidence and seed: the experiment's, or where no file was named or is there, those of `cmet score`.

    Raises:
        UserError: The file that was named is missing, or a value is wrong.
    """
    from cmet.params import EvaluateParams, load_params

    if params is None and not PARAMS.exists():
        return EvaluateParams(metrics=[], num_bootstrap=NUM_BOOTSTRAP, confidence=CONFIDENCE), SEED
    experiment = load_params(params or PARAMS)
    return experiment.evaluate, experiment.seed


def parsed_run(text: str) -> tuple[str, str | None]:
    """Place and method of `PLACE` or `PLACE:METHOD`; a path that is there is taken as it is."""
    place, colon, method = text.rpartition(":")
    if not colon or not place or not method or "/" in method or Path(text).exists():
        return text, None
    return place, method


def read_run(place: str, root: Path) -> "pd.DataFrame":
    """Results of a folder, a file, or a run in the MLflow store of the project `root`.

    Raises:
        UserError: There are none.
    """
    from cmet.scores.results import read_results

    if RUN_ID.fullmatch(place) and not Path(place).exists():
        from cmet.scores.results import RESULTS
        from cmet.tracking.runs import download_file

        return read_results(download_file(place, RESULTS, root))
    return read_results(Path(place))

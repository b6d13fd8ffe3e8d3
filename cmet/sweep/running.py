"""All runs of a sweep, and the table, the summary and the figure made of them."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from cmet.errors import UserError
from cmet.judge.card import judge_name, read_card
from cmet.outputs import fresh_file
from cmet.project import Project
from cmet.sweep.figure import ablation_figure
from cmet.sweep.one_run import Inputs, SweepRun
from cmet.sweep.table import Labels, long_table, printed_table, summary_table
from cmet.sweep.variants import Variant

TABLE, SUMMARY, FIGURE = "ablations.parquet", "ablations.csv", "ablations.png"


def run_sweep(
    project: Project, backbone: str, variants: Sequence[Variant], seeds: Sequence[int], out: Path, has_edits: bool
) -> str:
    """Train every variant with every seed on the shards that are there, score its edits, and compare.

    A finished run is used again as long as parameters, inputs and code are the same; a killed one goes on.

    Args:
        project: Its shards, clips, codes and judge are used as they are.
        backbone: One of the project's.
        variants: By the names of their layers.
        seeds: Of training.
        out: Gets `<backbone>/<layer>/seed-<n>/`, and beside them `TABLE`, `SUMMARY` and `FIGURE` of the runs asked for.
        has_edits: Whether test clips are edited and scored; training and validation alone otherwise.

    Returns:
        The table for a person, with what its numbers were measured on.

    Raises:
        UserError: Another sweep is at work, a seed comes twice, or something that is needed is not there.
    """
    check_seeds(seeds)
    with project.places.only_run("sweep"):
        inputs = Inputs.of(project, backbone, has_edits)
        # a seed of all layers, then the next: what is done at any time can be compared
        runs = [
            SweepRun(
                project, backbone, variant, seed, out / backbone / variant.name / f"seed-{seed}", inputs, has_edits
            )
            for seed in seeds
            for variant in variants
        ]
        for number, run in enumerate(runs, 1):
            is_finished = run.is_finished
            tqdm.write(f"sweep: run {number} of {len(runs)}: {run.name}{', is there already' if is_finished else ''}")
            if not is_finished:
                run.finish()
        labels = Labels(
            corpus=project.params.manifest.corpus,
            backbone=backbone,
            held_out_emotion=project.params.held_out_emotion,
            judge_name=judge_name(read_card(project.places.folder("judge"))) if has_edits else None,
            seeds=seeds,
            confidence=project.params.evaluate.confidence,
            same={variant.name: variant.same for variant in variants},
        )
        return _compare(runs, labels, out / backbone)


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse a seed that comes twice.

    Raises:
        UserError: One does.
    """
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {' '.join(map(str, seeds))}: a seed comes twice, which is one run only")


def _compare(runs: Sequence[SweepRun], labels: Labels, out: Path) -> str:
    table = long_table(((run.variant.name, run.seed, run.metrics()) for run in runs), labels)
    summary = summary_table(table, labels)
    with fresh_file(out / TABLE) as unfinished:
        table.to_parquet(unfinished, index=False)
    with fresh_file(out / SUMMARY) as unfinished:
        summary.to_csv(unfinished, index=False)
    with fresh_file(out / FIGURE) as unfinished:
        ablation_figure(table, summary, labels).savefig(unfinished, dpi=150)
    return printed_table(table, summary, labels)

"""All folds of unseen emotions, and the tables and the figure made of them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from cmet.errors import UserError
from cmet.judge.card import judge_name, read_card
from cmet.outputs import fresh_file
from cmet.params import Params
from cmet.project import Project
from cmet.sweep.running import check_seeds
from cmet.unseen.figure import unseen_figure
from cmet.unseen.fold import SEEN, Fold, FoldRun, Inputs, emotions_of
from cmet.unseen.refit import is_fitted
from cmet.unseen.table import Labels, printed_table, summary_table
from cmet.vocabulary import TARGET_EMOTIONS

TABLE, SUMMARY, FIGURE = "unseen.parquet", "unseen.csv", "unseen.png"
TABLE_COLUMNS = [
    "corpus",
    "backbone",
    "judge",
    "protocol",
    "fold",
    "seed",
    "row_id",
    "method",
    "speaker",
    "sentence",
    "target",
    "intensity",
    "predicted",
    "correct",
    "reason",
]


def run_unseen(project: Project, backbone: str, emotions: Sequence[str], seeds: Sequence[int], out: Path) -> str:
    """Train once with all emotions and once without each, with every seed, and say what survives of each emotion.

    A finished fold is used again as long as parameters, inputs and code are the same; a killed one goes on.

    Args:
        project: Its clips, speech embeddings, tracks and judge are used as they are.
        backbone: One of the project's.
        emotions: Those to leave out, all that the corpus has when empty.
        seeds: Of training.
        out: Gets `<backbone>/<emotion or seen>/seed-<n>/`, and beside them `TABLE`, `SUMMARY` and `FIGURE` of the folds
            asked for.

    Returns:
        The table for a person, with what its numbers were measured on.

    Raises:
        UserError: Another such run is at work, a seed or an emotion comes twice, the corpus lacks an emotion, the
            experiment has seen emotions elsewhere, or something that is needed is not there.
    """
    check_seeds(seeds)
    check_experiment(project.params)
    with project.places.only_run("unseen"):
        inputs = Inputs.of(project, backbone)
        pairs = project.pairs(backbone).table
        chosen = chosen_emotions(emotions, emotions_of(pairs, TARGET_EMOTIONS))
        folds = [
            Fold(project, backbone, emotion, out / backbone / (emotion or SEEN), inputs) for emotion in (None, *chosen)
        ]
        # a seed of all folds, then the next: what is done at any time can be compared
        runs = [FoldRun(fold, seed) for seed in seeds for fold in folds]
        for number, run in enumerate(runs, 1):
            is_finished = run.is_finished
            tqdm.write(f"unseen: fold {number} of {len(runs)}: {run.name}{', is there already' if is_finished else ''}")
            if not is_finished:
                run.finish()
        params, card = project.params, read_card(project.places.folder("judge"))
        labels = Labels(
            corpus=params.manifest.corpus,
            backbone=backbone,
            is_fitted=is_fitted(backbone),
            judge=judge_name(card),
            protocol=f"{params.edits.pools}, {params.edits.num_speech_clips} clips",
            num_classes=len(card.classes),
            seeds=seeds,
            confidence=params.evaluate.confidence,
            num_bootstrap=params.evaluate.num_bootstrap,
        )
        return _compare(runs, labels, params, out / backbone)


def check_experiment(params: Params) -> None:
    """Refuse an experiment in which emotions are left out, or may have been seen, by other means.

    Raises:
        UserError: Training begins with a checkpoint, or leaves emotions out of itself.
    """
    if params.train.begin_from is not None:
        raise UserError(
            f"unseen: train.begin_from is {params.train.begin_from}, which may have seen the emotions that are to be "
            "left out; set it to null"
        )
    if params.train.excluded_emotions:
        raise UserError(
            f"unseen: train.excluded_emotions is {params.train.excluded_emotions}, so no fold would see them; "
            "set it to []"
        )


def chosen_emotions(asked: Sequence[str], known: Sequence[str]) -> list[str]:
    """The emotions to leave out, in the order of `known`; all of these where none is asked for.

    Raises:
        UserError: One comes twice, or the corpus has no pairs of it.
    """
    if len(set(asked)) < len(asked):
        raise UserError(f"unseen {' '.join(asked)}: an emotion comes twice; name it once")
    lacking = [emotion for emotion in asked if emotion not in known]
    if lacking or not known:
        raise UserError(
            f"unseen: training and test speakers have no pairs of {', '.join(lacking) or 'any emotion'}; leave out "
            f"some of {', '.join(known) or 'another corpus'}"
        )
    return [emotion for emotion in known if emotion in asked or not asked]


def _compare(runs: Sequence[FoldRun], labels: Labels, params: Params, out: Path) -> str:
    answers = pd.concat([run.answers() for run in runs], ignore_index=True)
    facts = {name: getattr(labels, name) for name in ("corpus", "backbone", "judge", "protocol")}
    summary = summary_table(answers, SEEN, labels, params.evaluate, params.seed)
    with fresh_file(out / TABLE) as unfinished:
        answers.assign(**facts)[TABLE_COLUMNS].to_parquet(unfinished, index=False)
    with fresh_file(out / SUMMARY) as unfinished:
        summary.to_csv(unfinished, index=False)
    with fresh_file(out / FIGURE) as unfinished:
        unseen_figure(summary, labels).savefig(unfinished, dpi=150)
    return printed_table(summary, labels)

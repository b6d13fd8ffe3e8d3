"""Unseen emotions: each left out of training in turn, and how much of its accuracy survives that."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cmet.errors import UserError
from cmet.judge.card import judge_name
from cmet.params import Params
from cmet.project import Project
from cmet.studies.figures import unseen_figure
from cmet.studies.folds import Fold, FoldInputs, FoldRun, emotions_of
from cmet.studies.outcome import Outcome, StudyReport
from cmet.studies.refit import is_fitted
from cmet.studies.runner import Study, finish_all
from cmet.studies.unseen_table import UnseenLabels, answers_table, printed_unseen, unseen_summary
from cmet.studies.variants import SEEN, leaving_out
from cmet.vocabulary import TARGET_EMOTIONS


def run_unseen(
    project: Project, backbone: str, emotions: Sequence[str], seeds: Sequence[int], out: Path
) -> StudyReport:
    """Train once with all emotions and once without each, with every seed, and say what survives of each emotion.

    A finished fold is used again as long as parameters, inputs and code are the same; a killed one goes on.

    Args:
        project: Its clips, speech embeddings, tracks and judge are used as they are.
        backbone: One of the project's.
        emotions: Those to leave out, all that the corpus has when empty.
        seeds: Of training.
        out: Gets `<backbone>/<emotion or seen>/seed-<n>/`, and beside them the tables and the figure of the folds asked
            for.

    Returns:
        Summary and labels, also as a table for a person.

    Raises:
        UserError: Another such run is at work, a seed or an emotion comes twice, the corpus lacks an emotion, the
            experiment has seen emotions elsewhere, or something that is needed is not there.
        ParamsError: The experiment does not allow an emotion to be left out.
    """
    study, params = Study("unseen", project, backbone, seeds, out), project.params
    check_experiment(params)
    with study.alone():
        inputs = FoldInputs.of(project, backbone)
        chosen = chosen_emotions(emotions, emotions_of(project.pairs(backbone).table, TARGET_EMOTIONS))
        folds = [Fold(study, leaving_out(params, emotion), inputs) for emotion in (None, *chosen)]
        # a seed of all folds, then the next: what is done at any time can be compared
        runs = [FoldRun(fold, seed) for seed in seeds for fold in folds]
        finish_all([run.run for run in runs], "fold")
        card = project.judge().card
        labels = UnseenLabels(
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
        answers = pd.concat([run.answers() for run in runs], ignore_index=True)
        summary = unseen_summary(answers, SEEN, labels, params.evaluate, params.seed)
        text = printed_unseen(summary, labels)
        figure = unseen_figure(summary, labels)
        Outcome("unseen", answers_table(answers, labels), summary, figure, text).write(study.results)
        return StudyReport({"labels": labels, "summary": summary}, text)


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
        raise UserError(f"unseen {' '.join(asked)}: an emotion is named twice; name it once")
    lacking = [emotion for emotion in asked if emotion not in known]
    if lacking or not known:
        raise UserError(
            f"unseen: training and test speakers have no pairs of {', '.join(lacking) or 'any emotion'}; leave out "
            f"some of {', '.join(known) or 'another corpus'}"
        )
    return [emotion for emotion in known if emotion in asked or not asked]

"""Ablations: an experiment with each layer of changes trained with several seeds, and its test clips edited and scored.

<layer>/seed-<n>/
    made_of.json    what each step was made of; a step is used again as long as that stays the same
    model/          the trained model, without the state of its optimizer
    edits/          the edited clips, until they are scored
    evaluate/       what the judge said and its scores, unless only training is asked for
    metrics.json    the metrics, by the names they have in MLflow; `val/` are those of the weights that were kept
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from shutil import rmtree

from cmet.backbones.published.used_weights import weights_digests
from cmet.connector.beginning import beginning_path
from cmet.connector.product import LAST, Model
from cmet.errors import UserError
from cmet.judge.card import CARD, judge_name
from cmet.outputs import write_json
from cmet.params import Params, declared
from cmet.project import Project
from cmet.scores.metrics.registry import metric_class
from cmet.scores.product import Scores
from cmet.scores.tables import evaluation_metrics
from cmet.stages.evaluate import evaluate
from cmet.stages.registry import STAGES, stage_digest
from cmet.stages.tracked import ANSWER_COLUMNS
from cmet.stages.train import KEPT_METRICS, train
from cmet.studies.ablation_table import AblationLabels, ablation_summary, long_table, printed_ablations
from cmet.studies.figures import ablation_figure
from cmet.studies.outcome import Outcome, StudyReport
from cmet.studies.product import AblationFolder
from cmet.studies.record import RunRecord
from cmet.studies.runner import Study, StudyRun, finish_all, fitting_judge
from cmet.studies.steps import Site, Step, edits_step, made_of_stage
from cmet.studies.variants import Variant
from cmet.tracking.runs import Run

METHOD = "cmet"
"""The only method that a layer changes."""


def run_sweep(
    project: Project, backbone: str, variants: Sequence[Variant], seeds: Sequence[int], out: Path, has_edits: bool
) -> StudyReport:
    """Train every variant with every seed on the shards that are there, score its edits, and compare.

    A finished run is used again as long as parameters, inputs and code are the same; a killed one goes on.

    Args:
        project: Its shards, clips, codes and judge are used as they are.
        backbone: One of the project's.
        variants: By the names of their layers.
        seeds: Of training.
        out: Gets `<backbone>/<layer>/seed-<n>/`, and beside them the tables and the figure of the runs asked for.
        has_edits: Whether test clips are edited and scored; training and validation alone otherwise.

    Returns:
        Summary and labels, also as a table for a person.

    Raises:
        UserError: Another sweep is at work, a seed comes twice, or something that is needed is not there.
    """
    study = Study("sweep", project, backbone, seeds, out)
    with study.alone():
        inputs = AblationInputs.of(project, backbone, has_edits)
        # a seed of all layers, then the next: what is done at any time can be compared
        ablations = [Ablation(study, variant, seed, inputs) for seed in seeds for variant in variants]
        finish_all([ablation.run for ablation in ablations], "run")
        labels = AblationLabels(
            corpus=project.params.manifest.corpus,
            backbone=backbone,
            held_out_emotion=project.params.held_out_emotion,
            judge_name=judge_name(project.judge().card) if has_edits else None,
            seeds=seeds,
            confidence=project.params.evaluate.confidence,
            same={variant.name: variant.same for variant in variants},
        )
        runs = [(ablation.variant.name, ablation.seed, ablation.metrics()) for ablation in ablations]
        table = long_table(runs, labels)
        summary = ablation_summary(table, labels)
        text = printed_ablations(table, summary, labels)
        Outcome("ablations", table, summary, ablation_figure(table, summary, labels), text).write(study.results)
        return StudyReport({"labels": labels, "summary": summary}, text)


@dataclass(frozen=True)
class AblationInputs:
    """What the runs of a sweep share: digests by path in the project."""

    train: Mapping[str, str]
    edits: Mapping[str, str] | None = None
    """None where only training is asked for."""
    judge: Mapping[str, str] | None = None

    @classmethod
    def of(cls, project: Project, backbone: str, has_edits: bool) -> "AblationInputs":
        """Look at what there is.

        Raises:
            UserError: Something is missing; the message says how to make it.
        """
        digests = project.places.digests
        faces = project.faces(backbone)
        train = [project.shards(backbone).folder, faces.model]
        if not has_edits:
            return cls(digests(*train))
        made = [project.clips().path, project.pairs(backbone).path, project.voices().path, faces.all_codes]
        return cls(digests(*train), digests(*made), digests(fitting_judge(project).folder / CARD))


@dataclass(frozen=True)
class Ablation:
    """A variant with a seed."""

    study: Study
    variant: Variant
    seed: int
    inputs: AblationInputs

    @property
    def out(self) -> Path:
        """Its folder."""
        return self.study.folder(self.variant.name, self.seed)

    @property
    def params(self) -> Params:
        """The variant's parameters with this run's seed, which is that of training only."""
        return self.variant.params.model_copy(update={"seed": self.seed})

    @property
    def has_edits(self) -> bool:
        """Whether test clips are edited and scored after training."""
        return self.inputs.edits is not None

    @cached_property
    def run(self) -> StudyRun:
        """What there is to do."""
        study, name = self.study, self.variant.name
        return StudyRun(
            study,
            name=f"{name}, seed {self.seed}",
            title=f"{name} seed {self.seed}",
            params=self.params,
            inputs={**self.inputs.train, **(self.inputs.edits or {}), **(self.inputs.judge or {})},
            tags={"cmet.ablation": name} | study.tags(self.seed),
            steps=self._steps(),
            is_sampled=True,
        )

    def metrics(self) -> dict[str, float]:
        """Metrics of the finished run; those of training alone where no more was asked for."""
        metrics = AblationFolder(self.out).metrics
        return {name: value for name, value in metrics.items() if self.has_edits or name.startswith(("train/", "val/"))}

    @cached_property
    def _site(self) -> Site:
        """The project's places, with the stages from training on in this run's folder."""
        backbone = self.study.backbone
        name = self.study.work_name(self.variant.name, self.seed)
        places = self.study.project.places.with_stages_in(self.out, ("edits", "evaluate"), backbone, name)
        elsewhere = {**places.elsewhere, ("train", backbone): AblationFolder(self.out.resolve()).model}
        return Site(replace(places, elsewhere=elsewhere), backbone, RunRecord(self.out))

    @property
    def _model(self) -> Model:
        return Model(self._site.folder("train"))

    def _steps(self) -> list[Step]:
        site, experiment = self._site, self.variant.params
        backbone, places, inputs = site.backbone, site.places, dict(self.inputs.train)
        named = experiment.train.begin_from
        if named:
            inputs |= places.digests(beginning_path(named, places.root, places.weights))
        made_of = made_of_stage("train", self.params, backbone, inputs)
        trained = Step("train", made_of, site.folder("train"), site.record, self._train, self._tell_of_training)
        if self.inputs.edits is None or self.inputs.judge is None:
            return [trained]
        edited = edits_step(site, experiment, None, (METHOD,), self.inputs.edits, trained)
        made_of = made_of_stage("evaluate", experiment, backbone, self.inputs.judge, edited)
        made_of = replace(made_of, facts={"weights": weights_there(experiment.evaluate.metrics, places.weights)})
        return [trained, edited, Step("evaluate", made_of, site.folder("evaluate"), site.record, self._evaluate)]

    def _train(self, run: Run) -> None:
        site = self._site
        places = replace(site.places, code=stage_digest("train", site.backbone))
        train(places, declared(self.params, STAGES["train"].params), site.backbone, _Curves(run))
        (self._model.folder / LAST).unlink()
        for stage in ("edits", "evaluate"):
            # of an older model
            rmtree(site.folder(stage), ignore_errors=True)
        write_json(AblationFolder(self.out).metrics_file, model_metrics(self._model))

    def _tell_of_training(self, run: Run) -> None:
        for row in self._model.history.to_dict("records"):
            run.log_metrics(row["step"], {row["metric"]: row["value"]})
        step, metrics = self._model.config.step, model_metrics(self._model)
        kept = {name: metrics[f"val/{name}"] for name in KEPT_METRICS if f"val/{name}" in metrics}
        run.log_metrics(step, {f"kept/{name}": value for name, value in (kept | {"step": step}).items()})

    def _evaluate(self, run: Run) -> None:
        site, experiment = self._site, self.variant.params
        evaluate(site.places, declared(experiment, STAGES["evaluate"].params), site.backbone)
        scores = Scores.open(site.places, site.backbone)
        metrics = scores.metrics
        held_out = metrics.held_out_methods.get(METHOD)
        values = evaluation_metrics(metrics.methods[METHOD], held_out)
        values |= {"n_held_out": held_out.n} if held_out else {}
        run.log_metrics(0, values)
        run.log_file(scores.metrics_file)
        said = scores.answers
        run.log_table(said.loc[said["method"] == METHOD, ANSWER_COLUMNS], "predictions.json")
        write_json(AblationFolder(self.out).metrics_file, model_metrics(self._model) | values)
        rmtree(site.folder("edits"))


@dataclass(frozen=True)
class _Curves:
    """Takes the curves of a training and no model: each model lies in the folder of its run, and there are many."""

    run: Run

    def log_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of one step."""
        self.run.log_metrics(step, metrics)

    def flush(self) -> None:
        """Let nothing wait."""
        self.run.flush()

    def log_model(self, model: Path) -> None:
        """Take no model."""


def model_metrics(model: Model) -> dict[str, float]:
    """Losses of the last step, validation metrics of the step whose weights were kept."""
    history = model.history
    is_kept = (history["step"] == model.config.step) & history["metric"].str.startswith("val/")
    is_last = (history["step"] == history["step"].max()) & history["metric"].str.startswith("train/")
    rows = history[is_kept | is_last]
    return {name: float(value) for name, value in zip(rows["metric"], rows["value"], strict=True)}


def weights_there(metrics: Sequence[str], weights: Path) -> dict[str, dict[str, str] | None]:
    """SHA-256 of the published files that each metric needs; None for a metric that is absent, as a file is missing."""
    found: dict[str, dict[str, str] | None] = {}
    for name in metrics:
        try:
            found[name] = weights_digests(metric_class(name).WEIGHTS, weights)
        except UserError:
            found[name] = None
    return found

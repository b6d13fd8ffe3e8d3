import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from omegaconf import OmegaConf
from typer.main import get_command

from assets.dvc_project import GROUPS, HEAVY, asset_key
from assets.ledger import state_key
from cmet.cli import app
from cmet.params import Params
from cmet.project import Project
from pipelines.definitions import defs, project, stages
from pipelines.sensors import params_changed

ROOT = Path(__file__).parents[2]


def test_definitions_load() -> None:
    dg.Definitions.validate_loadable(defs)


def test_selections_and_interpolations_work_beside_each_other() -> None:
    # Dagster and DVC's configuration ask for different antlr4; a new lock file can break either
    assert dg.AssetSelection.from_string("key:x+")
    assert OmegaConf.create({"a": "${b}", "b": 1}).a == 1


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys, pipelines.definitions\n"
        "print(sorted({'torch', 'mlflow', 'mediapipe', 'decord', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "error" not in done.stderr.lower()


def test_every_stage_is_an_asset_and_all_others_are_only_observed() -> None:
    graph = defs.resolve_asset_graph()
    assert graph.materializable_asset_keys == {stage.key for stage in stages}
    assert graph.observable_asset_keys == graph.get_all_asset_keys() - graph.materializable_asset_keys


def test_assets_depend_on_each_other_as_the_stages_do_and_on_what_dvc_watches_besides() -> None:
    graph = defs.resolve_asset_graph()
    written = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage in stages:
        above = {asset_key(name) for name in stage.upstream}
        others = {key.to_user_string() for key in graph.get(stage.key).parent_keys - above - {state_key(stage.name)}}
        sections = {param.split(".")[0] for param in written[stage.kind]["params"] if isinstance(param, str)}
        weights = {f"weights/{name or stage.variant}" for name in _weights(written[stage.kind]["deps"])}
        assert others - {"scores"} == {f"params/{section}" for section in sections} | weights


def _weights(deps: list[str]) -> list[str]:
    """Homes of the weights, an empty one for that of the backbone."""
    return [dep.partition("/")[2].removeprefix("${item.backbone}") for dep in deps if dep.startswith("${weights}/")]


@pytest.mark.parametrize("stage", stages, ids=lambda stage: stage.name)
def test_stage_command_asset_params_and_folder_share_one_name(stage) -> None:
    owner = Project.at(ROOT / "params.yaml")
    folder = owner.places.folder(stage.kind, stage.variant)
    assert stage.kind in get_command(app).commands  # type: ignore[attr-defined]
    assert stage.kind in GROUPS
    reported = owner.places.metrics_file(stage.kind, stage.variant).relative_to(ROOT).as_posix()
    compared = ("metrics/", "plots/")
    assert all((ROOT / out).is_relative_to(folder) or out.startswith((reported, *compared)) for out in stage.outs)
    # that of `timing` tells seconds, which are no output
    assert (reported in stage.outs) == (stage.kind != "timing")
    # `directions` has nothing to set
    assert stage.kind in {*Params.model_fields, "directions"}


def test_groups_and_pools_name_only_stages_that_exist() -> None:
    kinds = {stage.kind for stage in stages}
    assert set(GROUPS) == kinds
    assert kinds >= HEAVY


def test_there_is_a_job_for_everything_one_per_group_and_those_beside_the_workspace() -> None:
    assert {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")} == {
        "everything",
        "experiment",
        "held_out_emotions",
        "study",
        *GROUPS.values(),
    }
    everything = defs.resolve_job_def("everything")
    assert {key for key in everything.asset_layer.executable_asset_keys} == {stage.key for stage in stages}


def test_the_sensor_asks_for_one_run_per_edit(tmp_path: Path) -> None:
    watched = type(project)(root=str(tmp_path))
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text("a: 1\n")

    def tick(cursor: str | None) -> tuple[int, str | None]:
        context = dg.build_sensor_context(cursor=cursor, resources={"project": watched})
        result = params_changed.evaluate_tick(context)
        return len(result.run_requests or []), result.cursor

    num_runs, cursor = tick(None)
    assert num_runs == 0
    assert tick(cursor) == (0, cursor)
    (tmp_path / "params.yaml").write_text("a: 2\n")
    num_runs, after = tick(cursor)
    assert num_runs == 1
    assert tick(after) == (0, after)

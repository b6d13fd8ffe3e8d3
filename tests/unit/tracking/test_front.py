"""Addresses of MLflow's pages, and where a run comes from."""

import json
import subprocess
from pathlib import Path

import pytest

from cmet.tracking.front import EXPERIMENT_TAGS, VIEW, page_of, run_page, runs_page
from cmet.tracking.origin import Origin, page_address


@pytest.mark.parametrize(
    ("store", "named", "page"),
    [
        ("sqlite:////lab/mlflow.db", None, "http://localhost:5000"),
        ("sqlite:////lab/mlflow.db", "http://lab:81/", "http://lab:81"),
        ("https://me:secret@tracking:8443/mlflow/", None, "https://tracking:8443/mlflow"),
        ("http://tracking", "http://lab:81", "http://tracking"),
    ],
)
def test_a_store_is_shown_at_its_own_address_without_credentials_or_where_make_mlflow_serves(
    store: str, named: str | None, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CMET_MLFLOW_PAGE", raising=False)
    if named:
        monkeypatch.setenv("CMET_MLFLOW_PAGE", named)
    assert page_of(store) == page
    assert run_page(store, "1", "abc") == f"{page}/#/experiments/1/runs/abc"
    assert runs_page(store, "1").startswith(f"{page}/#/experiments/1/runs?")


def test_the_view_that_the_address_names_is_kept_with_the_experiment() -> None:
    assert f"viewStateShareKey={VIEW}" in runs_page("sqlite:///mlflow.db", "1")
    view = json.loads(EXPERIMENT_TAGS[f"mlflow.sharedViewState.{VIEW}"])
    shown = [column.split("`")[1] for column in view["selectedColumns"]]
    assert shown[:5] == ["cmet.method", "cmet.backbone", "acc_emo", "cmet.interval", "cmet.held_out"]
    assert shown[5:7] == ["cmet.seed", "cmet.differs"]
    assert set(view["selectedColumns"]) < set(view["columnOrder"])


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("https://github.com/lab/cmet.git", "https://github.com/lab/cmet"),
        ("https://me:token@git.lab:8443/a/cmet.git/", "https://git.lab:8443/a/cmet"),
        ("git@github.com:lab/cmet.git", "https://github.com/lab/cmet"),
        ("ssh://git@git.lab:2222/a/cmet.git", "https://git.lab/a/cmet"),
        ("/srv/git/cmet.git", None),
        ("file:///srv/git/cmet.git", None),
    ],
)
def test_a_repository_is_named_by_its_page_without_credentials(remote: str, page: str | None, tmp_path: Path) -> None:
    assert page_address(remote) == page
    (tmp_path / "code.py").touch()
    for arguments in (["init"], ["add", "."], ["commit", "-m", "one"], ["remote", "add", "origin", remote]):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)
    assert Origin(tmp_path).tags({}).get("mlflow.source.git.repoURL") == page

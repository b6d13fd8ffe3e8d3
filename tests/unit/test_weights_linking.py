import json
import os
from pathlib import Path

import pytest

from cmet.doctor.project import probe_links
from cmet.errors import UserError
from cmet.outputs import content_digest
from cmet.weights import linking as linking_module
from cmet.weights.linking import RECORD, link_elsewhere
from cmet.weights.registry import find_weight, weights_folder
from tests.conftest import Command

EMOTION2VEC = "speech/emotion2vec_plus_large"


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No weights of this machine: the caches of the hubs are here, and empty."""
    monkeypatch.delenv("CMET_WEIGHTS", raising=False)
    for name in ("TORCH_HOME", "MODELSCOPE_CACHE", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "caches" / name))
    return tmp_path / "caches"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that DVC watches, without any weights."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/dvc.yaml").touch()
    return tmp_path / "project"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that CMET_WEIGHTS names."""
    monkeypatch.setenv("CMET_WEIGHTS", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def write(path: Path, text: str = "weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def links(project: Path) -> dict[str, Path]:
    """All links in a project's weights and what they lead to."""
    weights = project / "weights"
    return {p.relative_to(weights).as_posix(): p.readlink() for p in sorted(weights.rglob("*")) if p.is_symlink()}


def test_every_kind_of_weights_elsewhere_is_linked_into_its_home(project: Path, store: Path) -> None:
    expected = {
        "connector/_epoch_2105_checkpoint_step000200000.pth": "checkpoints/_epoch_2105_checkpoint_step000200000.pth",
        "edtalk/EDTalk.pt": "EDTalk.pt",
        "judge/Emotion-FAN_MEAD.pth": "judge/Emotion-FAN_MEAD.pth",
        "judge/my-own.pth": "judge/my-own.pth",
        "metrics/syncnet_v2.model": "metrics/syncnet_v2.model",
        "pdfgc/motion_model.pth": "pdfgc/motion_model.pth",
        f"{EMOTION2VEC}/config.yaml": "emotion2vec_plus_large/config.yaml",
        f"{EMOTION2VEC}/model.pt": "emotion2vec_plus_large/model.pt",
        "speech/hubert_fairseq_base_ls960.pth": "speech/hubert_fairseq_base_ls960.pth",
        "speech/wavlm_large.pth": "wavlm_large.pth",
    }
    for place in expected.values():
        write(store / place)
    for place in ("README.md", "notes.txt", "judge/README.md", "judge/.cache", "emotion2vec_plus_large/README.md"):
        write(store / place)
    link_elsewhere(project)
    assert links(project) == {name: store / place for name, place in expected.items()}


def test_what_is_linked_is_what_is_read_and_its_digest_is_the_same(project: Path, store: Path) -> None:
    """Where several folders have the file, the link takes the same one as the code."""
    for place in ("a/EDTalk.pt", "z/EDTalk.pt"):
        write(store / place, place)
    link_elsewhere(project)
    read = find_weight("edtalk", weights_folder(project))
    [linked] = links(project).values()
    assert linked == read == store / "a/EDTalk.pt"
    assert find_weight("edtalk", project / "weights").read_text() == "a/EDTalk.pt"
    assert content_digest(project / "weights/edtalk/EDTalk.pt") == content_digest(read)


def test_links_follow_the_folder_and_go_with_it(
    project: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("EDTalk.pt", "emotion2vec_plus_large/model.pt"):
        write(store / place)
    link_elsewhere(project)
    other = write(tmp_path / "other/EDTalk.pt")
    monkeypatch.setenv("CMET_WEIGHTS", str(tmp_path / "other"))
    link_elsewhere(project)
    assert links(project) == {"edtalk/EDTalk.pt": other}
    monkeypatch.delenv("CMET_WEIGHTS")
    link_elsewhere(project)
    assert links(project) == {}
    # DVC asks for the homes; nothing else is left
    left = [path.relative_to(project / "weights").as_posix() for path in (project / "weights").rglob("*")]
    assert sorted(left) == ["edtalk", "speech"]


def test_a_file_that_comes_is_linked_and_one_that_goes_leaves_no_dangling_link(project: Path, store: Path) -> None:
    link_elsewhere(project)
    assert not (project / "weights").exists()
    path = write(store / "EDTalk.pt")
    link_elsewhere(project)
    assert links(project) == {"edtalk/EDTalk.pt": path}
    path.unlink()
    assert not (project / "weights/edtalk/EDTalk.pt").exists()
    link_elsewhere(project)
    assert links(project) == {}


def test_a_link_that_somebody_removed_is_made_again(project: Path, store: Path) -> None:
    path = write(store / "EDTalk.pt")
    link_elsewhere(project)
    (project / "weights/edtalk/EDTalk.pt").unlink()
    link_elsewhere(project)
    assert links(project) == {"edtalk/EDTalk.pt": path}


def test_nothing_changes_where_all_is_as_before(project: Path, store: Path) -> None:
    write(store / "EDTalk.pt")
    link_elsewhere(project)
    places = [project / "weights" / name for name in (RECORD, "edtalk/EDTalk.pt", "edtalk")]
    before = [os.lstat(place).st_mtime_ns for place in places]
    link_elsewhere(project)
    assert [os.lstat(place).st_mtime_ns for place in places] == before


def test_files_and_links_of_the_user_stay(project: Path, store: Path, tmp_path: Path) -> None:
    mine, link = project / "weights/edtalk/EDTalk.pt", project / "weights/judge/linked.pth"
    write(mine, "mine")
    link.parent.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    write(store / "metrics/backbone.pth")
    for _ in range(2):
        link_elsewhere(project)
    assert mine.read_text() == "mine"
    assert links(project) == {
        "judge/linked.pth": tmp_path / "nowhere",
        "metrics/backbone.pth": store / "metrics/backbone.pth",
    }


def test_a_file_of_the_user_that_is_not_read_hides_no_change_of_the_one_that_is(project: Path, store: Path) -> None:
    write(project / "weights/edtalk/EDTalk.pt", "mine")
    path = write(store / "EDTalk.pt")
    for _ in range(2):
        link_elsewhere(project)
        assert links(project) == {"edtalk/elsewhere/EDTalk.pt": path}
    assert find_weight("edtalk", project / "weights") == project / "weights/edtalk/EDTalk.pt"
    path.unlink()
    link_elsewhere(project)
    assert [place.name for place in (project / "weights/edtalk").iterdir()] == ["EDTalk.pt"]


def test_a_link_that_the_user_has_replaced_is_the_users(project: Path, store: Path, tmp_path: Path) -> None:
    path = write(store / "EDTalk.pt")
    link_elsewhere(project)
    link = project / "weights/edtalk/EDTalk.pt"
    link.unlink()
    link.symlink_to(write(tmp_path / "mine.pt"))
    path.unlink()
    link_elsewhere(project)
    assert links(project) == {"edtalk/EDTalk.pt": tmp_path / "mine.pt"}


def test_files_in_the_wrong_folder_of_the_project_are_linked_too(project: Path) -> None:
    """They are read from there as from anywhere."""
    paths = [write(project / "weights" / place) for place in ("EDTalk.pt", "a/Audio2Lip.pt", "z/motion_model.pth")]
    model = write(project / "weights/emotion2vec_plus_large/model.pt")
    write(project / "weights/metrics/backbone.pth")
    for _ in range(2):
        link_elsewhere(project)
        assert links(project) == {
            "edtalk/Audio2Lip.pt": paths[1],
            "edtalk/EDTalk.pt": paths[0],
            "pdfgc/motion_model.pth": paths[2],
            f"{EMOTION2VEC}/model.pt": model,
        }


@pytest.mark.parametrize("hub", ["MODELSCOPE_CACHE/models/iic", "HF_HOME/hub/models--emotion2vec--{}/snapshots/0123"])
def test_what_only_a_hub_has_is_linked(project: Path, caches: Path, hub: str) -> None:
    folder = caches / hub.format("emotion2vec_plus_large") / ("emotion2vec_plus_large" if "iic" in hub else "")
    for name in ("config.yaml", "model.pt", "tokens.txt"):
        write(folder / name)
    bundle = write(caches / "TORCH_HOME/hub/checkpoints/wavlm_base.pth")
    expected = {f"{EMOTION2VEC}/{name}": folder / name for name in ("config.yaml", "model.pt")}
    for _ in range(2):
        link_elsewhere(project)
        assert links(project) == expected | {"speech/wavlm_base.pth": bundle}
    # ours goes before
    write(project / "weights/speech/hubert_fairseq_base_ls960.pth")
    mine = write(project / "weights/wavlm_base.pth")
    link_elsewhere(project)
    assert links(project) == expected | {"speech/wavlm_base.pth": mine}


@pytest.mark.parametrize("name", ["weights", "{}/weights", "{}/../project/weights"])
def test_the_projects_own_folder_by_any_name_is_nowhere_else(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(project / "weights/edtalk/EDTalk.pt")
    monkeypatch.chdir(project)
    monkeypatch.setenv("CMET_WEIGHTS", name.format(project))
    link_elsewhere(project)
    assert links(project) == {}


def test_a_relative_folder_counts_from_the_current_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(project / "store/EDTalk.pt")
    monkeypatch.chdir(project)
    monkeypatch.setenv("CMET_WEIGHTS", "store")
    link_elsewhere(Path())
    assert links(project) == {"edtalk/EDTalk.pt": path}


def test_a_moved_project_has_its_links_anew(project: Path, tmp_path: Path) -> None:
    write(project / "weights/EDTalk.pt")
    link_elsewhere(project)
    moved = project.rename(tmp_path / "moved")
    link_elsewhere(moved)
    assert links(moved) == {"edtalk/EDTalk.pt": moved / "weights/EDTalk.pt"}


def test_a_folder_that_is_linked_into_the_project_is_watched_as_it_is(project: Path, store: Path) -> None:
    write(store / "edtalk/EDTalk.pt")
    (project / "weights").symlink_to(store)
    link_elsewhere(project)
    assert not (store / "edtalk/EDTalk.pt").is_symlink()
    (project / "weights").unlink()
    (project / "weights").mkdir()
    (project / "weights/edtalk").symlink_to(store / "edtalk")
    link_elsewhere(project)
    assert links(project) == {"edtalk": store / "edtalk"}


def test_nothing_is_made_where_nobody_watches(project: Path, store: Path) -> None:
    (project / "dvc.yaml").unlink()
    write(store / "EDTalk.pt")
    link_elsewhere(project)
    assert not (project / "weights").exists()


def test_another_process_that_makes_the_same_link_is_no_error(
    project: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(store / "EDTalk.pt")
    link_elsewhere(project)
    monkeypatch.setattr(linking_module.os.path, "lexists", lambda _: False)
    link_elsewhere(project)
    assert links(project) == {"edtalk/EDTalk.pt": path}


def test_a_folder_that_cannot_be_written_is_one_sentence_and_a_finding(project: Path, store: Path) -> None:
    write(store / "EDTalk.pt")
    write(project / "weights", "a file")
    with pytest.raises(UserError, match=r"project/weights: no link can be made .*; make the folder writable"):
        link_elsewhere(project)
    [finding] = probe_links(project)
    assert (finding.status, "no link can be made" in finding.found) == ("problem", True)


def test_the_commands_that_look_at_weights_link_them(project: Path, store: Path, cmet: Command) -> None:
    path = write(store / "EDTalk.pt")
    assert json.loads(cmet("weights", "--json", cwd=project).stdout)["folder"] == str(store)
    assert links(project) == {"edtalk/EDTalk.pt": path}
    other = write(store / "Audio2Lip.pt")
    assert list(probe_links(project)) == []
    assert links(project)["edtalk/Audio2Lip.pt"] == other


def test_what_params_name_by_a_path_is_linked_and_stays_until_they_name_something_else(project: Path) -> None:
    judge, model = write(project / "mine/judge.pth"), write(project / "runs/model/config.json")
    named = {"judge": [judge], "connector": [model.parent]}
    link_elsewhere(project, named)
    wanted = {"connector/named/model/config.json": model, "judge/named/judge.pth": judge}
    assert links(project) == wanted
    # a command that knows no parameters leaves them
    link_elsewhere(project)
    assert links(project) == wanted
    link_elsewhere(project, {"judge": [], "connector": [model.parent]})
    assert links(project) == {"connector/named/model/config.json": model}


def test_a_named_file_that_lies_in_its_home_needs_no_link(project: Path) -> None:
    link_elsewhere(project, {"judge": [write(project / "weights/judge/mine.pth")]})
    assert links(project) == {}

import json
import sys
from pathlib import Path

import pytest
import typer

from tests.conftest import Command

WORK = Path(".work/clips/0123456789abcdef")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / WORK).mkdir(parents=True)
    (tmp_path / WORK / "a.mp4").write_bytes(b"x" * 2048)
    (tmp_path / "params.yaml").touch()
    return tmp_path


def test_a_folder_that_is_no_project_is_refused(cmet: Command, tmp_path: Path) -> None:
    done = cmet("clean", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "params.yaml: no such file; run the command in the project folder" in done.stderr


def test_without_a_terminal_and_a_yes_it_only_lists(cmet: Command, project: Path) -> None:
    done = cmet("clean", cwd=project)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Unfinished work that an interrupted stage would resume",
        "  clips  2.0 KiB  less than a minute old  .work/clips",
        "2.0 KiB can be freed in all.",
        "Nothing was removed; add --yes to remove it.",
    ]
    assert (project / WORK / "a.mp4").is_file()


def test_with_a_yes_it_removes(cmet: Command, project: Path) -> None:
    assert cmet("clean", "--yes", cwd=project).stdout.splitlines()[-1] == "Freed 2.0 KiB."
    assert not (project / ".work/clips").exists()
    assert cmet("clean", "--yes", cwd=project).stdout == "There is nothing to remove.\n"


@pytest.mark.parametrize("is_wished", [True, False])
def test_on_a_terminal_it_asks(cmet: Command, project: Path, monkeypatch: pytest.MonkeyPatch, is_wished: bool) -> None:
    asked = []

    def confirm(question: str, err: bool) -> bool:
        asked.append(question)
        return is_wished

    monkeypatch.setattr(typer, "confirm", confirm)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    done = cmet("clean", cwd=project)
    assert asked == ["Remove everything that is not marked as kept?"]
    assert done.stdout.splitlines()[-1] == ("Freed 2.0 KiB." if is_wished else "Nothing was removed.")
    assert (project / WORK).exists() != is_wished


def test_the_list_for_machines(cmet: Command, project: Path) -> None:
    done = cmet("clean", "--json", cwd=project)
    document = json.loads(done.stdout)
    (one,) = document.pop("leftovers")
    assert document == {"is_removed": False, "size_bytes": 2048}
    assert (one["kind"], one["what"], one["path"], one["size_bytes"]) == ("work", "clips", ".work/clips", 2048)
    assert "Unfinished work" in done.stderr
    assert (project / WORK).exists()

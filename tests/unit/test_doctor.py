import json
import re
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from typer.testing import CliRunner

from cmet.commands.doctor import doctor
from cmet.doctor import libraries, machine, packages, project
from cmet.doctor.examination import can_edit, can_run_sample, isolated
from cmet.doctor.finding import Finding
from cmet.environment import GIB
from cmet.weights.registry import CHECKPOINTS, HOMES

ROOT = Path(__file__).parents[2]


def statuses(findings: Iterable[Finding]) -> list[str]:
    return [finding.status for finding in findings]


def said(findings: Iterable[Finding]) -> str:
    return "\n".join(f"{finding.found} -> {finding.advice}" for finding in findings)


@pytest.fixture
def no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def lock(folder: Path) -> None:
    """What `make setup` leaves in a checkout."""
    for name in (".boot/bin/uv", "requirements.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


# The whole


def test_the_command_prints_the_same_for_people_and_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding("disk", "problem", "0.1 GiB free", "make room"), Finding("gpu", "note", "none", "none needed")]
    monkeypatch.setattr("cmet.doctor.examination.examine", lambda root: findings)
    app = typer.Typer()
    app.command()(doctor)
    text, machines = (CliRunner().invoke(app, args) for args in ([], ["--json"]))
    assert text.exit_code == machines.exit_code == 1
    assert text.stdout.splitlines() == [
        "problem  disk           0.1 GiB free",
        "                        -> make room",
        "note     gpu            none",
        "                        -> none needed",
        "",
        "The built-in sample cannot run: 1 problem.",
    ]
    assert json.loads(machines.stdout)["findings"][0]["advice"] == "make room"


def test_a_probe_that_fails_is_a_problem_with_its_error() -> None:
    def probe() -> Iterable[Finding]:
        yield Finding("disk", "ok", "fine")
        raise OSError(5, "Input/output error")

    (finding,) = isolated("disk", probe)
    assert finding == Finding("disk", "problem", "the probe failed: OSError: [Errno 5] Input/output error")


@pytest.mark.parametrize(("status", "can_run"), [("ok", True), ("note", True), ("problem", False)])
def test_only_problems_stop_the_sample(status: str, can_run: bool) -> None:
    assert can_run_sample([Finding("a", status, "b")]) is can_run  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("probe", "is_project", "can", "code", "end"),
    [
        ("disk", False, False, 1, "The built-in sample cannot run: 1 problem."),
        ("espeak-ng", False, True, 0, "The built-in sample cannot run: 1 problem. `cmet edit` can."),
        ("pipeline", True, True, 1, "The built-in sample cannot run: 1 problem. `cmet edit` can."),
    ],
)
def test_who_has_no_project_wants_to_edit(
    probe: str, is_project: bool, can: bool, code: int, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [Finding(probe, "problem", "b")]
    assert can_edit(findings) is can
    monkeypatch.setattr("cmet.doctor.examination.examine", lambda root: findings)
    if is_project:
        (tmp_path / "dvc.yaml").touch()
    app = typer.Typer()
    app.command()(doctor)
    answer = CliRunner().invoke(app, ["--project", str(tmp_path)])
    assert (answer.exit_code, answer.stdout.splitlines()[-1]) == (code, end)


@pytest.mark.parametrize(
    ("name", "is_known"), [("libGL.so.1", True), ("libEGL.so.1", True), ("libcudart.so.13", False)]
)
def test_a_missing_library_of_the_system_is_said_with_the_command_that_brings_it(
    name: str, is_known: bool, no_lock: None, tmp_path: Path
) -> None:
    lock(tmp_path)
    code = f"raise ImportError('{name}: cannot open shared object file: No such file or directory')"
    (finding,) = libraries.answer_of("face mesh", libraries.start_python(code))
    assert finding.found == f"ImportError: {name}: cannot open shared object file: No such file or directory"
    advice = "apt-get install libegl1 libgles2 libgl1 libglib2.0-0" if is_known else "`make setup` installs"
    assert advice in finding.advice


# The machine


@pytest.mark.parametrize(("free_gib", "status"), [(0.5, "problem"), (5, "note"), (50, "ok")])
def test_disk_space_is_judged(free_gib: float, status: str) -> None:
    findings = list(machine.probe_disk(Path("project"), lambda path: int(free_gib * GIB), lambda path: 1))
    assert statuses(findings) == [status]
    assert f"{free_gib:.1f} GiB free for project, data, .work, tmp (one file system)" in said(findings)


def test_data_and_work_on_two_file_systems_are_a_problem() -> None:
    findings = list(machine.probe_disk(Path("p"), lambda path: 50 * GIB, lambda path: int(path.name == ".work")))
    assert statuses(findings) == ["ok", "ok", "problem"]
    assert "cannot be renamed into place" in said(findings)


@pytest.mark.parametrize(("available_gib", "status"), [(1, "problem"), (2, "note"), (8, "ok")])
def test_memory_is_judged_by_what_is_left(available_gib: float, status: str) -> None:
    findings = list(machine.probe_memory(16 * GIB, available_gib * GIB, 10 * GIB))
    assert statuses(findings) == [status]
    assert f"{available_gib:.1f} GiB available of 16.0 GiB, limited to 10.0 GiB" in said(findings)


@pytest.mark.parametrize(("load", "steal", "status"), [(0.5, 0.01, "ok"), (3.0, 0.0, "note"), (0.5, 0.2, "note")])
def test_a_busy_machine_is_noted(load: float, steal: float, status: str) -> None:
    assert statuses(machine.judge_load(load, 2, steal)) == [status]


def test_a_folder_that_refuses_files_is_a_problem(tmp_path: Path) -> None:
    assert statuses(machine.probe_write_rights(tmp_path)) == ["ok"]
    (tmp_path / "data").write_text("a file where a folder belongs")
    findings = list(machine.probe_write_rights(tmp_path))
    assert statuses(findings) == ["problem"]
    assert "no files can be made in data (Not a directory)" in said(findings)


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        (machine.probe_cores(1, which=lambda name: name), "note"),
        (machine.probe_cores(2, which=lambda name: name), "ok"),
        (machine.probe_shared_memory(64 * 2**20), "note"),
        (machine.probe_shared_memory(GIB), "ok"),
    ],
)
def test_few_cores_and_little_shared_memory_are_noted(findings: Iterable[Finding], status: str) -> None:
    assert statuses(findings) == [status]


@pytest.mark.parametrize(
    ("present", "variable", "text"),
    [
        ("g++", None, None),
        ("clang++", "clang++", None),
        ("", None, r"no C\+\+ compiler g\+\+; --compile and `inference.compile` need one on a CPU -> install g"),
        ("clang++", None, r"no C\+\+ compiler g\+\+; .* -> export CXX=clang"),
        ("g++", "icpx", r"no C\+\+ compiler icpx; .* -> export CXX=g"),
    ],
)
def test_a_missing_compiler_is_noted(
    monkeypatch: pytest.MonkeyPatch, present: str, variable: str | None, text: str | None
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    if variable:
        monkeypatch.setenv("CXX", variable)
    findings = list(machine.probe_cores(2, which=lambda name: name if name == present else None))
    assert statuses(findings) == (["ok", "note"] if text else ["ok"])
    assert re.search(text or "", said(findings))


# Packages

HAVE = {"torch": "2.11.0", "torchaudio": "2.11.0", "numpy": "1.26.4"}


@pytest.mark.parametrize(
    ("extra", "needed", "status", "text"),
    [
        ("", "numpy<2", "ok", "cmet: all 1 requirements are met"),
        ("", "numpy>=2", "problem", "cmet: numpy is 1.26.4, but >=2 is needed"),
        ("pipeline", "dvc==3.67.1", "problem", "cmet[pipeline]: dvc is not installed"),
        ("dev", "ruff", "note", "pip install 'cmet[dev]'"),
        ("", "colorama; sys_platform == 'win32'", "ok", "all 0 requirements"),
    ],
)
def test_installed_versions_are_held_against_requirements(
    extra: str, needed: str, status: str, text: str, no_lock: None
) -> None:
    findings = list(packages.probe_packages({extra: [Requirement(needed)]}, HAVE))
    assert statuses(findings) == [status]
    assert text in said(findings)


@pytest.mark.parametrize(
    ("extra", "is_locked", "advice"),
    [
        ("emotion2vec", False, "`pip install 'cmet[emotion2vec]'`"),
        ("emotion2vec", True, "`.boot/bin/uv pip install -c requirements.lock -e '.[emotion2vec]'`"),
        ("pipeline", False, "`pip install --upgrade --force-reinstall 'cmet[pipeline]'` installs them anew"),
        ("", False, "`pip install --upgrade --force-reinstall 'cmet'` installs them anew"),
        ("", True, "`make setup` installs the locked versions"),
    ],
)
def test_the_advice_is_for_pip_where_there_is_no_lock(
    extra: str, is_locked: bool, advice: str, no_lock: None, tmp_path: Path
) -> None:
    if is_locked:
        lock(tmp_path)
    (finding,) = packages.probe_packages({extra: [Requirement("not-there")]}, HAVE)
    assert finding.advice == advice


@pytest.mark.parametrize(
    ("more", "asked", "status", "text"),
    [
        ({}, [], "ok", "3 packages fit together"),
        ({"torchaudio": "2.10.1"}, [], "problem", "torch 2.11.0 with torchaudio 2.10.1"),
        (
            {"opencv-contrib-python": "4.11.0.86", "opencv-python-headless": "4.11.0.86"},
            [],
            "note",
            "pip uninstall opencv-python-headless",
        ),
        ({"antlr4-python3-runtime": "4.9.3", "dagster": "1.13.27"}, [], "note", "need 4.13"),
        ({"antlr4-python3-runtime": "4.9.3"}, [], "ok", ""),
        ({}, [("mediapipe", "numpy>=2")], "note", "mediapipe asks for numpy, which is 1.26.4, but >=2 is needed"),
        ({}, [("pandas", "pytest; extra == 'test'")], "ok", ""),
    ],
)
def test_packages_that_clash_are_named(
    more: dict[str, str], asked: list[tuple[str, str]], status: str, text: str
) -> None:
    findings = list(packages.probe_clashes(HAVE | more, asked))
    assert statuses(findings) == [status]
    assert text in said(findings)


@pytest.mark.parametrize(
    ("version", "status"), [("3.11.7", "ok"), ("3.13.1", "ok"), ("3.10.13", "problem"), ("3.14.0", "problem")]
)
def test_the_version_of_python_is_checked(version: str, status: str) -> None:
    assert statuses(packages.probe_python(packages.wanted_python(ROOT), version)) == [status]


def test_requirements_come_from_the_project_or_else_from_the_installation(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "cmet"\nrequires-python = ">=3.12"\ndependencies = ["a>1"]\n'
        'optional-dependencies.x = ["b"]\n'
    )
    wanted = packages.requirements(tmp_path)
    assert {extra: list(map(str, lines)) for extra, lines in wanted.items()} == {"": ["a>1"], "x": ["b"]}
    assert packages.wanted_python(tmp_path) == ">=3.12"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    wanted = packages.requirements(tmp_path)
    assert "torch" in {line.name for line in wanted[""]}
    assert "dvc" in {line.name for line in wanted["pipeline"]} - {line.name for line in wanted[""]}


# Libraries with native code


@pytest.mark.parametrize(
    ("missing", "status", "text"),
    [
        (("libx264", "w"), "problem", "PyAV has no encoder libx264; it is needed to write videos"),
        (("flv", "r"), "note", "PyAV has no decoder flv; it is needed to read flv (CREMA-D)"),
        (None, "ok", "no ffmpeg program is needed"),
    ],
)
def test_a_missing_codec_says_what_it_is_needed_for(missing: tuple[str, str] | None, status: str, text: str) -> None:
    findings = list(libraries.probe_codecs(lambda name, mode: (name, mode) != missing))
    assert statuses(findings) == [status]
    assert text in said(findings)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import os; os.abort()", "the process died of SIGABRT"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import time; time.sleep(60)", "did not answer within 0.5 s"),
        ("print('not JSON')", "the probe failed: JSONDecodeError"),
        ("pass", "the probe failed: IndexError"),
    ],
)
def test_a_library_that_crashes_or_hangs_is_a_problem_and_no_more(code: str, text: str) -> None:
    child = libraries.start_python(code)
    limit_s = 0.5 if "sleep" in code else None
    (finding,) = isolated("face mesh", lambda: libraries.answer_of("face mesh", child, limit_s))
    child.kill()
    child.communicate()
    assert finding.status == "problem"
    assert text in finding.found


# The project


@pytest.mark.parametrize(
    ("variables", "encoding", "status", "text"),
    [
        ({}, "UTF-8", "ok", ""),
        ({}, "utf8", "ok", ""),
        ({"PYTHONDONTWRITEBYTECODE": "1"}, "UTF-8", "note", "unset PYTHONDONTWRITEBYTECODE"),
        ({}, "ANSI_X3.4-1968", "note", "export LANG=C.UTF-8"),
    ],
)
def test_settings_that_slow_or_break_are_noted(
    variables: dict[str, str], encoding: str, status: str, text: str
) -> None:
    findings = list(project.probe_environment(variables, encoding))
    assert statuses(findings) == [status]
    assert text in said(findings)


@pytest.mark.parametrize(
    ("address", "status", "text"),
    [
        (None, "ok", "RAY_ADDRESS is not set, and stages use this machine alone"),
        ("local", "ok", "RAY_ADDRESS is local; its nodes are asked when a stage begins"),
        ("127.0.0.1:1", "note", "RAY_ADDRESS is 127.0.0.1:1, and no Ray cluster is there"),
    ],
)
def test_the_cluster_is_looked_for(address: str | None, status: str, text: str) -> None:
    findings = list(project.probe_cluster({"RAY_ADDRESS": address} if address else {}))
    assert statuses(findings) == [status]
    assert text in said(findings)


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (lambda name: name, ["ok"]),
        (lambda name: name if name == "dvc" else None, ["note"]),
        (lambda name: None, ["problem", "note"]),
    ],
)
def test_programs_of_the_pipeline_are_looked_for(which: Callable[[str], str | None], expected: list[str]) -> None:
    assert statuses(project.probe_tools(which)) == expected


@pytest.mark.parametrize(
    ("files", "status", "text"),
    [
        ({}, "problem", "has no dvc.yaml"),
        ({"dvc.yaml": ""}, "problem", "is not a git repository, and dvc refuses to work in it"),
        ({"dvc.yaml": "", ".git/HEAD": ""}, "ok", ""),
        ({"dvc.yaml": "", ".dvc/config": "[core]\n    no_scm = true\n"}, "ok", ""),
        ({"dvc.yaml": "", ".dvc/config": "", ".dvc/config.local": "[core]\n    no_scm = true\n"}, "ok", ""),
    ],
)
def test_a_folder_that_dvc_refuses_is_a_problem(tmp_path: Path, files: dict[str, str], status: str, text: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    findings = list(project.probe_project(tmp_path))
    assert statuses(findings) == [status]
    assert text in said(findings)


def test_a_clock_behind_the_files_is_noted(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").touch()
    assert statuses(project.probe_clock(tmp_path)) == ["ok"]
    findings = list(project.probe_clock(tmp_path, now=time.time() - 7200))
    assert statuses(findings) == ["note"]
    assert "params.yaml is 2.0 h in the future" in said(findings)


def test_missing_weights_say_what_they_would_enable(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    for home in ("edtalk", "pdfgc"):
        (weights / home).mkdir(parents=True)
    (weights / "edtalk/EDTalk.pt").touch()
    for name in ("appearance_model.pth", "motion_model.pth", "audio_model.pth", "generator_model.pth"):
        (weights / "pdfgc" / name).touch()
    findings = list(project.probe_weights(tmp_path, {}))
    assert f"backbone edtalk still needs Audio2Lip.pt -> run `cmet weights get audio2lip --folder {weights}`" in said(
        findings
    )
    assert [finding.found for finding in findings if finding.status == "ok"] == [
        f"backbone pdfgc: all files are in {weights}/"
    ]
    assert len(findings) == len({checkpoint.enables for checkpoint in CHECKPOINTS.values()} - {None})


def test_without_any_weights_there_is_one_note(tmp_path: Path) -> None:
    (note,) = project.probe_weights(tmp_path, {})
    assert (note.status, note.found) == (
        "note",
        f"no published weights are in {tmp_path}/weights/; the demo needs none",
    )


def test_weights_that_stages_do_not_read_and_folders_that_dvc_asks_for_are_told(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "dvc.yaml").touch()
    note, problem, *_ = project.probe_weights(tmp_path, {"CMET_WEIGHTS": "/lab"})
    assert f"names /lab, which commands like `cmet edit` read, but stages read {tmp_path}/weights ->" in said([note])
    assert problem.status == "problem" and "has no folder connector, edtalk" in problem.found
    for home in HOMES:
        (tmp_path / "weights" / home).mkdir(parents=True)
    found = list(project.probe_weights(tmp_path, {"CMET_WEIGHTS": str(tmp_path / "weights")}))
    assert "CMET_WEIGHTS" not in said(found) and "problem" not in statuses(found)


@pytest.mark.parametrize(("has_client", "status"), [(True, "ok"), (False, "note")])
def test_whether_an_object_store_can_be_read(has_client: bool, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMET_CACHE_DIR", "/disk/cache")
    monkeypatch.setenv("CMET_CACHE_GB", "50")
    (finding,) = project.probe_object_store(has_client)
    assert finding.status == status
    if has_client:
        assert "/disk/cache keeps up to 50 GB of objects" in finding.found
    else:
        assert "[s3]" in finding.advice


def test_a_cache_of_no_size_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMET_CACHE_GB", "much")
    (finding,) = project.probe_object_store(True)
    assert (finding.status, finding.found) == (
        "problem", "CMET_CACHE_GB: expected the gigabytes that the cache may take, found 'much'",
    )  # fmt: skip

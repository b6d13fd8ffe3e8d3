"""The command `cmet weights get`, and what its client reads from the environment."""

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cmet.commands import weights
from cmet.commands.completing import purposes
from cmet.errors import UserError
from cmet.weights.registry import CHECKPOINTS, PURPOSES
from cmet.weights.routes import WebRoute
from tests.unit.weights.conftest import Given, filled
from tests.weight_server import Served, WeightServer

CONTENT = filled("audio2lip")


def get(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(weights.app, ["get", *map(str, args)])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def audio2lip(server: WeightServer, given: Given) -> WeightServer:
    server.files["/Audio2Lip.pt"] = Served(CONTENT)
    given("audio2lip", WebRoute(f"{server.url}/Audio2Lip.pt"))
    return server


def test_without_a_name_it_lists_what_there_is_with_sizes_licences_and_purposes(tmp_path: Path) -> None:
    code, text, _ = get("--folder", tmp_path)
    lines = {line.split()[0]: line for line in text.splitlines() if line and line[0] not in "- "}
    assert code == 0
    assert set(lines) == {"name", *CHECKPOINTS}
    assert lines["edtalk"].split(maxsplit=4) == ["edtalk", "about", "483", "MB", "no    Apache-2.0"]
    assert lines["emotion2vec"].split()[:3] == ["emotion2vec", "1.95", "GB"]
    assert lines["judge-mead"].endswith("not stated by its publisher")
    assert "--for hear: emotion2vec" in text
    assert max(map(len, text.splitlines())) <= 120
    document = json.loads(get("--folder", tmp_path, "--json")[1])
    assert [row["name"] for row in document["checkpoints"]] == list(CHECKPOINTS)
    assert list(document["purposes"]) == list(PURPOSES) == purposes()


def test_size_source_and_licence_are_told_before_the_start(audio2lip: WeightServer, tmp_path: Path) -> None:
    code, text, said = get("audio2lip", "--folder", tmp_path, "--accept-licence")
    assert code == 0
    assert f"edtalk/Audio2Lip.pt: {len(CONTENT) / 1000:.3g} kB; licence Apache-2.0; from 127.0.0.1" in said
    assert f"in {tmp_path}/: audio2lip" in text
    code, text, said = get("audio2lip", "--folder", tmp_path, "--json")
    assert (code, said) == (0, "")
    assert json.loads(text)["paths"] == {"audio2lip": str(tmp_path / "edtalk/Audio2Lip.pt")}


def test_where_nobody_can_be_asked_the_licence_is_an_option(audio2lip: WeightServer, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^weights come with licences to agree to \(Apache-2.0: audio2lip\); add --acc"
    ):
        get("audio2lip", "--folder", tmp_path)
    assert audio2lip.asked == []


@pytest.mark.parametrize("agrees", [True, False])
def test_on_a_terminal_the_licence_is_asked_for(
    audio2lip: WeightServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    from cmet.weights.fetching import missing_files

    missing = missing_files([CHECKPOINTS["audio2lip"]], tmp_path)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: agrees)
    if agrees:
        assert [outcome.status for _, outcome in weights._brought(missing, tmp_path, accept_licence=False)] == [
            "fetched"
        ]
    else:
        with pytest.raises(UserError, match="nothing was downloaded"):
            weights._brought(missing, tmp_path, accept_licence=False)
        assert {one.method for one in audio2lip.asked} == {"HEAD"}


def test_names_and_purposes_that_nobody_knows_are_answered_with_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weights are called edtalc, x; expected some of cmet-connector, edtalk, "):
        get("edtalc", "x", "edtalk", "--folder", tmp_path)
    with pytest.raises(UserError, match="--for: unknown purpose 'editing'; expected one of edit, paper-table, hear"):
        get("--for", "editing", "--folder", tmp_path)


def test_what_is_not_there_in_the_end_is_told_and_the_rest_is_there(audio2lip: WeightServer, tmp_path: Path) -> None:
    code, text, _ = get("audio2lip", "emotion-fan-ms1m", "--folder", tmp_path, "--accept-licence", "--json")
    document = json.loads(text)
    assert code == 1
    assert [(row["status"], bool(row["sha256"])) for row in document["files"]] == [
        ("fetched", True),
        ("by hand", False),
    ]
    assert document["paths"]["emotion-fan-ms1m"] is None


def test_a_package_that_the_weights_need_is_told_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "funasr", None)
    (tmp_path / "speech/emotion2vec_plus_large").mkdir(parents=True)
    for name in ("model.pt", "config.yaml", "tokens.txt", "configuration.json"):
        (tmp_path / "speech/emotion2vec_plus_large" / name).touch()
    code, text, _ = get("--for", "hear", "--folder", tmp_path)
    assert (code, text.splitlines()[-1]) == (0, "emotion2vec also needs a package: pip install 'cmet[emotion2vec]'")

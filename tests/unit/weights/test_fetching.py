import hashlib
import resource
import shutil
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from cmet.errors import UserError
from cmet.weights import fetching, transfer
from cmet.weights.fetching import Fetched, Offer, complete_folders, fetch, looked_for, missing_files
from cmet.weights.registry import CHECKPOINTS
from cmet.weights.routes import HubRoute, WebRoute
from tests.unit.weights.conftest import Given, filled
from tests.weight_server import COMMIT, Fault, Served, WeightServer

AUDIO2LIP = filled("audio2lip")
SHA256 = hashlib.sha256(AUDIO2LIP).hexdigest()
PLAIN = "/a/Audio2Lip.pt"


def brought(folder: Path, *names: str) -> list[Fetched]:
    """What becomes of all files of checkpoints."""
    wanted = [CHECKPOINTS[name] for name in names]
    outcomes = []
    for file, found in looked_for(missing_files(wanted, folder)):
        outcomes.append(fetch(file, found) if isinstance(found, Offer) else found)
    complete_folders(wanted, folder)
    return outcomes


def held(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def plain(server: WeightServer, content: bytes = AUDIO2LIP, path: str = PLAIN) -> tuple[WebRoute, Served]:
    server.files[path] = Served(content)
    return WebRoute(server.url + path), server.files[path]


# A hub


def test_a_file_of_the_hub_comes_to_its_home_and_its_hash_beside_it(hub: WeightServer, tmp_path: Path) -> None:
    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Served(AUDIO2LIP)
    assert brought(tmp_path, "audio2lip") == [Fetched("fetched", "Hugging Face coldhyuk/C-MET", SHA256)]
    assert held(tmp_path) == ["edtalk/Audio2Lip.pt", "edtalk/Audio2Lip.pt.sha256"]
    assert (tmp_path / "edtalk/Audio2Lip.pt").read_bytes() == AUDIO2LIP
    assert (tmp_path / "edtalk/Audio2Lip.pt.sha256").read_text() == f"{SHA256}  Audio2Lip.pt\n"
    hub.asked.clear()
    assert (brought(tmp_path, "audio2lip"), hub.asked) == ([], [])


def test_mirrors_are_tried_in_their_order(hub: WeightServer, tmp_path: Path) -> None:
    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Fault(401, {"X-Error-Code": "RepoNotFound"})
    hub.repos["tanshuai0219/EDTalk/Audio2Lip.pt"] = Served(AUDIO2LIP)
    assert brought(tmp_path, "audio2lip") == [Fetched("fetched", "Hugging Face tanshuai0219/EDTalk", SHA256)]


def test_what_no_mirror_has_is_told_for_each(hub: WeightServer, tmp_path: Path) -> None:
    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Fault(403, {"X-Error-Code": "GatedRepo"})
    hub.repos["tanhshuai0219/EDTalk/Audio2Lip.pt"] = Fault(401, {"X-Error-Code": "RepoNotFound"})
    (outcome,) = brought(tmp_path, "audio2lip")
    assert outcome == Fetched(
        "failed",
        f"Hugging Face coldhyuk/C-MET: its owner asks for consent: agree on {hub.url}/coldhyuk/C-MET and set HF_TOKEN "
        "to a token of yours; Hugging Face tanhshuai0219/EDTalk: has no such repository, or a private one: "
        f"{hub.url}/tanhshuai0219/EDTalk; for that, set HF_TOKEN; Hugging Face tanshuai0219/EDTalk: has no "
        "Audio2Lip.pt at its newest state",
    )
    assert held(tmp_path) == []


def test_a_broken_connection_goes_on_where_it_broke(hub: WeightServer, tmp_path: Path) -> None:
    served = Served(AUDIO2LIP, faults=[Fault(breaks_after=16384), Fault(breaks_after=0)])
    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = served
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    assert [one.begins for one in hub.gets("Audio2Lip.pt") if "/large/" in one.path] == [0, 16384, 16384]
    assert hub.num_sent == len(AUDIO2LIP)


def test_a_later_call_goes_on_with_what_an_earlier_one_left(hub: WeightServer, tmp_path: Path) -> None:
    broken = [Fault(breaks_after=16384), *[Fault(breaks_after=0)] * transfer.NUM_TRIES]
    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Served(AUDIO2LIP, faults=broken)
    (outcome,) = brought(tmp_path, "audio2lip")
    assert outcome.status == "failed" and f"{transfer.NUM_TRIES} times in a row" in outcome.said
    assert held(tmp_path) == ["edtalk/.Audio2Lip.pt.part", "edtalk/.Audio2Lip.pt.part.json"]
    hub.asked.clear()
    ((file, found),) = looked_for(missing_files([CHECKPOINTS["audio2lip"]], tmp_path))
    assert isinstance(found, Offer)
    assert (found.num_here, found.num_missing) == (16384, len(AUDIO2LIP) - 16384)
    assert fetch(file, found).sha256 == SHA256
    assert hub.num_sent == len(AUDIO2LIP)


def test_a_token_goes_to_the_hub_and_not_to_where_it_sends(
    hub: WeightServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Served(AUDIO2LIP)
    brought(tmp_path, "audio2lip")
    told = {(one.path.split("/")[-3], one.authorization) for one in hub.asked if one.path.endswith("Audio2Lip.pt")}
    assert told == {("main", "Bearer hf_secret"), (COMMIT, "Bearer hf_secret"), ("C-MET", None)}


def test_bytes_that_are_not_those_of_the_hub_are_deleted(hub: WeightServer, tmp_path: Path) -> None:
    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Served(AUDIO2LIP, stated=AUDIO2LIP[::-1])
    (outcome,) = brought(tmp_path, "audio2lip")
    assert f"gave other bytes than those stated by the hub: sha256 {SHA256}, expected" in outcome.said
    assert held(tmp_path) == []


def test_what_the_cache_of_the_hub_has_is_not_downloaded(hub: WeightServer, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download

    hub.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Served(AUDIO2LIP)
    hf_hub_download("coldhyuk/C-MET", "pretrained_weights/Audio2Lip.pt")
    hub.asked.clear()
    assert brought(tmp_path / "weights", "audio2lip")[0].sha256 == SHA256
    assert hub.gets("Audio2Lip.pt") == []


def test_a_hub_that_does_not_answer_is_told(hub: WeightServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (outcome,) = brought(tmp_path, "audio2lip")
    assert outcome.said.startswith("Hugging Face coldhyuk/C-MET: cannot be reached (")
    assert hub.asked == []


# A plain address


@pytest.mark.parametrize("facts", [{}, {"sha256": SHA256}])
def test_ranges_are_asked_for_by_etag_unless_a_hash_will_tell(
    server: WeightServer, given: Given, tmp_path: Path, facts: dict[str, str]
) -> None:
    route, served = plain(server)
    given("audio2lip", route, **facts)
    served.faults = [Fault(breaks_after=16384)]
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    told = [(one.begins, one.if_range) for one in server.gets(PLAIN)]
    assert told == [(0, None), (16384, None if facts else '"v1"')]
    assert ("edtalk/Audio2Lip.pt.sha256" in held(tmp_path)) is not bool(facts)


def test_a_file_that_has_changed_begins_anew_and_says_so(
    server: WeightServer, given: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    route, served = plain(server, AUDIO2LIP[::-1])
    given("audio2lip", route)
    served.faults = [Fault(breaks_after=16384), *[Fault(503)] * transfer.NUM_TRIES]
    assert "answers 503" in brought(tmp_path, "audio2lip")[0].said
    server.files[PLAIN] = Served(AUDIO2LIP, etag='"v2"')
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    assert server.gets(PLAIN)[-1].if_range == '"v1"'
    assert "or the file has changed, so it begins anew" in capsys.readouterr().err


def test_a_server_without_ranges_begins_anew_and_says_so(
    server: WeightServer, given: Given, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    route, served = plain(server)
    given("audio2lip", route, sha256=SHA256)
    served.has_ranges, served.faults = False, [Fault(breaks_after=16384)]
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    assert "Audio2Lip.pt: the server sends ranges of no file" in capsys.readouterr().err


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_without_an_etag_and_a_hash_nothing_is_put_together(
    server: WeightServer, given: Given, tmp_path: Path, etag: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    route, served = plain(server)
    given("audio2lip", route)
    served.etag, served.faults = etag, [Fault(breaks_after=16384)]
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    assert [one.begins for one in server.gets(PLAIN)] == [0, 0]
    assert "it cannot be told whether the file is still the same" in capsys.readouterr().err


def test_servers_that_tell_no_size_and_allow_no_head_are_asked_for_the_file(
    server: WeightServer, given: Given, tmp_path: Path
) -> None:
    route, served = plain(server)
    given("audio2lip", route)
    served.has_length, served.allows_head = False, False
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256


def test_what_one_mirror_has_begun_another_ends(server: WeightServer, given: Given, tmp_path: Path) -> None:
    first, served = plain(server)
    second, _ = plain(server, path="/b/Audio2Lip.pt")
    given("audio2lip", first, second, sha256=SHA256)
    served.faults = [Fault(breaks_after=16384), *[Fault(503)] * transfer.NUM_TRIES]
    assert brought(tmp_path, "audio2lip")[0].said == "127.0.0.1"
    assert [one.begins for one in server.gets("/b/Audio2Lip.pt")] == [16384]


def test_wrong_bytes_are_deleted_and_the_next_mirror_is_asked(
    server: WeightServer, given: Given, tmp_path: Path
) -> None:
    wrong, _ = plain(server, AUDIO2LIP[::-1])
    right, _ = plain(server, path="/b/Audio2Lip.pt")
    git = hashlib.sha1(b"blob %d\0" % len(AUDIO2LIP) + AUDIO2LIP).hexdigest()
    given("audio2lip", wrong, right, git_sha1=git)
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    given("edtalk", wrong, sha256="0" * 64)
    (outcome,) = brought(tmp_path, "edtalk")
    assert outcome.said.startswith("127.0.0.1: gave other bytes than those published: sha256 ")
    assert not (tmp_path / "edtalk/EDTalk.pt").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!doctype html><html>quota exceeded</html>", "gave something else: this file is a web page, not the file"),
        (filled("syncnet"), "gave something else: this is SyncNet (syncnet_v2.model), not Audio2Lip"),
        (AUDIO2LIP[:-1000], "gave something else: this file is damaged or cut short"),
    ],
)
def test_what_is_not_the_network_is_told_and_deleted(
    server: WeightServer, given: Given, tmp_path: Path, content: bytes, said: str
) -> None:
    route, _ = plain(server, content)
    given("audio2lip", route)
    (outcome,) = brought(tmp_path, "audio2lip")
    assert said in outcome.said
    assert held(tmp_path) == []


def test_another_size_than_the_published_one_is_refused_before_anything_comes(
    server: WeightServer, given: Given, tmp_path: Path
) -> None:
    route, served = plain(server)
    given("audio2lip", route, size_bytes=10)
    assert f"has {len(AUDIO2LIP):,} bytes, but 10 are published" in brought(tmp_path, "audio2lip")[0].said
    served.allows_head = False
    assert "10 are published: another file" in brought(tmp_path, "audio2lip")[0].said
    served.has_length = False
    assert "sends more than 10 bytes" in brought(tmp_path, "audio2lip")[0].said
    assert not (tmp_path / "edtalk/Audio2Lip.pt").exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(
    server: WeightServer, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    route, served = plain(server)
    given("audio2lip", route)
    served.faults = [Fault(status, {"Retry-After": "7"}), Fault(status)]
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    assert [wait_s for wait_s in waited if wait_s in (0, 7)] == [7, 0]


def test_a_server_that_asks_to_wait_an_hour_is_told(server: WeightServer, given: Given, tmp_path: Path) -> None:
    route, served = plain(server)
    given("audio2lip", route)
    served.faults = [Fault(429, {"Retry-After": "3600"})]
    assert "asks to wait 3600 s (answer 429)" in brought(tmp_path, "audio2lip")[0].said


@pytest.mark.parametrize(
    ("status", "said"), [(404, "answers 404"), (403, "answers 403"), (401, "answers 401"), (410, "answers 410")]
)
def test_a_server_that_refuses_is_told_once(
    server: WeightServer, given: Given, tmp_path: Path, status: int, said: str
) -> None:
    route, served = plain(server)
    given("audio2lip", route)
    served.allows_head, served.faults = False, [Fault(status)]
    assert f"(answer {status} " in brought(tmp_path, "audio2lip")[0].said
    del server.files[PLAIN]
    assert "answers 404 Not Found" in brought(tmp_path, "audio2lip")[0].said


def test_nobody_at_home_is_told(given: Given, tmp_path: Path) -> None:
    given("audio2lip", WebRoute("http://127.0.0.1:9/Audio2Lip.pt"))
    assert brought(tmp_path, "audio2lip")[0].said.startswith("127.0.0.1: cannot be reached (")


# The disk


Usage = namedtuple("Usage", "total used free")


def test_too_little_room_is_told_before_anything_comes(
    server: WeightServer, given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route, _ = plain(server)
    given("audio2lip", route)
    ((file, found),) = looked_for(missing_files([CHECKPOINTS["audio2lip"]], tmp_path))
    assert isinstance(found, Offer)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2, 1, 5_000_000))
    with pytest.raises(UserError, match=r"kB are needed, but only 5 MB are free there; make room, or name a folder"):
        fetching.check_room_for([(file, found)])
    assert server.gets(PLAIN) == []


@contextmanager
def files_at_most(num_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_keeps_what_has_come(server: WeightServer, given: Given, tmp_path: Path) -> None:
    route, _ = plain(server)
    given("audio2lip", route, sha256=SHA256)
    with files_at_most(20_000), pytest.raises(UserError, match="cannot be written .*; make room and run the same"):
        brought(tmp_path, "audio2lip")
    assert held(tmp_path) == ["edtalk/.Audio2Lip.pt.part", "edtalk/.Audio2Lip.pt.part.json"]
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256
    assert server.gets(PLAIN)[-1].begins == 20_000


def test_only_one_process_fetches_a_file(server: WeightServer, given: Given, tmp_path: Path) -> None:
    route, _ = plain(server)
    given("audio2lip", route)
    (tmp_path / "edtalk").mkdir()
    with FileLock(tmp_path / "edtalk/.Audio2Lip.pt.lock"), pytest.raises(UserError, match="another process fetches it"):
        brought(tmp_path, "audio2lip")


def test_a_damaged_note_of_a_part_begins_anew(server: WeightServer, given: Given, tmp_path: Path) -> None:
    route, _ = plain(server)
    given("audio2lip", route)
    (tmp_path / "edtalk").mkdir()
    (tmp_path / "edtalk/.Audio2Lip.pt.part").write_bytes(b"x" * 5000)
    for note in ("", "{", "[1]", '{"identity": 3}', '{"else": "x"}'):
        (tmp_path / "edtalk/.Audio2Lip.pt.part.json").write_text(note)
    assert brought(tmp_path, "audio2lip")[0].sha256 == SHA256


# A folder of files


def folder_of(hub: WeightServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """emotion2vec as the hub has it, but small."""
    model = filled("audio2lip")
    published = CHECKPOINTS["emotion2vec"]
    downloads = tuple(
        replace(
            one,
            routes=(HubRoute("emotion2vec/emotion2vec_plus_large", Path(one.path).name),),
            size_bytes=len(model) if one.size_bytes else None,
            sha256=hashlib.sha256(model).hexdigest() if one.sha256 else None,
        )
        for one in published.downloads
    )
    monkeypatch.setitem(CHECKPOINTS, "emotion2vec", replace(published, downloads=downloads))
    for name, content in (
        ("model.pt", model),
        ("config.yaml", b"a: 1"),
        ("tokens.txt", b"x"),
        ("configuration.json", b"{}"),
    ):
        hub.repos[f"emotion2vec/emotion2vec_plus_large/{name}"] = Served(content)


def test_a_folder_is_there_whole_or_not_at_all(
    hub: WeightServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(hub, monkeypatch)
    tokens = hub.repos.pop("emotion2vec/emotion2vec_plus_large/tokens.txt")
    statuses = [one.status for one in brought(tmp_path, "emotion2vec")]
    assert statuses == ["fetched", "fetched", "failed", "fetched"]
    assert CHECKPOINTS["emotion2vec"].located(tmp_path) is None
    hub.repos["emotion2vec/emotion2vec_plus_large/tokens.txt"] = tokens
    hub.asked.clear()
    assert len(brought(tmp_path, "emotion2vec")) == 1
    assert {Path(one.path).name for one in hub.asked} == {"tokens.txt"}
    names = ["config.yaml", "configuration.json", "model.pt", "tokens.txt"]
    assert held(tmp_path) == [f"speech/emotion2vec_plus_large/{name}" for name in names]
    assert [path.name for path in (tmp_path / "speech").iterdir()] == ["emotion2vec_plus_large"]


def test_a_folder_that_lacks_files_gets_the_rest(
    hub: WeightServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(hub, monkeypatch)
    (tmp_path / "speech/emotion2vec_plus_large").mkdir(parents=True)
    (tmp_path / "speech/emotion2vec_plus_large/config.yaml").write_text("mine: 1")
    assert len(brought(tmp_path, "emotion2vec")) == 3
    assert (tmp_path / "speech/emotion2vec_plus_large/config.yaml").read_text() == "mine: 1"
    assert [path.name for path in (tmp_path / "speech").iterdir()] == ["emotion2vec_plus_large"]


# What only a person or an extra gets


def test_what_only_a_person_can_get_is_told_step_by_step(tmp_path: Path) -> None:
    (outcome,) = brought(tmp_path, "emotion-fan-ferplus")
    place = tmp_path / "judge/Resnet18_FER+_pytorch.pth.tar"
    assert outcome == Fetched(
        "by hand",
        "only a person can get it: open https://github.com/Open-Debin/Emotion-FAN, follow the link to "
        f"Resnet18_FER+_pytorch.pth.tar (OneDrive or Baidu), save the file as {place}, then run "
        f"`cmet weights verify {place}`",
    )


def test_an_extra_that_is_not_installed_is_told_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "gdown", None)
    (outcome,) = brought(tmp_path, "judge-mead")
    assert outcome.said.endswith("gdown, which fetches from there, is not installed: pip install 'cmet[drive]'")

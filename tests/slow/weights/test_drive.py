"""gdown itself against a Google Drive on this machine: a proxy that answers for it, with a certificate of its own."""

import datetime
import io
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import torch
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cmet.weights.fetching import Offer, looked_for, missing_files
from cmet.weights.registry import CHECKPOINTS
from tests.unit.weights.test_fetching import brought, held

pytest.importorskip("gdown")

HOSTS = ("drive.google.com", "drive.usercontent.google.com")
_STREAM = io.BytesIO()
torch.save({"fc.weight": torch.zeros(8, 512), "more": torch.zeros(500_000)}, _STREAM)
CONTENT = _STREAM.getvalue()
WARNING = """<form id="download-form" action="https://drive.usercontent.google.com/download">\
<input type="hidden" name="id" value="{id}"><input type="hidden" name="confirm" value="t"></form>"""
QUOTA = '<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>'


def certificate(folder: Path) -> Path:
    """A key and a certificate for Google's names, which only those trust who are told to."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "drive.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Drive:
    """What it has been asked for, and how it answers."""

    def __init__(self) -> None:
        self.begins: list[int] = []
        self.breaks_after: list[int] = []
        self.is_over_quota = False


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    state = Drive()
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_CONNECT(self) -> None:
            assert self.path.partition(":")[0] in HOSTS
            self.send_response(200)
            self.end_headers()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
            self.close_connection = False

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            if "confirm" in asked:
                self._file()
            else:
                self._page((QUOTA if state.is_over_quota else WARNING).format(id=asked["id"][0]).encode())

        def _page(self, page: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def _file(self) -> None:
            said = self.headers.get("Range", "bytes=0-")
            begins = int(said.removeprefix("bytes=").removesuffix("-"))
            state.begins.append(begins)
            self.send_response(206 if begins else 200)
            if begins:
                self.send_header("Content-Range", f"bytes {begins}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Disposition", 'attachment; filename="judge.pth"')
            self.send_header("Content-Length", str(len(CONTENT) - begins))
            self.end_headers()
            ends = state.breaks_after.pop(0) if state.breaks_after else len(CONTENT)
            self.wfile.write(CONTENT[begins:ends])
            if ends < len(CONTENT):
                self.close_connection = True
                with suppress(OSError):
                    self.connection.close()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def own_cookies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gdown keeps Drive's cookies where the test keeps its things."""
    # the package shows a function under the name of the module
    monkeypatch.setattr(sys.modules["gdown.download"], "DEFAULT_COOKIES_FILE", str(tmp_path / "cookies.txt"))


def test_a_file_of_drive_comes_past_its_warning_and_goes_on_where_it_broke(drive: Drive, tmp_path: Path) -> None:
    drive.breaks_after = [1 << 20]
    (outcome,) = brought(tmp_path / "weights", "judge-mead")
    assert outcome.status == "fetched", outcome.said
    assert (tmp_path / "weights/judge/Emotion-FAN_MEAD.pth").read_bytes() == CONTENT
    assert held(tmp_path / "weights") == ["judge/Emotion-FAN_MEAD.pth", "judge/Emotion-FAN_MEAD.pth.sha256"]
    assert drive.begins == [0, 1 << 20]


def test_a_later_call_goes_on_with_a_file_of_drive(
    drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.breaks_after = [1 << 20, 1 << 20]
    monkeypatch.setattr("cmet.weights.drive.NUM_TRIES", 1)
    (outcome,) = brought(tmp_path / "weights", "judge-mead")
    assert outcome.status == "failed" and CHECKPOINTS["judge-mead"].located(tmp_path / "weights") is None
    ((_, offer),) = looked_for(missing_files([CHECKPOINTS["judge-mead"]], tmp_path / "weights"))
    assert isinstance(offer, Offer) and offer.num_here == 1 << 20
    assert brought(tmp_path / "weights", "judge-mead")[0].status == "fetched"
    assert drive.begins[-1] == 1 << 20


def test_a_quota_of_drive_is_told_in_its_words(drive: Drive, tmp_path: Path) -> None:
    drive.is_over_quota = True
    (outcome,) = brought(tmp_path / "weights", "judge-mead")
    assert "Too many users have viewed or downloaded this file recently." in outcome.said
    assert "https://drive.google.com/file/d/1H0tqOEe5-EqlmomB_FujgbrG8C7dadf1/view" in outcome.said


def test_more_than_the_file_can_have_is_refused(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmet.weights.routes.MAX_WEIGHTS_BYTES", 1000)
    (outcome,) = brought(tmp_path / "weights", "judge-mead")
    assert "sends more than 1,000 bytes, so it is another file" in outcome.said

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cmet.editing.editor import Editor
from cmet.editing.request import EditRequest, perform
from cmet.editing.result import credentials
from cmet.editing.result.credentials import (
    PASSWORD,
    check_signing,
    identity_of,
    sign_video,
    signature_of,
    throwaway_identity,
)
from cmet.editing.result.provenance import SOURCE_TYPE, MadeEmotion, Provenance, read_provenance
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions
from cmet.errors import UserError
from cmet.media.video import write_video

SAID = Provenance("cmet 1.2", "m", "0", "facemesh", "opensmile", (MadeEmotion("happy", 1.0),))


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


@pytest.fixture
def video(tmp_path: Path, tone: Path) -> Path:
    path = tmp_path / "v.mp4"
    write_video(path, np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), np.uint8), 25, tone, tags=SAID.tags)
    return path


def test_a_signed_video_has_the_same_pictures_and_says_the_same(video: Path, tmp_path: Path) -> None:
    assert signature_of(video) == "none"
    before = packets(video)
    identity = identity_of(EditOptions(is_signed=True))
    assert identity is not None and identity_of(EditOptions()) is None
    sign_video(video, SAID, identity)
    assert packets(video) == before
    assert read_provenance(video) == SAID
    assert signature_of(video) == "self-signed, unchanged since"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["tone.wav", "v.mp4"]


def test_the_credentials_have_the_source_type_and_no_folder(video: Path, tmp_path: Path) -> None:
    sign_video(video, SAID, throwaway_identity())
    content = video.read_bytes()
    assert SOURCE_TYPE.encode() in content and b"c2pa.actions" in content
    assert str(tmp_path).encode() not in content


def test_what_was_changed_since_is_found(video: Path) -> None:
    sign_video(video, SAID, throwaway_identity())
    content = bytearray(video.read_bytes())
    content[content.index(b"mdat") + 200] ^= 1
    video.write_bytes(content)
    assert signature_of(video) == "changed since"


def written(folder: Path, days: tuple[int, int] = (-1, 30), *, has_usage: bool = True, password: str = "",
            key: Any = None) -> tuple[Path, Path]:  # fmt: skip
    """A key and its certificate from an office of the test's own, valid from one day to another."""
    key, office = key or ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    begins, ends = (datetime.now(UTC) + timedelta(days=number) for number in days)
    names = [
        x509.Name([x509.NameAttribute(kind, name) for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)])
        for name in ("Jane Doe", "An office")
    ]
    made = (
        x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
        .serial_number(7).not_valid_before(begins).not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(office.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True
        )
    )  # fmt: skip
    if has_usage:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    kept = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    key_path, certificate_path = folder / "key.pem", folder / "certificate.pem"
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kept))
    certificate_path.write_bytes(made.sign(office, hashes.SHA256()).public_bytes(Encoding.PEM))
    return key_path, certificate_path


def wished(key: Path, certificate: Path) -> EditOptions:
    return EditOptions(is_quiet=True, sign_key=key, sign_certificate=certificate)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()], ids=["P-256", "Ed25519"]
)
def test_a_key_of_ones_own_signs(video: Path, tmp_path: Path, key: Any) -> None:
    options = wished(*written(tmp_path, key=key))
    check_signing(options)
    identity = identity_of(options)
    assert identity is not None
    sign_video(video, SAID, identity)
    assert signature_of(video) == "signed by others, unchanged since"
    assert b"Jane Doe" in video.read_bytes() and b"self-signed by cmet" not in video.read_bytes()
    # nothing of it is told with the settings
    assert "key.pem" not in str(read_provenance(video))


def test_an_edit_and_both_side_by_side_are_signed(
    darkening: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, "sesame")
    options = wished(*written(tmp_path, password="sesame"))
    speech, calm = map(tuple, sounds.values())
    outs = tmp_path / "o.mp4", tmp_path / "both.mp4"
    request = EditRequest(darkening, speech, outs[0], calm, options=options, side_by_side=outs[1])
    perform(request, editor)
    assert {signature_of(out) for out in outs} == {"signed by others, unchanged since"}
    assert request.files["sign_key"] == (options.sign_key,)
    assert "key.pem" not in str(read_provenance(outs[0]).settings)


def test_a_key_that_cannot_sign_is_told_before_anything_slow(
    tmp_path: Path, editor: Editor, darkening: Path, sounds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = written(tmp_path, password="sesame")
    words = tmp_path / "words.txt"
    words.write_text("no key at all")
    (tmp_path / "other").mkdir()
    other, _ = written(tmp_path / "other")
    (tmp_path / "late").mkdir()
    (tmp_path / "no-use").mkdir()
    late, no_use = written(tmp_path / "late", (-30, -2)), written(tmp_path / "no-use", has_usage=False)
    (tmp_path / "unusual").mkdir()
    unusual = written(tmp_path / "unusual", key=ec.generate_private_key(ec.SECP256K1()))

    def said(*pair: Path | None) -> str:
        out = tmp_path / "o.mp4"
        with pytest.raises(UserError) as refused:
            options = EditOptions(is_quiet=True, sign_key=pair[0], sign_certificate=pair[1])
            edit_video(darkening, **sounds, out=out, editor=editor, options=options)
        assert not out.exists()
        return str(refused.value)

    monkeypatch.delenv(PASSWORD, raising=False)
    assert said(key, None) == "--sign-key and --sign-certificate go together; name both, or neither"
    assert said(tmp_path / "none.pem", certificate).startswith(f"--sign-key {tmp_path}/none.pem: ")
    assert said(key, certificate) == f"--sign-key {key}: has a password; set it in CMET_SIGN_PASSWORD"
    monkeypatch.setenv(PASSWORD, "open")
    assert said(key, certificate).endswith("the password in CMET_SIGN_PASSWORD does not open it")
    assert said(words, certificate) == f"--sign-key {words}: holds no private key in PEM"
    assert said(certificate, certificate) == f"--sign-key {certificate}: holds no private key in PEM"
    assert said(other, words) == f"--sign-certificate {words}: holds no certificate in PEM"
    assert f"its first certificate is not that of the key {other}" in said(other, certificate)
    begins, ends = (f"{datetime.now(UTC) + timedelta(days=number):%Y-%m-%d}" for number in (-30, -2))
    assert f"is valid from {begins} to {ends} only; use one that is valid today" in said(*late)
    assert f"--sign-certificate {no_use[1]}: C2PA does not take it" in said(*no_use)
    assert "C2PA signs with keys on the curves P-256" in said(*unusual)


def test_without_the_library_that_is_told_before_anything_slow(
    tmp_path: Path, editor: Editor, monkeypatch: pytest.MonkeyPatch, video: Path
) -> None:
    monkeypatch.setattr(credentials, "is_installed", lambda extra: False)
    assert signature_of(video) is None
    request = EditRequest(tmp_path / "none.mp4", (Path("a.wav"),), tmp_path / "o.mp4", (Path("b.wav"),),
                          options=EditOptions(is_signed=True))  # fmt: skip
    with pytest.raises(UserError, match=r"--sign needs a library that is not here: .*c2pa"):
        perform(request, editor)

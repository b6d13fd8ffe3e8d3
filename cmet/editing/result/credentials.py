"""Content Credentials (C2PA) in an edited video, signed with a key of one's own, or with one that is thrown away.

The signature of a key that nobody vouches for shows that the file has not been changed since, and not by whom. Needs
the extra `c2pa`; nothing is asked of a network.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from cmet.editing.result.provenance import SOURCE_TYPE, Provenance
from cmet.editing.wishes.options import EditOptions
from cmet.errors import UserError
from cmet.inputs.files import oddity
from cmet.outputs import fresh_file
from cmet.weights.extras import install_command, is_installed

if TYPE_CHECKING:
    from c2pa import Signer
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

EXTRA = "c2pa"
PASSWORD = "CMET_SIGN_PASSWORD"
"""Variable with the password of a key."""

FORMAT = "video/mp4"
SELF_SIGNED = "self-signed by cmet"
"""Who has signed, as programs show it."""

TRIED_FORMAT = "image/jpeg"
MAX_PEM_BYTES = 1 << 20

OF_SIGNERS = "signingCredential."
UNTRUSTED = f"{OF_SIGNERS}untrusted"
"""What C2PA says of a signature for which no authority vouches."""

VALID_FOR = timedelta(days=3650)

Signature = Literal["none", "self-signed, unchanged since", "signed by others, unchanged since", "changed since"]


@dataclass(frozen=True)
class SigningIdentity:
    """Who signs."""

    chain: bytes
    """Certificates in PEM, that of the key first."""
    key: bytes
    """In PEM, without a password."""
    algorithm: str
    """As C2PA calls it."""


def require_signing() -> None:
    """Make sure that files can be signed here.

    Raises:
        UserError: The library is not installed.
    """
    if not is_installed(EXTRA):
        raise UserError(f"--sign needs a library that is not here: {install_command(EXTRA)}")


def check_signing(options: EditOptions) -> None:
    """Make sure that what an edit makes can be signed as wished, before anything slow.

    Raises:
        UserError: The library is not installed, or key and certificate cannot be used.
    """
    identity = identity_of(options)
    if identity is not None and options.sign_key is not None:
        _try_identity(identity, f"--sign-certificate {options.sign_certificate}")


def identity_of(options: EditOptions) -> SigningIdentity | None:
    """Who signs what an edit makes; None for nobody.

    Raises:
        UserError: The library is not installed, or key and certificate cannot be used.
    """
    if (options.sign_key is None) != (options.sign_certificate is None):
        raise UserError("--sign-key and --sign-certificate go together; name both, or neither")
    if not options.is_signed and options.sign_key is None:
        return None
    require_signing()
    if options.sign_key is None or options.sign_certificate is None:
        return throwaway_identity()
    return read_identity(options.sign_key, options.sign_certificate)


def read_identity(key: Path, certificate: Path) -> SigningIdentity:
    """A key of one's own with its certificates.

    Args:
        key: Private key in PEM; its password, if it has one, is in the variable `PASSWORD`.
        certificate: Certificates in PEM, that of the key first.

    Raises:
        UserError: One of them is something else, they do not belong together, or a certificate is not valid today.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private, chain = _private_key(key), _content(certificate, "--sign-certificate")
    try:
        first, *others = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise UserError(f"--sign-certificate {certificate}: holds no certificate in PEM") from error
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if first.public_key().public_bytes(*public) != private.public_key().public_bytes(*public):
        raise UserError(
            f"--sign-certificate {certificate}: its first certificate is not that of the key {key}; put that one "
            "first, or name the key that belongs to it"
        )
    for one in (first, *others):
        begins, ends = one.not_valid_before_utc, one.not_valid_after_utc
        if not begins <= datetime.now(UTC) <= ends:
            who = one.subject.rfc4514_string()
            raise UserError(
                f"--sign-certificate {certificate}: that of {who} is valid from {begins:%Y-%m-%d} to {ends:%Y-%m-%d} "
                "only; use one that is valid today"
            )
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningIdentity(chain, pem, _algorithm(private, key))


def sign_video(path: Path, provenance: Provenance, identity: SigningIdentity) -> None:
    """Put signed credentials into an mp4, in its place; pictures and sound stay as they are."""
    import c2pa

    with (
        fresh_file(path) as signed,
        _signer(identity) as signer,
        c2pa.Builder(_manifest(provenance)) as builder,
        path.open("rb") as source,
        signed.open("w+b") as target,
    ):
        builder.sign(signer, FORMAT, source, target)


def signature_of(path: Path) -> Signature | None:
    """What its credentials say of a video; None where they cannot be looked at here."""
    if not is_installed(EXTRA):
        return None
    import c2pa

    try:
        with path.open("rb") as stream, c2pa.Reader(FORMAT, stream) as reader:
            said = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return "none"
    except c2pa.C2paError:
        return "changed since"
    codes = {status["code"] for status in said.get("validation_status", [])}
    if codes - {UNTRUSTED}:
        return "changed since"
    signer = said["manifests"][said["active_manifest"]].get("signature_info", {})
    is_own = signer.get("common_name") == SELF_SIGNED and UNTRUSTED in codes
    return "self-signed, unchanged since" if is_own else "signed by others, unchanged since"


def _manifest(provenance: Provenance) -> dict[str, Any]:
    name, _, version = provenance.made_by.partition(" ")
    # C2PA wants the first action to be that the file was created or opened
    action = {
        "action": "c2pa.created",
        "digitalSourceType": provenance.digital_source_type,
        "description": provenance.sentence,
    }
    return {
        "claim_generator_info": [{"name": name, "version": version}],
        "format": FORMAT,
        "title": provenance.notice,
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }


def _signer(identity: SigningIdentity) -> "Signer":
    import c2pa

    algorithm = c2pa.C2paSigningAlg[identity.algorithm]
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, identity.chain, identity.key, None))


def _try_identity(identity: SigningIdentity, said: str) -> None:
    """Sign a small picture: only C2PA itself knows which certificates it takes.

    Raises:
        UserError: It does not take this one.
    """
    import c2pa

    action = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE}
    manifest = {
        "claim_generator_info": [{"name": "cmet"}],
        "format": TRIED_FORMAT,
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    _, picture = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))
    signed = BytesIO()
    try:
        with _signer(identity) as signer, c2pa.Builder(manifest) as builder:
            builder.sign(signer, TRIED_FORMAT, BytesIO(picture.tobytes()), signed)
        signed.seek(0)
        with c2pa.Reader(TRIED_FORMAT, signed) as reader:
            statuses = json.loads(reader.json()).get("validation_status", [])
    except c2pa.C2paError as error:
        raise UserError(f"{said}: C2PA does not take it ({error})") from error
    wrong = [status for status in statuses if status["code"].startswith(OF_SIGNERS) and status["code"] != UNTRUSTED]
    if wrong:
        why = wrong[0].get("explanation", wrong[0]["code"])
        raise UserError(f"{said}: C2PA does not take it ({why}); it needs one for signing, issued by another")


def _content(path: Path, option: str) -> bytes:
    odd = oddity(path)
    if odd is not None:
        raise UserError(f"{option} {path}: {odd}; name a file in PEM")
    if path.stat().st_size > MAX_PEM_BYTES:
        raise UserError(f"{option} {path}: too large; name a file in PEM")
    return path.read_bytes()


def _private_key(path: Path) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content, password = _content(path, "--sign-key"), os.environ.get(PASSWORD)
    try:
        return load_pem_private_key(content, None)
    except TypeError as error:
        if not password:
            raise UserError(f"--sign-key {path}: has a password; set it in {PASSWORD}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UserError(f"--sign-key {path}: holds no private key in PEM") from error
    try:
        return load_pem_private_key(content, password.encode())
    except ValueError as error:
        raise UserError(f"--sign-key {path}: the password in {PASSWORD} does not open it") from error


def _algorithm(key: "PrivateKeyTypes", path: Path) -> str:
    """As C2PA calls the one that goes with a key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    curves = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    raise UserError(f"--sign-key {path}: C2PA signs with keys on the curves P-256, P-384 and P-521, Ed25519 and RSA")


def throwaway_identity() -> SigningIdentity:
    """One that nobody vouches for; C2PA takes no certificate that signs itself, so there are two."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    begun = datetime.now(UTC) - timedelta(days=1)
    root_key, own_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_id = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())

    def name(common: str) -> x509.Name:
        parts = {NameOID.COMMON_NAME: common, NameOID.ORGANIZATION_NAME: SELF_SIGNED}
        return x509.Name([x509.NameAttribute(part, text) for part, text in parts.items()])

    def certificate(common: str, key: ec.EllipticCurvePrivateKey, is_root: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name(f"root of {SELF_SIGNED}"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begun)
            .not_valid_after(begun + VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False)
            .add_extension(
                x509.KeyUsage(not is_root, False, False, False, False, is_root, is_root, False, False), critical=True
            )
        )

    root = certificate(f"root of {SELF_SIGNED}", root_key, is_root=True).sign(root_key, hashes.SHA256())
    mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    own = certificate(SELF_SIGNED, own_key, is_root=False).add_extension(mail, critical=False)
    chain = [own.sign(root_key, hashes.SHA256()), root]
    pem = own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningIdentity(b"".join(one.public_bytes(Encoding.PEM) for one in chain), pem, "ES256")

"""Content Credentials (C2PA) in an edited video, signed with a key that nobody vouches for and that is thrown away.

Such a signature shows that the file has not been changed since it was signed, and not by whom. Needs the extra `c2pa`;
nothing is asked of a network.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from cmet.editing.provenance import Provenance
from cmet.errors import UserError
from cmet.outputs import fresh_file
from cmet.weights.extras import install_command, is_installed

EXTRA = "c2pa"
FORMAT = "video/mp4"
SELF_SIGNED = "self-signed by cmet"
"""Who has signed, as programs show it."""

UNTRUSTED = "signingCredential.untrusted"
"""What C2PA says of a signature for which no authority vouches."""

VALID_FOR = timedelta(days=3650)

Signature = Literal["none", "self-signed, unchanged since", "signed by others, unchanged since", "changed since"]


def require_signing() -> None:
    """Make sure that files can be signed here.

    Raises:
        UserError: The library is not installed.
    """
    if not is_installed(EXTRA):
        raise UserError(f"--sign needs a library that is not here: {install_command(EXTRA)}")


def sign_video(path: Path, provenance: Provenance) -> None:
    """Put signed credentials into an mp4, in its place; pictures and sound stay as they are.

    Raises:
        UserError: The library is not installed.
    """
    require_signing()
    import c2pa

    chain, key = _throwaway_identity()
    info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None)
    with (
        fresh_file(path) as signed,
        c2pa.Signer.from_info(info) as signer,
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


def _throwaway_identity() -> tuple[bytes, bytes]:
    """Certificates and the key of the first of them, in PEM; C2PA takes none that signs itself, so there are two."""
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
    return b"".join(one.public_bytes(Encoding.PEM) for one in chain), pem

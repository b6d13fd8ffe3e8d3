"""`cmet provenance`: what an edited video says of how it was made."""

from pathlib import Path
from typing import Annotated

import typer

from cmet.commands.answer import Answer, answering


@answering
def provenance(file: Annotated[Path, typer.Argument(help="A video that cmet has edited.")]) -> Answer:
    """Print what an edited video says of how it was made; anyone can change or remove that."""
    from cmet.editing.result.credentials import signature_of
    from cmet.editing.result.provenance import read_provenance

    said, signature = read_provenance(file), signature_of(file)
    lines = [
        f"{file}: {said.sentence}",
        f"speech heard with: {said.speech_encoder}",
        f"digest of the model: {said.model_sha256}",
        f"signature (C2PA): {signature or 'not looked at, since the extra c2pa is not here'}",
        *(f"{name}: {value}" for name, value in said.settings.items()),
    ]
    return Answer({"file": file, **vars(said), "signature": signature}, "\n".join(lines))

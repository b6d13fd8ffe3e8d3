"""`cmet weights`: the pretrained checkpoints, which are here, and what a file is."""

import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmet.commands.answer import Answer, answering
from cmet.commands.completing import checkpoints

if TYPE_CHECKING:
    from cmet.weights.identify import Identification
    from cmet.weights.registry import Checkpoint

app = typer.Typer(help="Pretrained checkpoints: list them, and tell what a file is.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
@answering
def listing(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder of the weights; default CMET_WEIGHTS, or the one in params.yaml."),
    ] = None,
) -> Answer | None:
    """List the pretrained checkpoints: where to get them, and which are here. Nothing is downloaded."""
    if context.invoked_subcommand is not None:
        return None
    from cmet.weights.registry import CHECKPOINTS, weights_folder

    folder = weights_folder() if folder is None else folder
    rows = [_row(checkpoint, folder) for checkpoint in CHECKPOINTS.values()]
    return Answer({"folder": folder, "checkpoints": rows}, _table(rows, folder))


@app.command()
@answering
def verify(
    path: Annotated[Path, typer.Argument(help="A file that may hold weights.")],
    name: Annotated[
        str | None, typer.Option("--as", help="The checkpoint it should be.", autocompletion=checkpoints)
    ] = None,
) -> Answer:
    """Say what a file is and whether it loads (exit code 0), does not (1) or cannot be read (2)."""
    from cmet.weights.identify import identify

    found = identify(path, name)
    return Answer(_facts(found), _verdict(found), exit_code=0 if found.loads else 1)


@app.command()
@answering
def export_connector(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model, data/train/<backbone>.")],
    out: Annotated[Path, typer.Argument(help="The file to write (.pth).")],
) -> Answer:
    """Write a trained Connector of the paper's size as the authors' code reads it."""
    from cmet.connector.bundle import load_bundle
    from cmet.connector.official import export_official

    bundle = load_bundle(model)
    export_official(bundle, out)
    config = bundle.config
    return Answer(
        {"out": out, "step": config.step, "backbone": config.backbone, "speech_encoder": config.speech_encoder},
        f"{out}: step {config.step}; for {config.backbone} and {config.speech_encoder}, which the file does not state",
    )


def _row(checkpoint: "Checkpoint", folder: Path) -> dict[str, Any]:
    from cmet.weights.registry import NOT_STATED

    network, path = checkpoint.network, checkpoint.located(folder)
    return {
        "name": checkpoint.name,
        "file": (checkpoint.file or NOT_STATED) + ("/" if checkpoint.file and checkpoint.is_folder else ""),
        "purpose": checkpoint.purpose,
        "enables": checkpoint.enables,
        "source": checkpoint.source,
        "home": f"{folder / checkpoint.home}/",
        "licence": checkpoint.licence or NOT_STATED,
        "size_bytes": checkpoint.size_bytes or NOT_STATED,
        "sha256": checkpoint.sha256 or NOT_STATED,
        "num_keys": len(network.shapes) if network else NOT_STATED,
        "path": str(path) if path else None,
    }


def _table(rows: list[dict[str, Any]], folder: Path) -> str:
    from cmet.weights.registry import CHECKPOINTS

    lines = [f"{'name':<20}{'file':<43}{'licence':<13}{'bytes':>12}{'keys':>12}  here"]
    for row in rows:
        size, keys = (f"{row[key]:,}" if isinstance(row[key], int) else row[key] for key in ("size_bytes", "num_keys"))
        here = "yes" if row["path"] else "no" if CHECKPOINTS[row["name"]].file else "-"
        lines += [
            f"{row['name']:<20}{row['file']:<43}{row['licence']:<13}{size:>12}{keys:>12}  {here}",
            *_wrapped("for", row["purpose"]),
            *_wrapped("from", row["source"]),
            *_wrapped("to", row["home"]),
        ]
    num_here = sum(row["path"] is not None for row in rows)
    lines += [
        "",
        f"{num_here} of {len(rows)} are in {folder}/ (another folder: --folder or CMET_WEIGHTS). cmet downloads none.",
        "Their publishers state no sha256; `cmet weights verify FILE` prints that of your file.",
    ]
    return "\n".join(lines)


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(text, 120, initial_indent=f"    {label:<6}", subsequent_indent=" " * 10)


def _verdict(found: "Identification") -> str:
    return f"{found.path}: {found.kind}, {found.size_bytes:,} bytes, sha256 {found.sha256}\n{found.sentence}"


def _facts(found: "Identification") -> dict[str, Any]:
    compared = found.wanted
    return {
        "path": found.path,
        "kind": found.kind,
        "size_bytes": found.size_bytes,
        "sha256": found.sha256,
        "loads": found.loads,
        "sentence": found.sentence,
        "num_tensors": found.num_tensors,
        "not_finite": found.not_finite,
        "expected": found.expected.name if found.expected else None,
        "best": found.best.network.name if found.best else None,
        "compared": asdict(compared) | {"network": compared.network.name} if compared else None,
    }

"""`cmet weights`: the pretrained checkpoints, which are here, getting them, and what a file is."""

import sys
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmet.commands.answer import Answer, answering
from cmet.commands.completing import checkpoints, purposes
from cmet.errors import UserError

if TYPE_CHECKING:
    from cmet.weights.fetching import Fetched, MissingFile, Offer
    from cmet.weights.identify import Identification
    from cmet.weights.registry import Checkpoint

app = typer.Typer(help="Pretrained checkpoints; without a command: list them.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
@answering
def listing(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder of the weights; default CMET_WEIGHTS, or the one in params.yaml."),
    ] = None,
) -> Answer | None:
    """List the pretrained checkpoints: where they come from, and which are here."""
    if context.invoked_subcommand is not None:
        return None
    from cmet.weights.registry import CHECKPOINTS, weights_folder

    folder = weights_folder() if folder is None else folder
    rows = [_row(checkpoint, folder) for checkpoint in CHECKPOINTS.values()]
    return Answer({"folder": folder, "checkpoints": rows}, _table(rows, folder))


@app.command()
@answering
def get(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of checkpoints; without any, what there is.", autocompletion=checkpoints),
    ] = None,
    purpose: Annotated[
        str | None,
        typer.Option("--for", help="All that is needed to edit, to hear or for paper-table.", autocompletion=purposes),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder of the weights; default CMET_WEIGHTS, or the one in params.yaml."),
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Agree to the licences without being asked.")
    ] = False,
) -> Answer:
    """Download checkpoints to where they are looked for; exit code 1 if one of them is not there in the end.

    What is there is left alone, and what was interrupted goes on.
    """
    from cmet.weights.fetching import chosen, complete_folders, missing_files
    from cmet.weights.registry import weights_folder

    folder = weights_folder() if folder is None else folder
    wanted = chosen(names or [], purpose)
    if not wanted:
        return _offerings(folder)
    complete_folders(wanted, folder)
    missing = missing_files(wanted, folder)
    if missing and not accept_licence and not sys.stdin.isatty():
        raise UserError(
            f"weights come with licences to agree to ({_licences(file.checkpoints for file in missing)}); add "
            "--accept-licence if you do"
        )
    outcomes = _brought(missing, folder, accept_licence)
    complete_folders(wanted, folder)
    return _got(wanted, folder, outcomes)


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


def _brought(missing: "list[MissingFile]", folder: Path, accept_licence: bool) -> "list[tuple[MissingFile, Fetched]]":
    """What becomes of each file, once sizes are known and licences are agreed to."""
    from cmet.weights.fetching import Offer, check_room_for, fetch, looked_for

    if missing:
        _tell(f"looking for {', '.join(file.name for file in missing)}")
    looked = looked_for(missing)
    offers = [(file, found) for file, found in looked if isinstance(found, Offer)]
    if offers:
        _tell(_plan(offers, folder))
        check_room_for(offers)
        if not accept_licence:
            _tell(f"licences: {_licences(file.checkpoints for file, _ in offers)}")
            if not typer.confirm("Do you agree to them?", err=True):
                raise UserError("nothing was downloaded: the licences were not agreed to")
    return [(file, fetch(file, found) if isinstance(found, Offer) else found) for file, found in looked]


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _plan(offers: "list[tuple[MissingFile, Offer]]", folder: Path) -> str:
    """Files, sizes and sources, before anything is transferred."""
    from cmet.weights.transfer import size_said

    lines = [f"to {folder}/:"]
    for file, offer in offers:
        size = "size not stated" if offer.size_bytes is None else size_said(offer.size_bytes)
        here = f", {size_said(offer.num_here)} of it here" if offer.num_here else ""
        licences = ", ".join(dict.fromkeys(_licence(one) for one in file.checkpoints))
        lines.append(f"  {file.home.name}/{file.name}: {size}{here}; licence {licences}; from {offer.route}")
    known = [offer.num_missing for _, offer in offers if offer.num_missing is not None]
    unknown = len(offers) - len(known)
    more = f", and {unknown} of a size that is not stated" if unknown else ""
    return "\n".join([*lines, f"  to download: {size_said(sum(known))}{more}"])


def _licences(groups: "Iterable[Iterable[Checkpoint]]") -> str:
    """Each licence with the checkpoints that are under it."""
    named: dict[str, list[str]] = {}
    for checkpoint in dict.fromkeys(one for group in groups for one in group):
        named.setdefault(_licence(checkpoint), []).append(checkpoint.name)
    return "; ".join(f"{licence}: {', '.join(names)}" for licence, names in named.items())


def _licence(checkpoint: "Checkpoint") -> str:
    return checkpoint.licence or "not stated by its publisher"


def _got(wanted: "list[Checkpoint]", folder: Path, outcomes: "list[tuple[MissingFile, Fetched]]") -> Answer:
    from cmet.weights.extras import install_command, is_installed

    rows, lines = [], []
    for file, outcome in outcomes:
        place = file.home / file.name
        rows.append(
            {
                "file": str(place),
                "checkpoints": [one.name for one in file.checkpoints],
                "status": outcome.status,
                "said": outcome.said,
                "sha256": outcome.sha256,
            }
        )
        said = f"from {outcome.said}, sha256 {outcome.sha256}" if outcome.sha256 else outcome.said
        lines.append(
            f"{place}: {outcome.status}, {said}" if outcome.sha256 else f"{file.name}: {outcome.status}: {said}"
        )
    paths = {one.name: one.located(folder) for one in wanted}
    absent = [name for name, path in paths.items() if path is None]
    lines.append(
        f"not there: {', '.join(absent)}" if absent else f"in {folder}/: {', '.join(paths)}",
    )
    extras = {one.extra for one in wanted if one.extra and not is_installed(one.extra)}
    needs = [f"{extra} also needs a package: {install_command(extra)}" for extra in sorted(extras)]
    return Answer(
        {"folder": folder, "paths": paths, "files": rows, "needs": needs},
        "\n".join([*lines, *needs]),
        exit_code=1 if absent else 0,
    )


def _offerings(folder: Path) -> Answer:
    """What `cmet weights get` can be asked for."""
    from cmet.weights.registry import CHECKPOINTS, PURPOSES

    rows = [
        {
            "name": one.name,
            "size": _size(one),
            "licence": _licence(one),
            "path": one.located(folder),
        }
        for one in CHECKPOINTS.values()
    ]
    lines = [f"{'name':<22}{'size':<18}{'here':<6}licence"]
    lines += [f"{row['name']:<22}{row['size']:<18}{'yes' if row['path'] else 'no':<6}{row['licence']}" for row in rows]
    lines.append("")
    for purpose, members in PURPOSES.items():
        lines += textwrap.wrap(f"--for {purpose}: {', '.join(members)}", 120, subsequent_indent=" " * 10)
    return Answer({"folder": folder, "checkpoints": rows, "purposes": PURPOSES}, "\n".join(lines))


def _size(checkpoint: "Checkpoint") -> str:
    """Of all files of a checkpoint, as far as somebody states it; descriptions beside weights do not count."""
    from cmet.weights.registry import NOT_STATED
    from cmet.weights.routes import ManualRoute
    from cmet.weights.transfer import size_said

    (weights,) = (one for one in checkpoint.downloads if not one.is_text)
    is_manual = isinstance(weights.routes[0], ManualRoute)
    if weights.size_bytes:
        return size_said(weights.size_bytes)
    if weights.about_bytes:
        return f"about {size_said(weights.about_bytes)}"
    return NOT_STATED if is_manual else "shown by get"


def _row(checkpoint: "Checkpoint", folder: Path) -> dict[str, Any]:
    from cmet.weights.registry import NOT_STATED

    network, path = checkpoint.network, checkpoint.located(folder)
    return {
        "name": checkpoint.name,
        "file": checkpoint.file + ("/" if checkpoint.is_folder else ""),
        "purpose": checkpoint.purpose,
        "enables": checkpoint.enables,
        "source": checkpoint.source,
        "home": f"{folder / checkpoint.home}/",
        "licence": checkpoint.licence or NOT_STATED,
        "size": _size(checkpoint),
        "size_bytes": checkpoint.size_bytes or NOT_STATED,
        "sha256": checkpoint.sha256 or NOT_STATED,
        "num_keys": len(network.shapes) if network else NOT_STATED,
        "path": str(path) if path else None,
    }


def _table(rows: list[dict[str, Any]], folder: Path) -> str:
    lines = [f"{'name':<22}{'file':<43}{'size':>16}{'keys':>12}  here"]
    for row in rows:
        keys = f"{row['num_keys']:,}" if isinstance(row["num_keys"], int) else row["num_keys"]
        lines += [
            f"{row['name']:<22}{row['file']:<43}{row['size']:>16}{keys:>12}  {'yes' if row['path'] else 'no'}",
            *_wrapped("for", row["purpose"]),
            *_wrapped("under", row["licence"]),
            *_wrapped("from", row["source"]),
            *_wrapped("to", row["home"]),
        ]
    num_here = sum(row["path"] is not None for row in rows)
    lines += [
        "",
        f"{num_here} of {len(rows)} are in {folder}/ (another folder: --folder or CMET_WEIGHTS).",
        "`cmet weights get NAME` downloads one; `cmet weights verify FILE` says what a file is.",
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

"""`cmet corpus`: what is there of a raw corpus, and the card of a prepared one."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cmet.commands.answer import Answer, answering
from cmet.params import CorpusName

app = typer.Typer(no_args_is_help=True, help="Inspect corpora.")

COMPLETE, INCOMPLETE = 0, 1
"""Exit codes; 2, as for every mistake of the caller, when the folder is not of this corpus."""


@app.callback()
def about_corpora() -> None:
    """Inspect corpora."""


@app.command()
@answering
def check(
    corpus: Annotated[CorpusName, typer.Argument(help="Which corpus it is.")],
    root: Annotated[
        Path,
        typer.Argument(help="Folder or inventory of the raw corpus (for `table`, also its CSV or Parquet file)."),
    ],
    full: Annotated[bool, typer.Option("--full", help="Show lists in full.")] = False,
    disk: Annotated[Path, typer.Option("--disk", help="A folder on the disk that prepared clips will go to.")] = Path(),
    files: Annotated[
        Path | None,
        typer.Option(
            "--files", help="Folder that DVC will watch (manifest.files); default the one that `cmet use` sets."
        ),
    ] = None,
    views: Annotated[
        str, typer.Option("--views", help="Views of MEAD that are wanted (manifest.views), with commas between them.")
    ] = "front",
) -> Answer:
    """Show what of a corpus is there and what is missing: exit code 0 complete, 1 incomplete, 2 not this corpus."""
    from cmet.corpora.check import MAX_LISTED, check_corpus, check_table
    from cmet.corpora.registry import corpus_in_views

    report = check_corpus(corpus_in_views(corpus, views.split(",")), root, disk, files)
    return Answer(
        asdict(report) | {"is_complete": report.is_complete},
        check_table(report, sys.maxsize if full else MAX_LISTED),
        exit_code=COMPLETE if report.is_complete else INCOMPLETE,
    )


@app.command("inventory")
@answering
def list_objects(
    inventory: Annotated[Path, typer.Argument(help="The file to write, *.inventory; one that is there is renewed.")],
    of: Annotated[
        str | None,
        typer.Option("--of", help="Address of the corpus, like s3://bucket/MEAD; default the one in the file."),
    ] = None,
) -> Answer:
    """List a corpus in an object store, so that it can be read and DVC sees what has changed there."""
    from cmet.objects.renewing import renew_inventory

    report = renew_inventory(inventory, of)
    changes = ", ".join(
        f"{number:,} {word}"
        for number, word in (
            (report.num_added, "added"), (report.num_changed, "changed"), (report.num_removed, "removed"),
        )
        if number
    )  # fmt: skip
    return Answer(
        asdict(report),
        f"{inventory}: {report.num_objects:,} objects of {report.address}, {report.num_bytes / 1e9:.3g} GB; "
        f"{changes or 'nothing has changed'}",
    )


@app.command("unpack")
@answering
def unpack_clips(
    clips: Annotated[list[str], typer.Argument(help="Their ids, as in clips.parquet.")],
    to: Annotated[Path, typer.Option("--to", help="Folder that gets the files.")],
    project: Annotated[Path, typer.Option("--project", help="Folder of the project.")] = Path(),
) -> Answer:
    """Write prepared clips as plain files: the picture as mp4, the sound as wav."""
    from cmet.project import Project

    prepared = Project.at(project / "params.yaml").clips()
    paths = [path for clip_id in clips for path in prepared.write_out(clip_id, to)]
    return Answer({"paths": paths}, "\n".join(map(str, paths)))


@app.command()
@answering
def card(
    contact: Annotated[
        str | None, typer.Option("--contact", help="Whom to ask for removal: a name or an address.")
    ] = None,
    project: Annotated[Path, typer.Option("--project", help="Folder of the project.")] = Path(),
) -> Answer:
    """Print the data card of the prepared corpus: who and what is in it, what was set aside, licence, removal."""
    from cmet.cards import data_card, printed_card
    from cmet.project import Project

    opened = Project.at(project / "params.yaml")
    made = data_card(opened.clips(), opened.params, contact)
    return Answer(made, printed_card(made))

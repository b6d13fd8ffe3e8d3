"""`cmet clean`: what a project can do without."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cmet.commands.answer import Answer, answering


@answering
def clean(
    outputs: Annotated[
        bool,
        typer.Option("--outputs", help="Also remove what the stages made: data/ and reports/, not weights or scores."),
    ] = False,
    keep_runs: Annotated[
        int | None,
        typer.Option(
            "--keep-runs", min=1, help="Also remove runs of MLflow but the newest N of each stage and backbone."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    project: Annotated[Path, typer.Option("--project", help="Folder of the project.")] = Path(),
) -> Answer:
    """List unfinished work and what DVC's cache holds beyond this checkout, with sizes; remove both if you confirm."""
    from cmet.cleaning import Cleaning, find_leftovers, printed_leftovers, remove, said_size
    from cmet.errors import UserError
    from cmet.inputs.files import oddity

    odd = oddity(project / "params.yaml")
    if odd is not None and not (project / "params.yaml").is_file():
        raise UserError(f"{project / 'params.yaml'}: {odd}; run the command in the project folder")
    cleaning = Cleaning(find_leftovers(project, outputs, keep_runs), is_removed=False)
    said = printed_leftovers(cleaning.leftovers)
    if any(one.kept is None for one in cleaning.leftovers):
        print(said)
        is_asked = not yes and sys.stdin.isatty() and sys.stderr.isatty()
        if yes or (is_asked and typer.confirm("Remove everything that is not marked as kept?", err=True)):
            cleaning = remove(project, cleaning.leftovers)
            said = f"Freed {said_size(cleaning.size_bytes)}."
        else:
            said = "Nothing was removed" + ("." if is_asked else "; add --yes to remove it.")
    return Answer({**vars(cleaning), "size_bytes": cleaning.size_bytes}, said)

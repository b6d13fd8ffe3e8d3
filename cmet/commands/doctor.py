"""`cmet doctor`: what this machine can and cannot run."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmet.commands.answer import Answer, answering

if TYPE_CHECKING:
    from cmet.doctor.finding import Finding


@answering
def doctor(
    project: Annotated[Path, typer.Option("--project", help="Folder of the project.")] = Path(),
) -> Answer:
    """Say what this machine can run and what to do about the rest.

    The exit code is 1 if the built-in sample cannot run, or `cmet edit` where there is no project.
    """
    from cmet.doctor.examination import can_edit, can_run_sample, examine

    findings = examine(project)
    is_able, is_editing = can_run_sample(findings), can_edit(findings)
    lines = [line for finding in findings for line in _lines(finding)]
    num_problems = sum(finding.status == "problem" for finding in findings)
    end = (
        "The built-in sample can run: `make demo`."
        if is_able
        else f"The built-in sample cannot run: {num_problems} {'problem' if num_problems == 1 else 'problems'}."
        + (" `cmet edit` can." if is_editing else "")
    )
    is_enough = is_able if (project / "dvc.yaml").is_file() else is_editing
    return Answer(
        {"can_run_sample": is_able, "can_edit": is_editing, "findings": findings},
        "\n".join([*lines, "", end]),
        exit_code=0 if is_enough else 1,
    )


def _lines(finding: "Finding") -> list[str]:
    head = f"{finding.status:<9}{finding.probe:<15}"
    text = textwrap.wrap(finding.found, 120, initial_indent=head, subsequent_indent=" " * 24)
    advice = textwrap.wrap(finding.advice, 120, initial_indent=" " * 24 + "-> ", subsequent_indent=" " * 27)
    return text + (advice if finding.status != "ok" else [])

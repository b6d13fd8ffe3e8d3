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
    """Say what this machine can run and what to do about the rest; exit code 1 if the built-in sample cannot run."""
    from cmet.doctor.examination import can_run_sample, examine

    findings = examine(project)
    is_able = can_run_sample(findings)
    lines = [line for finding in findings for line in _lines(finding)]
    num_problems = sum(finding.status == "problem" for finding in findings)
    end = (
        "The built-in sample can run: `make demo`."
        if is_able
        else f"The built-in sample cannot run: {num_problems} {'problem' if num_problems == 1 else 'problems'}."
    )
    return Answer(
        {"can_run_sample": is_able, "findings": findings}, "\n".join([*lines, "", end]), exit_code=0 if is_able else 1
    )


def _lines(finding: "Finding") -> list[str]:
    head = f"{finding.status:<9}{finding.probe:<15}"
    text = textwrap.wrap(finding.found, 120, initial_indent=head, subsequent_indent=" " * 24)
    advice = textwrap.wrap(finding.advice, 120, initial_indent=" " * 24 + "-> ", subsequent_indent=" " * 27)
    return text + (advice if finding.status != "ok" else [])

import inspect
from pathlib import Path

import pytest

from cmet.studio.gradio_without_stubs import _no_file, gradio


def test_files_are_found_again() -> None:
    assert inspect.getfile(gradio.Textbox).endswith("textbox.py")


def test_gradio_writes_no_stub_for_what_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio.component_meta import create_or_modify_pyi

    monkeypatch.setattr(inspect, "getfile", _no_file)
    monkeypatch.setattr(Path, "read_text", None)
    monkeypatch.setattr(Path, "write_text", None)
    create_or_modify_pyi(gradio.Textbox, "Textbox", [])

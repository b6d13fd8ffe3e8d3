"""Gradio without the type stubs that it writes beside its own files: importing it so takes .6 of the time.

It writes none for a class without a file, and no class has one as long as it is imported here.
"""

import inspect
from typing import Any


def _no_file(object: Any) -> str:
    raise OSError(f"{object} gets no stubs")


_getfile = inspect.getfile
inspect.getfile = _no_file
try:
    import gradio as gradio
finally:
    inspect.getfile = _getfile

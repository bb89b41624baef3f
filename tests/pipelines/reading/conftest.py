"""Packages of source, written for a test; and the installed diffusers, read once."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from nodegraph.interop.pipelines.classes import PipelineClass, PipelineDataclass
from nodegraph.interop.pipelines.reading.source_modules import SourcePackage

Everything = tuple[Mapping[str, PipelineClass], Mapping[str, PipelineDataclass], Mapping[str, str]]

BASE = """
class ConfigMixin: ...


class DiffusionPipeline(ConfigMixin):
    _optional_components = []


class ImagePipelineOutput: ...
"""

OUTPUT = """
from dataclasses import dataclass
import numpy as np
import PIL.Image
from ...utils import BaseOutput


@dataclass
class ImagePipelineOutput(BaseOutput):
    '''
    Images.

    Args:
        images (`list[PIL.Image.Image]`):
            Those that were made.
    '''
    images: list[PIL.Image.Image] | np.ndarray
"""

HEAD = """
import PIL.Image
import numpy as np
import torch
from typing import Any, Callable, Dict, List, Optional, Tuple, Union
from ...image_processor import PipelineImageInput
from ..pipeline_utils import DiffusionPipeline
from .pipeline_output import ImagePipelineOutput
"""

ALIASES = """
import PIL.Image
import numpy as np
import torch

PipelineImageInput = PIL.Image.Image | np.ndarray | torch.Tensor | list[PIL.Image.Image]
"""


class Package:
    """A folder laid out as diffusers is, to which files are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("", "pipelines", "pipelines/fox"):
            self.write(f"{name}/__init__.py", "")
        self.write("utils.py", "class BaseOutput: ...")
        self.write("image_processor.py", ALIASES)
        self.write("pipelines/pipeline_utils.py", BASE)
        self.write("pipelines/fox/pipeline_output.py", OUTPUT)

    def write(self, path: str, text: str) -> None:
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def pipeline(self, text: str, name: str = "pipeline_fox") -> None:
        """A module of pipelines, with the usual imports before its text."""
        self.write(f"pipelines/fox/{name}.py", HEAD + dedent(text))

    @property
    def source(self) -> SourcePackage:
        return SourcePackage(self.folder)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path / "diffusers")


@pytest.fixture(scope="session")
def everything(known_pipelines: Path) -> Everything:
    """All of the installed diffusers, as `pipelines_and_faults` gives it."""
    found: Everything = pickle.loads((known_pipelines / "pipelines.pickle").read_bytes())
    return found


@pytest.fixture(scope="session")
def classes(everything: Everything) -> Mapping[str, PipelineClass]:
    return everything[0]


Reader = Callable[[str], PipelineClass]


@pytest.fixture
def read_call(package: Package) -> Reader:
    """What is read of a class ``FoxPipeline`` whose call has a signature and a body."""
    from nodegraph.interop.pipelines.source import pipeline_class

    def read(call: str) -> PipelineClass:
        package.pipeline(
            "class FoxPipeline(DiffusionPipeline):\n" + _indented(dedent(call).strip("\n"))
        )
        found = pipeline_class("FoxPipeline", package.folder)
        assert found is not None
        return found

    return read


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines()) + "\n"

"""A diffusers of one's own, for what the installed one doesn't have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_UTILS = '''
class BaseOutput(dict):
    pass


@dataclass
class ImagePipelineOutput(BaseOutput):
    """
    Output class.

    Args:
        images (`list[PIL.Image.Image]`): The images.
    """

    images: list[PIL.Image.Image] | np.ndarray


class DiffusionPipeline:
    def register_modules(self, **kwargs): ...
'''
_HEAD = """
from ..pipeline_utils import DiffusionPipeline, ImagePipelineOutput
"""
PAINT = '''
class PaintTomorrowPipeline(DiffusionPipeline):
    """
    Pipeline that paints what tomorrow brings.

    This model inherits from [`DiffusionPipeline`].
    """

    def __init__(self, unet: UNet2DModel, scheduler: Scheduler):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    def __call__(
        self,
        prompt: str | list[str] = None,
        image: PIL.Image.Image = None,
        num_inference_steps: int = 7,
        generator: torch.Generator | None = None,
        return_dict: bool = True,
    ):
        """
        Paint.

        Args:
            prompt (`str`): What to paint.
            num_inference_steps (`int`, defaults to 7): How long to look at it.
        """
        for _ in self.progress_bar(range(num_inference_steps)):
            image = self.unet(image, prompt, generator)
        return ImagePipelineOutput(images=image)
'''


def install(site: Path, **modules: str) -> None:
    """Put a package `diffusers` there, with these modules of pipelines, as an installer does."""
    root = site / "diffusers"
    for folder in (root, root / "pipelines", root / "pipelines" / "tomorrow"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").unlink(missing_ok=True)
        (folder / "__init__.py").write_text("raise RuntimeError('it must not be imported')\n")
    (root / "pipelines" / "pipeline_utils.py").write_text(_UTILS)
    for name, text in modules.items():
        (root / "pipelines" / "tomorrow" / f"{name}.py").write_text(_HEAD + text)


_LIST = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
registry = Session(Settings(home=Path(sys.argv[1]), leave_out=())).registry
names = [name for name in registry.node_types() if name.startswith("diffusers:")]
specs = {name: asdict(registry.spec(name)) for name in names}
heavy = sorted({"torch", "diffusers"} & set(sys.modules))
print(json.dumps({"specs": specs, "problems": registry.problems, "heavy": heavy}))
"""


def listed(home: Path, site: Path) -> dict[str, Any]:
    """What a process that finds the diffusers in a folder says of the pack."""
    done = subprocess.run(
        [sys.executable, "-c", _LIST, str(home)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found

"""The files that a new pack begins with: a package that installs, runs and passes its tests."""

from __future__ import annotations

import json
import keyword
import re
import sys
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from string import Template
from typing import Any, Literal

from nodegraph.core.version import VERSION
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue
from nodegraph.packs.pack import GROUP

License = Literal["MIT", "BSD-3-Clause", "none"]

_MODULE = "brightness"


def package_name(name: str) -> str:
    """The import name of a pack of a name, which is also the prefix of its node types.

    Raises:
        InvalidValue: No package can be called so, or another one is.
    """
    package = re.sub(r"[-. ]+", "_", name.strip()).lower()
    if not re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", package) or keyword.iskeyword(package):
        raise InvalidValue(
            f"a pack cannot be called `{name}`",
            expected="letters, digits, hyphens and underscores, starting with a letter and not "
            "ending with a hyphen",
        )
    if hasattr(Workflow, package) or package in {each.name for each in fields(Workflow)}:
        raise InvalidValue(
            f"a pack cannot be called `{name}`: graphs already have an attribute of that name",
            hint=f"Choose another name, for example `{name}-pack`.",
        )
    if package in sys.stdlib_module_names or find_spec(package) is not None:
        raise InvalidValue(
            f"a pack cannot be called `{name}`: there is already a Python package `{package}`",
            hint=f"Choose another name, for example `{name}-nodes`.",
        )
    return package


def pack_files(name: str, license: License, author: str) -> Mapping[str, str]:
    """The files of a new pack by their place in its folder.

    Args:
        author: Whom the licence names.
    Raises:
        InvalidValue: See `package_name`.
    """
    package = package_name(name)
    words = {
        "name": package.replace("_", "-"),
        "package": package,
        "title": package.replace("_", " ").capitalize(),
        "version": VERSION,
        "group": GROUP,
        "author": author,
        "license": "" if license == "none" else f'license = "{license}"\n',
        "license_files": "" if license == "none" else 'license-files = ["LICENSE"]\n',
    }
    texts = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        ".gitignore": _GITIGNORE,
        f"src/{package}/__init__.py": '"""$title: nodes for nodegraph."""\n',
        f"src/{package}/{_MODULE}.py": _NODES,
        f"src/{package}/py.typed": "",
        "tests/conftest.py": _CONFTEST,
        f"tests/test_{_MODULE}.py": _TESTS,
        **({} if license == "none" else {"LICENSE": _LICENSES[license]}),
    }
    files = {path: _filled(text, words) for path, text in texts.items()}
    files[f"src/{package}/examples/Brighten.json"] = _example(package)
    return files


def _filled(text: str, words: Mapping[str, str]) -> str:
    return Template(text).substitute(words)


def _example(package: str) -> str:
    gradient = {"width": 96, "height": 64, "colors": "black orange white"}
    nodes: dict[str, Any] = {
        "picture": {"type": "GradientImage", "inputs": gradient},
        "brighten": {
            "type": f"{package}:Brighten",
            "inputs": {"image": {"from": "picture"}, "amount": 1.5, "steps": 2},
        },
        "save": {
            "type": "SaveImage",
            "inputs": {"image": {"from": "brighten"}, "name": "brighten"},
        },
    }
    document = {
        "format": "nodegraph/1",
        "title": "Brighten",
        "description": "A gradient, made brighter.",
        "parameters": {"amount": "brighten.amount"},
        "nodes": nodes,
    }
    return json.dumps(document, indent=2) + "\n"


_PYPROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$name"
version = "0.1.0"
description = "Nodes for nodegraph."
readme = "README.md"
requires-python = ">=3.10"
$license${license_files}dependencies = ["nodegraph>=$version"]

[project.optional-dependencies]
dev = ["pytest>=8"]

# The name here is the prefix of the node types: `$package:Brighten`.
[project.entry-points."$group"]
$package = "$package"

[tool.setuptools.packages.find]
where = ["src"]

[tool.setuptools.package-data]
$package = ["examples/*", "panels/*", "widgets/*", "py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""

_README = """# $title

Nodes for [nodegraph](https://pypi.org/project/nodegraph/).

```sh
pip install -e ".[dev]"
nodegraph nodes $package:Brighten          # its inputs and outputs
nodegraph new --example $package:Brighten  # a workflow that shows it
nodegraph pack test                        # each node: types, determinism, mutation, cancelling
pytest
```

| node | does |
|---|---|
| `$package:Brighten` | makes an image brighter, in steps |

Each module of `src/$package` may declare nodes; `examples` holds a workflow for each of them.
"""

_GITIGNORE = """__pycache__/
*.egg-info/
.venv/
.pytest_cache/
.mypy_cache/
build/
dist/
output/
"""

_NODES = '''"""Nodes that change how bright images are."""

from typing import Annotated

from nodegraph import Context, Image, Range, node


@node(category="$package", tags=("exposure", "lighten"))
def Brighten(
    ctx: Context,
    image: Image,
    amount: Annotated[float, Range(0, 4, step=0.1)] = 1.2,
    steps: Annotated[int, Range(1, 100)] = 1,
) -> Image:
    """Make an image brighter, step by step.

    Args:
        image: The input image, which is not changed.
        amount: Factor of each step; 1 changes nothing.
        steps: Number of steps.
    """
    for step in range(steps):
        # A new tensor each time: other nodes share the input.
        image = (image * amount).clamp(0, 1)
        ctx.progress(step + 1, steps)  # also where a cancelled run stops
    return image
'''

_CONFTEST = '''"""Fixtures: `run_node`, `run_workflow`, `check_node` and `workbench`."""

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest_plugins = ["nodegraph.python.testing.fixtures"]


@pytest.fixture(scope="session")
def nodegraph_packs() -> Sequence[str | Path]:
    """No more packs: this one is installed by `pip install -e .`."""
    return ()
'''

_TESTS = '''"""Tests of the nodes."""

from collections.abc import Callable
from typing import Any

import torch

from nodegraph.python.testing import NodeVerdicts

Run = Callable[..., Any]


def test_a_picture_gets_brighter_and_stays_in_range(run_node: Run) -> None:
    image = torch.full((1, 4, 4, 3), 0.4)
    assert torch.allclose(run_node("$package:Brighten", image=image, amount=2.0), image * 2)
    assert run_node("$package:Brighten", image=image, amount=2.0, steps=3).max() == 1


def test_an_amount_of_1_changes_nothing(run_node: Run) -> None:
    image = torch.rand(2, 4, 4, 3)
    assert torch.equal(run_node("$package:Brighten", image=image, amount=1.0), image)


def test_it_keeps_to_the_rules(check_node: Callable[..., NodeVerdicts]) -> None:
    verdicts = check_node("$package:Brighten")
    assert verdicts.faults == []
    assert verdicts.state("cancel") == "passed"
'''

_MIT = """MIT License

Copyright (c) $author

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_BSD = """Copyright (c) $author

Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions
   and the following disclaimer.

2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions
   and the following disclaimer in the documentation and/or other materials provided with the
   distribution.

3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse
   or promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER
IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF
THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""

_LICENSES: Mapping[License, str] = {"MIT": _MIT, "BSD-3-Clause": _BSD}

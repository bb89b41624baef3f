"""What short commands don't import, so that they start at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import nodegraph
from nodegraph import api
from nodegraph.families.index import INDEX
from nodegraph.families.stable_diffusion import SD1
from nodegraph.media.molecules.chemistry import molecule_from_smiles
from nodegraph.media.molecules.molecule_files import encode_molecule
from nodegraph.weights.lazy import has_stand_ins
from tests.audio.making import tone
from tests.audio.making import written as write_audio
from tests.cli.conftest import PATIENCE, WORKFLOW, saved
from tests.shapes.making import box
from tests.shapes.making import written as write_mesh

PRINT_MODULES = """
import sys
from nodegraph.cli import main
code = main(sys.argv[1:])
print(code, *sys.modules, file=sys.stderr)
"""
PRINT_SERVER_MODULES = """
import sys
from nodegraph.server.serve import application
application()
print(*sys.modules)
"""
NEVER = {
    *("torch", "numpy", "PIL", "diffusers", "transformers", "networkx", "asyncio", "rich"),
    *("av", "trimesh", "rdkit"),
    *("pydantic", "pydantic_core", "pydantic_settings"),
}
RARELY = {
    *("torch._dynamo", "scipy.stats", "scipy.optimize", "scipy.integrate", "peft"),
    *("torch.distributed.fsdp", "torch.distributed.checkpoint", "torch.distributed.tensor"),
    *("accelerate", "gguf", "jinja2", "sympy", "diffusers.models.transformers.transformer_flux"),
    "diffusers.quantizers.auto",
}
"""What diffusers and transformers import for what few jobs do."""
MOST_MODULES = 132
"""Of nodegraph, for checking a workflow that makes an image of a text. Each takes a part of a
millisecond, and one that defines dataclasses a part more for each: look what brought in one more
before this is raised."""


@pytest.fixture(autouse=True)
def as_people_have_it(
    tmp_path: Path, known_pipelines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all packs: a variable that leaves one out imports what reads variables."""
    monkeypatch.delenv("NODEGRAPH_LEAVE_OUT")
    copytree(known_pipelines / "cache", tmp_path / "home" / "cache")
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))


def imported(arguments: Sequence[str | Path]) -> set[str]:
    """The modules in a process after a command, which must have succeeded."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    code, *modules = done.stderr.splitlines()[-1].split()
    assert code == "0", done.stderr
    return set(modules)


def node_modules(modules: set[str]) -> set[str]:
    """Modules that define nodes; those with an underscore hold only hooks."""
    return {
        name
        for name in modules
        if name.startswith(("nodegraph_nodes.", "nodegraph_packs."))
        and not name.rpartition(".")[2].startswith("_")
    }


def own(modules: set[str]) -> set[str]:
    """Modules of nodegraph and of its nodes."""
    return {name for name in modules if name.partition(".")[0] in ("nodegraph", "nodegraph_nodes")}


def test_importing_nodegraph_imports_almost_nothing() -> None:
    code = "import sys, nodegraph; print('pydantic' in sys.modules, 'typing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_nodegraph_offers_is_there_when_asked_for() -> None:
    listed = nodegraph.__all__
    assert set(api.__all__) < set(listed)
    assert all(hasattr(nodegraph, name) for name in listed)
    assert not hasattr(nodegraph, "nonsense")


def test_the_help_imports_no_library_but_typer() -> None:
    modules = imported(["--help"])
    assert not modules & (NEVER | {"importlib.metadata"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["nodes"],
        pytest.param(["nodes", "toys:Join"], marks=pytest.mark.slow),
        ["validate", "wf.json"],
    ],
)
def test_a_warm_listing_imports_no_pack(arguments: list[str], pack: Path) -> None:
    saved(WORKFLOW)
    arguments = [*arguments, "--pack", str(pack)]
    imported(arguments)
    modules = imported(arguments)
    assert not modules & NEVER
    assert node_modules(modules) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["diff", "wf.json", "wf.json"],
        ["merge", "wf.json", "wf.json", "wf.json"],
        ["fmt", "wf.json"],
    ],
)
def test_comparing_and_formatting_files_imports_no_library_and_no_pack(
    arguments: list[str],
) -> None:
    saved(WORKFLOW)
    modules = imported(arguments)
    assert not modules & (NEVER | {"sqlite3", "nodegraph.packs.registry"})
    assert node_modules(modules) == set()


def test_checking_what_the_built_in_pack_runs_imports_its_hooks_alone() -> None:
    command = ["validate", Path(__file__).parents[2] / "workflows" / "text_to_image.json"]
    imported(command)
    modules = imported(command)
    assert not modules & (NEVER | {"sqlite3", "logging", "importlib.metadata", "importlib.abc"})
    assert not modules & {"nodegraph.core.node", "nodegraph.packs.code_digests"}
    assert node_modules(modules) == set()
    assert len(own(modules)) <= MOST_MODULES


def test_checking_a_model_imports_its_own_family_alone() -> None:
    modules = imported(["validate", Path(__file__).parents[2] / "workflows" / "text_to_image.json"])
    homes = {entry.family().__module__ for entry in INDEX.values()}
    assert modules & homes == {SD1.__module__}
    others = ("values", "ports", "file_digests")
    assert not modules & {f"nodegraph.core.{name}" for name in others}


def test_checking_files_of_all_kinds_imports_no_torch_and_reads_none_as_a_whole(
    tmp_path: Path,
) -> None:
    write_audio(tmp_path, tone(), "wav")
    write_mesh(tmp_path, box())
    (tmp_path / "a.sdf").write_bytes(encode_molecule(molecule_from_smiles("CCO")))
    nodes: dict[str, Any] = {}
    for kind, file in {"audio": "audio.wav", "mesh": "mesh.glb", "molecule": "a.sdf"}.items():
        inputs = {"path": str(tmp_path / file)}
        nodes[kind] = {"type": f"Load{kind.title()}", "inputs": inputs}
        nodes[f"save_{kind}"] = {"type": f"Save{kind.title()}", "inputs": {kind: {"from": kind}}}
    path = saved({"format": "nodegraph/1", "nodes": nodes})
    modules = imported(["validate", path])
    assert not modules & {"torch", "diffusers", "trimesh", "rdkit"}


@pytest.mark.slow
def test_looking_after_what_is_kept_imports_no_library(pack: Path) -> None:
    saved(WORKFLOW)
    imported(["run", "wf.json", "--pack", pack, "--device", "cpu"])
    lines = ("cache info", "cache list", "cache prune", "cache verify", "runs list", "runs show")
    for line in lines:
        modules = imported(line.split())
        assert not modules & NEVER, line
        assert node_modules(modules) == set(), line


def test_showing_and_listing_models_import_no_torch() -> None:
    saved(WORKFLOW)
    assert not imported(["show", "wf.json"]) & NEVER
    assert "torch" not in imported(["models"])


def test_running_nodes_that_need_no_torch_imports_none(pack: Path) -> None:
    saved(WORKFLOW)
    modules = imported(["run", "wf.json", "--pack", pack, "--device", "cpu"])
    assert not modules & {"torch", "numpy", "rich", "pydantic"}


@pytest.mark.skipif(
    not has_stand_ins(), reason="these releases of diffusers and transformers get no stand-ins"
)
def test_making_an_image_imports_nothing_that_few_jobs_need() -> None:
    workflow = Path(__file__).parents[2] / "workflows" / "text_to_image.json"
    steps = ("sample.steps=1", "size.width=64", "size.height=64")
    settings = [part for text in steps for part in ("--set", text)]
    modules = imported(["run", workflow, "--device", "cpu", *settings])
    assert "diffusers.models.unets.unet_2d_condition" in modules
    assert modules & RARELY == set()


READ_TEMPLATE = """
from nodegraph.weights.lazy import transformers
assert transformers.Qwen3Config
from transformers.utils.chat_template_utils import _get_template_variables
print(*_get_template_variables("{{ prompt }}"))
"""
"""As the processor of Qwen-Image 2.1's pipeline does: by a module that jinja2 does not import."""


def test_a_library_that_is_imported_late_has_all_its_modules() -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ_TEMPLATE], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["prompt"]


def test_the_server_starts_without_what_only_jobs_and_images_need() -> None:
    command = [sys.executable, "-c", PRINT_SERVER_MODULES]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    modules = set(done.stdout.split())
    libraries = {"torch", "numpy", "diffusers", "transformers", "networkx", "rich", "av", "httpx"}
    assert "fastapi" in modules
    assert not modules & {*libraries, "trimesh", "rdkit"}
    assert node_modules(modules) == set()

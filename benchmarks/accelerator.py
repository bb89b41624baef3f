"""All that is to be known of a card, in one call that ends in time.

    python benchmarks/accelerator.py --budget 540 --out gpu.json [--json] [--quick] [--only PART]

Five parts, in this order, each in a process of its own and with its share of the seconds: the tests
that are marked `gpu`; latents beside the CPU's; speed beside diffusers' pipelines, by networks as
large as those of Stable Diffusion 1.5, SDXL and Flux.1, of random weights; memory that ends, and a
process that is killed; a server with one worker. What fails says so, and what there is no time for
is cut off and named; the file is a whole JSON document at any moment. It takes a card of 40 GB.

Nothing has to be installed but what is imported: it needs the repository's folder in PYTHONPATH.
Without a card, `--pretend` runs tiny networks on the one of `tests/accelerator`.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from common import options, show
from parts import Launch, Part, Parts, Report

from nodegraph.core.version import VERSION

HERE = Path(__file__).parent
ROOT = HERE.parent
PACKAGES = {
    "nodegraph/gallery": "workflows",
    "nodegraph_nodes": "nodes",
    "nodegraph_pipelines": "pipelines",
}
"""What folders are installed as that have another name here."""
TESTS = "tests"
SHARES = {TESTS: 120, "equality": 30, "speed": 180, "memory": 120, "server": 90}
"""Of the seconds."""
MOST = {TESTS: 150}
_PRETEND_MIB = {"server": 30}
"""Of a part's pretend card, in place of what is enough for the others: too little for the product
by which workers measure how fast a device multiplies."""
_ENOUGH_MIB = 60


def installed(folder: Path) -> list[Path]:
    """Folders to be first in the path, so that all is found as if the project were installed."""
    if find_spec("nodegraph_nodes") is not None:
        return []
    package = folder / "nodegraph"
    package.mkdir()
    for inside in (ROOT / "nodegraph").iterdir():
        if inside.name != "__pycache__":
            (package / inside.name).symlink_to(inside)
    for name, target in PACKAGES.items():
        (folder / name).symlink_to(ROOT / target, target_is_directory=True)
    facts = folder / f"nodegraph-{VERSION}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: nodegraph\nVersion: {VERSION}\n", encoding="utf-8"
    )
    (facts / "entry_points.txt").write_text(
        "[nodegraph.nodes]\nbuiltin = nodegraph_nodes\ndiffusers = nodegraph_pipelines\n",
        encoding="utf-8",
    )
    return [folder]


def environment(folder: Path, path: list[Path], *, pretend: bool) -> dict[str, str]:
    """The variables of a part's process.

    Args:
        folder: For temporary files.
        path: Folders to import from besides.
    """
    before = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    found = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, [*path, ROOT, HERE]), *before]),
        "TMPDIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        # Else each new home folder is a reason to read every pipeline of diffusers.
        "NODEGRAPH_LEAVE_OUT": "diffusers",
    }
    if path:
        # Else `-m nodegraph` takes the current folder's.
        found["PYTHONSAFEPATH"] = "1"
    if pretend:
        # Many small operations, each in Python.
        found |= {"OMP_NUM_THREADS": "1"}
    return found


def launch(
    part: Part, folder: Path, variables: Mapping[str, str], given: argparse.Namespace
) -> Launch:
    """How a part's process is started."""
    flags = ["--folder", str(folder)]
    flags += [flag for flag in ("--quick", "--pretend") if getattr(given, flag.strip("-"))]
    if part.name != TESTS:
        script = HERE / "accelerator_checks.py"
        entry = str(ROOT / "tests" / "accelerator" / "entry")
        room = _PRETEND_MIB.get(part.name, _ENOUGH_MIB)
        paths = [*([entry] if given.pretend else []), variables["PYTHONPATH"]]
        return Launch(
            [sys.executable, script, "--part", part.name, *flags],
            {**variables, "PYTHONPATH": os.pathsep.join(paths), "PRETEND_MIB": str(room)},
        )
    # These have a pretend card of their own where there is no real one.
    return Launch([sys.executable, HERE / "accelerator_tests.py", *flags], variables)


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--budget", type=float, default=540.0, help="seconds for all of it")
    parser.add_argument("--out", type=Path, help="write what is known there, as soon as it is")
    parser.add_argument("file", type=Path, nargs="?", help="the same as --out")
    parser.add_argument("--only", choices=list(SHARES), action="append", help="may be repeated")
    parser.add_argument("--pretend", action="store_true", help="tiny networks, without a card")


def main() -> None:
    given = options(__doc__, _more)
    parts = [
        Part(name, share, MOST.get(name, math.inf))
        for name, share in SHARES.items()
        if name in (given.only or SHARES)
    ]
    about = {"command": " ".join(["python", *sys.argv]), "budget": given.budget}
    with tempfile.TemporaryDirectory(prefix="nodegraph-") as name:
        folder, path = Path(name) / "files", Path(name) / "path"
        folder.mkdir()
        path.mkdir()
        variables = environment(folder, installed(path), pretend=given.pretend)
        start = partial(launch, folder=folder, variables=variables, given=given)
        report = Report(given.out or given.file, parts, about)
        show(Parts(report, given.budget, start).figures(), as_json=given.json)


if __name__ == "__main__":
    main()

"""What must stay equal while code is moved and renamed, written down before and compared after.

    python -m tests.baselines write FOLDER
    python -m tests.baselines compare FOLDER

Samplings, as digests of the latent at every step; the HTTP API; the commands; the node types. On
another machine samplings may differ in their last bits, so that both are to be done on one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nodegraph.families.sampler_names import SAMPLER_NAMES, SCHEDULE_NAMES
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from nodegraph.sampling.sampling_parts import CONVENTIONS
from tests.diffusion.test_every_sampling import MEAN, NOISES, Case, output, started
from tests.server.hosting import hosted

DOCS = Path(__file__).parents[1] / "docs"
STEPS = 5


def _cases() -> Iterator[Case]:
    for sampler in SAMPLER_NAMES:
        for schedule in SCHEDULE_NAMES:
            for kind in NOISES:
                for convention in CONVENTIONS:
                    case = Case(sampler, schedule, STEPS, kind, convention)
                    if case.is_allowed:
                        yield case


def samplings() -> dict[str, str]:
    """Digest of what the model is asked at every step, and of the result, of each sampling."""
    digests = {}
    for case in _cases():
        digest = hashlib.sha256()
        sampler = started(case)
        while not sampler.done:
            asked = sampler.model_input(), float(sampler.timestep)
            digest.update(asked[0].numpy().tobytes())
            sampler.unguided = output(case.noise, *asked, mean=-MEAN)
            sampler.feed(output(case.noise, *asked))
        digest.update(sampler.x.numpy().tobytes())
        digests[" ".join(map(str, asdict(case).values()))] = digest.hexdigest()
    return digests


def api() -> Mapping[str, Any]:
    """The description of the HTTP API."""
    with tempfile.TemporaryDirectory() as home, hosted(Path(home)) as server:
        described: Mapping[str, Any] = (
            server.client.get(f"{server.url}/openapi.json").raise_for_status().json()
        )
    return described


def commands() -> dict[str, str]:
    """The page of the commands, as it is made of them, by its sections."""
    sys.path.insert(0, str(DOCS))
    from generate_cli import reference

    return {section.partition("\n")[0]: section for section in reference().split("\n## ")}


def node_types() -> dict[str, Any]:
    """The built-in node types, as servers and editors get them."""
    registry = Registry([pack for pack in installed_packs() if not pack.name])
    return {name: asdict(registry.spec(name)) for name in registry.node_types()}


BASELINES = {
    "samplings": samplings,
    "api": api,
    "commands": commands,
    "node_types": node_types,
}


def _difference(before: Any, after: Any, place: str) -> Iterator[str]:
    """Where two JSON values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            if name not in after:
                yield f"{place}/{name} is gone"
            elif name not in before:
                yield f"{place}/{name} is new"
            else:
                yield from _difference(before[name], after[name], f"{place}/{name}")
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("write", "compare"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    differences = []
    for name, make in BASELINES.items():
        file = options.folder / f"{name}.json"
        # what a file says, so that tuples and lists are alike
        made = json.loads(json.dumps(make(), default=repr))
        if options.what == "write":
            file.write_text(json.dumps(made, indent=1, sort_keys=True))
        else:
            differences += _difference(json.loads(file.read_text()), made, name)
    print("\n".join(differences))  # noqa: T201 - a command
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()

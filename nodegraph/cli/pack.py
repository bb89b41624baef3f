"""The commands of `nodegraph pack`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    FAILED,
    FINE,
    StyledText,
    echo,
    format_path,
    pluralize,
    print_json,
    print_table,
)
from nodegraph.core.files import write_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from nodegraph.python.testing.trials import NodeVerdicts, PackVerdicts, SamplerVerdict


def new(
    common: CommonOptions,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the pack, such as my-nodes.")
    ],
    folder: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Folder to write  [default: a folder with the name of the pack]"
        ),
    ] = None,
    license_: Annotated[
        str,
        typer.Option("--license", metavar="NAME", help="MIT, BSD-3-Clause or none"),
    ] = "MIT",
    author: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Copyright holder in the license  [default: the authors]"
        ),
    ] = "",
) -> int:
    """Start a pack of nodes: a package with a node, its example and its tests.

    It installs with `pip install -e .`, and `pytest` and `nodegraph pack test` pass at once.
    """
    from nodegraph.packs.pack_template import pack_files, package_name

    package = package_name(name)
    pack_folder = Path(folder or package.replace("_", "-"))
    files = pack_files(name, _license(license_), author or f"the authors of {package}")
    _refuse_others(pack_folder, list(files))
    for inner, text in files.items():
        path = pack_folder / inner
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode())
    echo(f"Wrote {len(files)} files into {format_path(pack_folder)}.")
    echo("Continue there: pip install -e . && nodegraph pack test")
    return 0


def _license(name: str) -> Any:
    from nodegraph.packs.pack_template import License

    known = {each.casefold(): each for each in get_args(License)}
    if name.casefold() not in known:
        hint = did_you_mean(name, known.values(), listed=len(known))
        raise InvalidValue(f"there is no text for the license `{name}`", hint=hint)
    return known[name.casefold()]


def _refuse_others(pack_folder: Path, files: list[str]) -> None:
    """Raise if files would be lost.

    Raises:
        InvalidFile: There are files of that name.
    """
    taken = [name for name in files if (pack_folder / name).exists()]
    if taken or (pack_folder.exists() and not pack_folder.is_dir()):
        existing = ", ".join(str(pack_folder / name) for name in taken) or str(pack_folder)
        raise InvalidFile(f"{existing} already exists", hint="Use another name or --folder.")


_STATES: dict[str, StyledText] = {
    "passed": ("passed", "green"),
    "failed": ("FAILED", "red"),
    "not judged": ("not judged", "dim"),
}

_MOST_NAMES = 12
"""Of node types of which one reason is told; `--json` has all."""


def test(
    common: CommonOptions,
    which: Annotated[
        str,
        typer.Argument(
            metavar="PACK",
            help="An installed pack, a project, a folder or a .py file  [default: this folder]",
            show_default=False,
        ),
    ] = ".",
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this node type; may be repeated."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Test each node, sampler, schedule and guider of a pack.

    A node runs its example (examples/Name.json in the pack), or generated values where its
    ports are simple, in a temporary home. It must run, return what it declares, give the
    same result twice, not change its inputs, stop when cancelled, and load from the disk
    cache. A sampler must have the order of convergence that it states.
    """
    from nodegraph.python.testing.workbench import check_pack, find_packs

    settings = common.settings()
    packs = find_packs(which)
    verdicts = [check_pack(each, node or (), settings=settings, follow=_shown) for each in packs]
    is_passed = all(each.is_passed for each in verdicts)
    if json:
        documents = [each.as_dict() for each in verdicts]
        print_json({"passed": is_passed, "packs": documents})
    else:
        for each in verdicts:
            _print(each)
    return FINE if is_passed else FAILED


def _shown(names: Sequence[str]) -> Iterable[str]:
    """The names, with a bar that says how many are left, as each takes seconds."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    is_shown = console.is_terminal
    return track(names, "trying", console=console, transient=True, disable=not is_shown)


def _print(pack: PackVerdicts) -> None:
    from nodegraph.python.testing.trials import CHECKS

    echo((pack.name, "bold"), f"  {pack.root}")
    for problem in pack.problems:
        echo(("problem: ", "red"), problem)
    echo()
    if pack.nodes or not (pack.samplers or pack.functions):
        head: list[Sequence[StyledText]] = [
            [("node", "bold"), *((name, "bold") for name in CHECKS)]
        ]
        print_table([*head, *([node.node_type, *_states(node)] for node in pack.nodes)])
        _print_reasons(pack.nodes)
        echo()
    if pack.samplers:
        _print_samplers(pack.samplers)
    wrong = pack.fault_count
    counts = Counter(kind for kind, _ in pack.functions)
    counts.update(node=len(pack.nodes), sampler=len(pack.samplers))
    words = ("node", "sampler", "schedule", "guider")
    tried = [pluralize(counts[word], word) for word in words if counts[word]]
    echo(
        f"{', '.join(tried) or '0 nodes'}: ",
        (f"{pluralize(wrong, 'fault')}", "red") if wrong else ("all passed", "green"),
    )


def _print_samplers(samplers: Sequence[SamplerVerdict]) -> None:
    """The orders that samplers state and have, and why one failed or isn't judged."""
    rows: list[Sequence[StyledText]] = [
        [(title, "bold") for title in ("sampler", "order", "measured", "")]
    ]
    for sampler in samplers:
        measured = "" if sampler.measured is None else f"{sampler.measured:.2f}"
        stated = str(sampler.order) if sampler.order else ""
        rows.append([sampler.name, stated, measured, _STATES[sampler.state]])
    print_table(rows)
    echo()
    for sampler in samplers:
        if sampler.reason:
            echo((f"{sampler.name}: ", "bold"), sampler.reason)


def _states(node: NodeVerdicts) -> list[StyledText]:
    return [_STATES[verdict.state] for verdict in node.verdicts.values()]


def _print_reasons(nodes: Sequence[NodeVerdicts]) -> None:
    """What is wrong, and then why something isn't judged."""
    if any(node.faults for node in nodes):
        echo()
    for node in nodes:
        for verdict in node.verdicts.values():
            if verdict.problem is not None:
                echo((f"{node.node_type}, {verdict.check}: ", "bold"), str(verdict.problem))
                for line in verdict.trace.splitlines():
                    echo((f"  {line}", "dim"))
    left = _unjudged(nodes)
    if left:
        echo()
        echo(("Not judged", "bold"))
    for reason, names in left.items():
        more = len(names) - _MOST_NAMES
        suffix = f" and {more} more" if more > 0 else ""
        echo(f"  {reason} ({', '.join(names[:_MOST_NAMES])}{suffix})")


def _unjudged(nodes: Sequence[NodeVerdicts]) -> dict[str, list[str]]:
    """What isn't judged and why, with the node types of which that is so."""
    unjudged: dict[str, list[str]] = {}
    for node in nodes:
        checks: dict[str, list[str]] = {}
        for verdict in node.verdicts.values():
            if verdict.state == "not judged":
                checks.setdefault(verdict.reason, []).append(verdict.check)
        for reason, names in checks.items():
            check_names = "all" if len(names) == len(node.verdicts) else ", ".join(names)
            unjudged.setdefault(f"{check_names}: {reason}", []).append(node.node_type)
    return unjudged

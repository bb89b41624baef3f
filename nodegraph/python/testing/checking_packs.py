"""All node types of a pack, tried and judged."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.packs.pack import Pack
from nodegraph.packs.registry import Registry
from nodegraph.python.testing.verdicts import CHECKS, NodeVerdicts, PackVerdicts, Verdict
from nodegraph.python.testing.workbench import Workbench
from nodegraph.session.examples import examples
from nodegraph.session.settings import Settings

Follow = Callable[[Sequence[str]], Iterable[str]]
"""Goes through names, and shows how far that is."""


def check_pack(
    pack: Pack,
    nodes: Collection[str] = (),
    *,
    settings: Settings | None = None,
    follow: Follow = iter,
) -> PackVerdicts:
    """Try all node types of a pack and judge them.

    Args:
        pack: See `nodegraph.python.testing.finding.find_packs`.
        nodes: Names of node types, with or without the pack's; all if empty.
        settings: See `Workbench`.
        follow: Goes through the names of the node types.
    Raises:
        InvalidValue: The pack has no such node type.
    """
    is_installed = bool(pack.distribution)
    left_out = () if is_installed else (pack.name,)
    more = () if is_installed else (pack,)
    with Workbench(more, leave_out=left_out, settings=settings) as bench:
        registry = Registry([pack])
        types = _chosen(pack, registry.node_types(), nodes)
        problems = [*registry.problems, *_stray_examples(pack, registry), *_scripts(registry)]
        verdicts = [_checked(bench, name) for name in follow(types)]
    return PackVerdicts(pack.name or "nodegraph", str(pack.root), verdicts, problems)


def _chosen(pack: Pack, known: list[str], wanted: Collection[str]) -> list[str]:
    prefix = f"{pack.name}:" if pack.name else ""
    chosen = []
    for name in wanted:
        full = name if name.startswith(prefix) else f"{prefix}{name}"
        if full not in known:
            raise InvalidValue(
                f"the pack has no node type `{name}`", hint=did_you_mean(full, known)
            )
        chosen.append(full)
    return chosen or known


def _stray_examples(pack: Pack, registry: Registry) -> Iterator[str]:
    for name, example in examples([pack]).items():
        if registry.spec(name) is None:
            yield (
                f"{example.file} is an example of no node type: there is no `{name}`. "
                + did_you_mean(name, registry.node_types())
            )


def _scripts(registry: Registry) -> Iterator[str]:
    """What is wrong with the widgets and panels that the pack declares."""
    for script in registry.scripts():
        try:
            script.check()
        except InvalidFile as error:
            yield str(error)


def _checked(bench: Workbench, name: str) -> NodeVerdicts:
    try:
        return bench.check_node(name)
    except NodegraphError as error:  # such as an example that can't be read
        verdicts = {each: Verdict(each, "not judged", "it didn't come to that") for each in CHECKS}
        verdicts["runs"] = Verdict("runs", "failed", problem=error.problems[0])
        return NodeVerdicts(name, "", verdicts)

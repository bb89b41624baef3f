"""The commands of `nodegraph pack` that install packs and manage installed ones."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    FINE,
    StyledText,
    echo,
    format_path,
    format_time,
    pluralize,
    print_json,
    print_table,
    warn,
)
from nodegraph.core.files import write_file
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.packs.installation.installed import InstalledPack
    from nodegraph.packs.installation.operations import PackOperations
    from nodegraph.packs.installation.plans import InstallPlan

LOCK_SUFFIX = ".packs.json"
_MOST_TYPES = 20
_INSTALLERS = ("auto", "uv", "pip")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of an installed pack.")]
TrustOption = Annotated[
    bool | None,
    typer.Option(
        "--trusted/--untrusted",
        help="Give its code your rights, or run it in a sandbox  [default: trusted if it is a "
        "folder or wheel on this machine]",
        show_default=False,
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Permit install.py, prestartup_script.py or requirements.txt of a ComfyUI pack; may "
        "be repeated.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
InstallerOption = Annotated[
    str, typer.Option(metavar="NAME", help="uv, pip, or auto: uv where it is installed.")
]


SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder, a git address with @REVISION, a wheel, a name in an index, or a "
        "requirement such as name==1.2.",
    ),
]
IsolatedOption = Annotated[
    bool, typer.Option("--isolated", help="Run it in its own process in any case.")
]
KindOption = Annotated[
    str | None, typer.Option(metavar="KIND", help="native or comfyui  [default: detected]")
]
PrefixOption = Annotated[str | None, typer.Option(metavar="NAME", help="Prefix of its node types.")]
VersionOption = Annotated[
    str, typer.Option(metavar="SPEC", help="Version of a pack in an index, such as '>=1.2'.")
]
CopyOption = Annotated[
    bool, typer.Option("--copy", help="Copy a folder, so that later edits do not count.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be installed, and install nothing.")
]


def add(
    common: CommonOptions,
    source: SourceArgument,
    trusted: TrustOption = None,
    isolated: IsolatedOption = False,
    allow: AllowOption = None,
    kind: KindOption = None,
    name: PrefixOption = None,
    version: VersionOption = "",
    copy: CopyOption = False,
    installer: InstallerOption = "auto",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> int:
    """Install a pack from a folder, a git address, a wheel or an index.

    A folder is linked: edits count at once. A pack whose needs fit the packages of nodegraph runs
    in its process. Others get an environment with what they need beyond these, and a process.
    None of the pack's code runs, except for scripts that you allow.
    """
    from nodegraph.packs.installation.plans import InstallOptions

    options = InstallOptions(
        trusted=trusted,
        isolated=isolated,
        allowed=_unique(allow),
        kind=_choice(kind, ("native", "comfyui"), "kind") if kind else None,
        name=name or "",
        version=version,
        copy=copy,
        installer=_choice(installer, _INSTALLERS, "installer"),
    )
    plan = _operations(common, yes=yes, dry_run=dry_run, quiet=json).add(source, options)
    if json:
        print_json({**plan.to_dict(), "installed": not dry_run})
    elif not dry_run:
        _print_installed(plan)
    return FINE


def _print_installed(plan: InstallPlan) -> None:
    # Code that makes node types in other ways has not run: the number would be a guess.
    types = pluralize(len(plan.project.node_types), "node type")
    shown = f"; its source declares {types}" if plan.project.node_types else ""
    echo("Installed ", (plan.name, "bold"), f"{shown}.")


def list_(common: CommonOptions, json: JsonOption = False) -> int:
    """List the installed packs."""
    from nodegraph.packs.installation.environments import host_versions

    folder = _operations(common).folder
    packs, versions = folder.read().values(), host_versions()
    faults = {pack.name: folder.faults(pack, versions) for pack in packs}
    if json:
        rows = [{**pack.to_dict(), "faults": faults[pack.name]} for pack in packs]
        print_json({"packs": rows})
        return FINE
    if not packs:
        echo("No packs are installed. `nodegraph pack add SOURCE` installs one.")
        return FINE
    heads = [(head, "bold") for head in ("name", "version", "kind", "runs in", "source")]
    print_table([heads, *(_row(pack) for pack in packs)])
    for pack in packs:
        is_lost = (
            pack.current.source.kind == "link" and not folder.project_folder(pack.current).is_dir()
        )
        verb = "remove" if is_lost else "update"
        for reason in faults[pack.name]:
            warn(f"pack `{pack.name}`: {reason}. `nodegraph pack {verb} {pack.name}` mends that.")
    return FINE


def _row(pack: InstalledPack) -> Sequence[StyledText]:
    version = pack.current
    state = "" if pack.enabled else " (disabled)"
    return [
        (f"{pack.name}{state}", "bold" if pack.enabled else "dim"),
        version.version,
        version.kind,
        _process_text(pack),
        str(version.source),
    ]


def _process_text(pack: InstalledPack) -> str:
    if not pack.current.needs_process:
        return "the main process"
    where = "environment" if pack.current.environment else "process"
    return where if pack.trusted else f"sandboxed {where}"


def info(common: CommonOptions, name: NameArgument, json: JsonOption = False) -> int:
    """Show an installed pack: source, node types, environment, earlier versions."""
    from nodegraph.packs.installation.environments import host_versions

    folder = _operations(common).folder
    pack = folder.get(name)
    lock = pack.current.lock
    faults = folder.faults(pack, host_versions())
    if json:
        sandbox = {} if pack.trusted else {"sandbox": _enforcement()}
        print_json({**pack.to_dict(), "faults": faults, **sandbox})
        return FINE
    version = pack.current
    echo((pack.name, "bold"), f" {version.version}", "" if pack.enabled else "  (disabled)")
    rows: list[tuple[str, str]] = [
        ("summary", version.summary),
        ("kind", version.kind),
        ("license", version.license),
        ("source", str(version.source)),
        ("commit", version.source.commit),
        ("index", version.source.index),
        ("digest", version.source.digest),
        ("files", str(folder.project_folder(version))),
        ("installed", format_time(version.time)),
        ("trusted", "yes" if pack.trusted else "no: it runs in a sandbox"),
        ("allowed", ", ".join(pack.allowed)),
        ("runs in", _process_text(pack)),
        ("needs", ", ".join(version.requires)),
        ("node types", _some(version.node_types)),
        ("earlier", ", ".join(_version_text(each) for each in pack.history)),
    ]
    if lock is not None:
        packages = ", ".join(f"{each.name} {each.version}" for each in lock.packages)
        rows.append(("environment", str(folder.environment_folder(version))))
        rows.append(("packages", packages))
        rows.append(("over", ", ".join(f"{key} {value}" for key, value in lock.host.items())))
    print_table([[(label, "dim"), text] for label, text in rows if text], indent=2)
    if not pack.trusted:
        _print_enforcement()
    for fault in faults:
        warn(fault)
    return FINE


def _enforcement() -> dict[str, str]:
    """Rules of the sandbox, and how this system enforces them; empty if it has none."""
    from nodegraph.isolation.sandbox import enforcement, sandbox_modes

    rules = enforcement() if sandbox_modes() else ()
    return {rule.what: rule.how or "not enforced" for rule in rules}


def _print_enforcement() -> None:
    """Show what the sandbox of this system enforces."""
    rules = _enforcement()
    if not rules:
        warn("this system has neither bubblewrap nor Landlock: packs without trust do not run")
        return
    echo("  sandbox of this system:")
    print_table([[what, (how, "dim")] for what, how in rules.items()], indent=4)


def _version_text(version: Any) -> str:
    return version.version or version.source.commit[:12] or format_time(version.time)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_TYPES
    return ", ".join(names[:_MOST_TYPES]) + (f" and {more} more" if more > 0 else "")


def search(
    common: CommonOptions,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Words of the name, summary or node types.")
    ] = "",
    json: JsonOption = False,
) -> int:
    """Search the indexes for packs.

    The setting `pack_index` names the indexes. None is contacted unless it is set.
    """
    operations = _operations(common)
    if not operations.indexes.addresses:
        raise InvalidValue(
            "no index is set", hint="Set `pack_index` to the address of an index, or a folder."
        )
    operations.indexes.refresh()
    entries = operations.indexes.search(text)
    if json:
        print_json({"packs": [{"name": entry.name, **entry.to_dict()} for entry in entries]})
        return FINE
    if not entries:
        echo("No pack matches.")
        return FINE
    heads = [(head, "bold") for head in ("name", "version", "kind", "summary")]
    rows = [[(each.name, "bold"), each.version, each.kind, each.summary] for each in entries]
    print_table([heads, *rows])
    return FINE


def update(
    common: CommonOptions,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Packs  [default: all]")
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> int:
    """Update packs to their newest versions.

    The former version and its environment stay for `nodegraph pack rollback`. Of a linked folder
    the needs are resolved again.
    """
    operations = _operations(common, yes=yes, quiet=json)
    done = {}
    for name in names or list(operations.folder.read()):
        plan = operations.update(name)
        done[name] = plan is not None
        if not json:
            echo((name, "bold"), ": updated." if plan is not None else ": nothing is newer.")
    if json:
        print_json({"updated": done})
    return FINE


def rollback(common: CommonOptions, name: NameArgument, json: JsonOption = False) -> int:
    """Use the former version of a pack again.

    A second rollback undoes the first. Of a linked folder only the environment is the former one.
    """
    pack = _operations(common).rollback(name)
    if json:
        print_json(pack.to_dict())
    else:
        echo((name, "bold"), f": back at {_version_text(pack.current)}.")
    return FINE


def disable(common: CommonOptions, name: NameArgument) -> int:
    """Leave out the node types of a pack."""
    _operations(common).set_enabled(name, False)
    echo((name, "bold"), ": disabled.")
    return FINE


def enable(common: CommonOptions, name: NameArgument) -> int:
    """Offer the node types of a pack again."""
    _operations(common).set_enabled(name, True)
    echo((name, "bold"), ": enabled.")
    return FINE


def remove(
    common: CommonOptions,
    name: NameArgument,
    keep_environment: Annotated[
        bool, typer.Option("--keep-environment", help="Leave its environment on the disk.")
    ] = False,
) -> int:
    """Remove a pack with its environment.

    A linked folder stays. Environments that other packs use stay, too.
    """
    _operations(common).remove(name, keep_environment=keep_environment)
    echo("Removed ", (name, "bold"), ".")
    return FINE


def lock(
    common: CommonOptions,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="A workflow's file.")],
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="File to write  [default: WORKFLOW with the ending .packs.json]"
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Write a file with which others install the packs of a workflow exactly.

    It has the source and digest of each installed pack that the workflow uses, and the versions
    and digests of what is in its environment. `nodegraph pack sync` reads it.
    """
    from nodegraph.core.workflow import Workflow

    loaded = Workflow.load(workflow)
    operations = _operations(common)
    used, installed = _packs_of(loaded), operations.folder.read()
    document = operations.lock([name for name in used if name in installed])
    target = Path(output or Path(workflow).with_suffix(LOCK_SUFFIX))
    write_file(target, json_module.dumps(document, indent=1).encode())
    others = [name for name in used if name not in installed]
    if json:
        print_json({"file": str(target), "packs": list(document["packs"]), "left_out": others})
        return FINE
    echo(f"Wrote {pluralize(len(document['packs']), 'pack')} into {format_path(target)}.")
    for name in others:
        warn(f"the pack `{name}` is left out: `nodegraph pack add` did not install it")
    return FINE


def _packs_of(workflow: Workflow) -> list[str]:
    """Names of the packs that a workflow requires or has nodes of."""
    nodes = [*workflow.nodes.values()]
    for block in workflow.subgraphs.values():
        nodes += block.nodes.values()
    prefixes = {node.type.partition(":")[0] for node in nodes if ":" in node.type}
    return sorted({*prefixes, *workflow.requires} - {"", "nodegraph", "comfyui"})


def sync(
    common: CommonOptions,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A lock, or a workflow with a lock beside it.")
    ],
    trusted: TrustOption = None,
    allow: AllowOption = None,
    installer: InstallerOption = "auto",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> int:
    """Install the packs of a lock: the same files and versions.

    Files whose digests differ are refused. A lock gives no rights: packs are not trusted unless
    you say so, or have installed them as trusted from the same source.
    """
    from nodegraph.packs.installation.plans import InstallOptions

    path = Path(file)
    lock_file = path.with_suffix(LOCK_SUFFIX)
    if not path.name.endswith(LOCK_SUFFIX) and lock_file.is_file():
        path = lock_file
    try:
        document: Any = json_module.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidFile(f"cannot read {path}: {error}") from error
    options = InstallOptions(
        trusted=trusted,
        allowed=_unique(allow),
        installer=_choice(installer, _INSTALLERS, "installer"),
    )
    operations = _operations(common, yes=yes, dry_run=dry_run, quiet=json)
    done = operations.sync(document, path.absolute().parent, options)
    if json:
        print_json({"packs": {name: plan and plan.to_dict() for name, plan in done.items()}})
        return FINE
    for name, plan in done.items():
        changed = ": would be installed." if dry_run else ": installed."
        echo((name, "bold"), changed if plan is not None else ": as locked.")
    return FINE


def index(
    common: CommonOptions,
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Folder with wheels, and folders of packs.")
    ],
    git: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Git address with @REVISION; may be repeated."),
    ] = None,
) -> int:
    """Write the index of a folder of packs, for others to install from.

    Each entry is pinned: a wheel or folder by its digest, a git address by its commit. Serve the
    folder over HTTP, or share it. Others set `pack_index` to the address of index.json.
    """
    from nodegraph.packs.installation.index import write_index

    path = Path(folder)
    if not path.is_dir():
        raise InvalidValue(f"there is no folder {folder}")
    file = write_index(path, git or (), echo)
    echo(f"Wrote {format_path(file)}.")
    return FINE


# Shared


def _unique(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names or ()))


def _choice(text: str, known: Sequence[str], option: str) -> Any:
    if text not in known:
        raise InvalidValue(f"--{option} has no value `{text}`", expected=", ".join(known))
    return cast("Literal['auto']", text)


def _operations(
    common: CommonOptions, *, yes: bool = False, dry_run: bool = False, quiet: bool = False
) -> PackOperations:
    from nodegraph.packs.installation.index import PackIndexes
    from nodegraph.packs.installation.installed import PackFolder
    from nodegraph.packs.installation.operations import PackOperations

    settings = common.settings()
    folder = PackFolder(settings.data_folder.absolute() / "packs")

    def confirm(plan: InstallPlan) -> bool:
        if not quiet:
            for line in plan_lines(plan):
                echo(*line)
        if plan.costs and not (yes or dry_run):
            _agree(plan)
        return not dry_run

    return PackOperations(folder, PackIndexes(settings.pack_index, folder), confirm)


def _agree(plan: InstallPlan) -> None:
    """Ask whether what a plan costs is fine.

    Raises:
        InvalidValue: It is not, or nobody can answer.
    """
    is_asked = sys.stdin is not None and sys.stdin.isatty()
    if is_asked and typer.confirm("Install it?", err=True):
        return
    raise InvalidValue(
        f"the pack `{plan.name}` was not installed: {'; '.join(plan.costs)}",
        hint="Use --yes to install it.",
    )


def plan_lines(plan: InstallPlan) -> Iterator[tuple[StyledText, ...]]:
    """Lines that say what an installation does."""
    project = plan.project
    version = f" {project.version}" if project.version else ""
    yield (plan.name, "bold"), f"{version} ({project.kind}) from {plan.source}"
    if not plan.trusted:
        yield ("  not trusted: it runs in a sandbox; --trusted gives it your rights",)
    for need in plan.unmet:
        yield "  needs ", need
    if plan.lock is not None:
        added = ", ".join(f"{each.name} {each.version}" for each in plan.lock.packages)
        yield (f"  gets an environment with {added or 'nothing more'}",)
    where = "its own process" if plan.reasons else "the main process"
    yield f"  runs in {where}", f": {'; '.join(plan.reasons)}" if plan.reasons else ""
    for conflict in plan.conflicts:
        yield ("  conflict: ", "yellow"), conflict
    for cost in plan.costs:
        yield ("  cost: ", "yellow"), cost
    for note in plan.notes:
        yield "  note: ", note

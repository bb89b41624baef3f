"""Prepare a run of a bundle: lay out its files, find its models by digest, admit its packs.

The run uses a temporary home folder. Models that are here already are linked into it under the
names that the workflow uses, whatever they are called here.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.files import make_folder
from nodegraph.core.text_format import format_size, pluralize
from nodegraph.core.version import VERSION
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidWorkflow, ModelNotFound, PackError, Problem
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.models.model_sources import find_path
from nodegraph.packs.installation.environments import EnvironmentLock, host_versions
from nodegraph.packs.installation.index import PackIndexes
from nodegraph.packs.installation.installed import PackFolder, installed_here
from nodegraph.packs.installation.operations import (
    LOCKS_FORMAT,
    PackOperations,
    is_same_source,
)
from nodegraph.packs.installation.plans import InstallOptions, InstallPlan
from nodegraph.packs.installation.sources import PackSource
from nodegraph.packs.pack import Isolation, Pack, PackKind, pack_at
from nodegraph.session.bundles.archive import BundleReader
from nodegraph.session.bundles.bundle import Bundle, BundleFile, BundleModel, BundlePack
from nodegraph.session.bundles.pack_sources import digest_of_pack_at
from nodegraph.session.content_search import files_below, find_by_digest
from nodegraph.session.node_types import all_packs
from nodegraph.session.settings import Settings

Trust = Literal["none", "sandbox", "full"]
"""Rights of the code that a bundle brings: it does not run, it runs in a sandbox, or it has the
rights of the user."""


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A bundle that is ready to run.

    Attributes:
        settings: Those of the run, with its folders.
        packs: Packs that the run uses besides the installed ones.
        notes: What differs here from where the bundle was made, as text.
    """

    workflow: Workflow
    settings: Settings
    packs: tuple[Pack, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class BundlePreparation:
    """Prepares the run of one bundle.

    Args:
        folder: A new folder for everything that the run needs.
        settings: Of the user: their models and packs are used where they are the same.
        packs: More packs of the user.
        confirm: Decides whether a pack may be installed that has to be fetched.
    """

    reader: BundleReader
    folder: Path
    settings: Settings
    packs: Sequence[Path] = ()
    confirm: Callable[[InstallPlan], bool] = lambda plan: True
    _notes: list[str] = field(default_factory=list, init=False)

    @property
    def bundle(self) -> Bundle:
        return self.reader.bundle

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def prepare(self, trust: Trust, outputs: Path) -> PreparedRun:
        """Lay everything out.

        Args:
            trust: Rights of packs in the bundle that are not here already.
            outputs: Folder that the run writes to.
        Raises:
            InvalidFile: The bundle is damaged.
            InvalidWorkflow: Models or packages are missing; lists all of them.
            PackError: A pack may not run, or cannot be installed.
        """
        workflow = self.reader.workflow()
        if trust == "none" and (refused := self.packs_to_trust()):
            raise untrusted_packs(refused)
        problems = [*self._missing_packages(), *self._lay_models()]
        if problems:
            raise InvalidWorkflow(problems)
        self._note_versions()
        for file in self.bundle.inputs:
            self.reader.extract(f"inputs/{file.digest}", self.folder / "inputs" / file.name)
        make_folder(self.folder / "inputs")
        packs = self._use_packs(trust)
        return PreparedRun(workflow, self._run_settings(outputs), tuple(packs), tuple(self._notes))

    def _run_settings(self, outputs: Path) -> Settings:
        return replace(
            self.settings,
            home=self.home,
            models=(),
            packs=(),
            pack_index=(),
            inputs=self.folder / "inputs",
            outputs=outputs,
            readable=None,
            uploads=None,
            # What packs declare is kept here by their digests: reading them again takes seconds.
            cache=self.settings.cache_folder,
            store=self.folder / "store",
            stores=(),
            remote_store="",
            remote_models="",
        )

    def _note_versions(self) -> None:
        there = self.bundle.surroundings.nodegraph
        if there and there != VERSION:
            self._notes.append(f"the bundle was made with nodegraph {there}; this is {VERSION}")

    # Models

    def _lay_models(self) -> list[Problem]:
        """Put every model where the workflow looks for it; a problem for each that is missing."""
        problems = []
        for model in self.bundle.models:
            if model.form == "embedded":
                self._compare_embedded(model)
                continue
            if not model.files:
                problems += self._lay_by_name(model)
                continue
            missing = [file for file in model.files if not self._lay_file(file, model.included)]
            if missing:
                problems.append(_missing_model(model, missing))
        return problems

    def _compare_embedded(self, model: BundleModel) -> None:
        try:
            path = find_path(model.name, ())
        except ModelNotFound:
            path = None
        if path is None or not path.is_relative_to(embedded_folder().parent):
            self._notes.append(f"this version has no embedded model `{model.name}`")
            return
        for file in model.files:
            local = path / file.name.removeprefix(f"{model.name}/") if path.is_dir() else path
            if not local.is_file() or FILE_DIGESTS.digest(local) != file.digest:
                self._notes.append(f"the embedded model `{model.name}` is another one here")
                return

    def _lay_by_name(self, model: BundleModel) -> list[Problem]:
        """A model of which only the name is known."""
        try:
            path = find_path(model.name, self.settings.searched_models)
        except ModelNotFound:
            return [_missing_model(model, ())]
        self._notes.append(f"the model `{model.name}` was found by its name only")
        ending = "" if model.name.lower().endswith(path.suffix.lower()) else path.suffix
        _link(path, self._model_place(f"{model.name}{ending}"))
        return []

    def _model_place(self, name: str) -> Path:
        return self.home / "models" / name

    def _lay_file(self, file: BundleFile, included: bool) -> bool:
        target = self._model_place(file.name)
        if target.exists():
            return True  # two models share it
        local = self._local_files.get(file.digest)
        if local is not None:
            _link(local, target)
        elif included:
            self.reader.extract(f"models/{file.digest}", target)
        else:
            return False
        return True

    @cached_property
    def _local_files(self) -> Mapping[Digest, Path]:
        """Files of these contents in the models folders, under any name."""
        files = [file for model in self.bundle.models for file in model.files]
        return find_by_digest(
            {file.digest: file.bytes for file in files}, files_below(self.settings.model_folders)
        )

    # Packs

    def _missing_packages(self) -> list[Problem]:
        known = {pack.name for pack in self._user_packs}
        return [
            Problem(
                PackError.code,
                f"the package {pack.distribution} with the pack `{pack.name}` is not installed",
                expected=pack.version or None,
                hint=f"Install it with `pip install {pack.distribution}=={pack.version}`.",
            )
            for pack in self.bundle.packs
            if pack.form == "package" and pack.name not in known
        ]

    @cached_property
    def _user_packs(self) -> list[Pack]:
        return all_packs(self.settings, [pack_at(path) for path in self.packs])

    def packs_to_trust(self) -> list[BundlePack]:
        """Packs that the bundle brings, and that are not here already with the same code."""
        return [pack for pack in self.bundle.source_packs if not self._local_packs(pack)]

    def _local_packs(self, pack: BundlePack) -> list[Pack]:
        """The packs of this machine that have the same code; empty if there are none."""
        if pack.lock is not None:
            return self._installed_packs(pack)
        for each in self._user_packs:
            is_named = pack.name in (each.name, each.distribution)
            if is_named and not pack.project and digest_of_pack_at(each.root) == pack.digest:
                return [each]
        return []

    def _installed_packs(self, pack: BundlePack) -> list[Pack]:
        home = self.settings.data_folder.absolute()
        installed = PackFolder(home / "packs").read().get(pack.name)
        if installed is None or not installed.enabled:
            return []
        if not is_same_source(installed.current.source, _locked_source(pack)):
            return []
        return [each for each in installed_here(home) if each.distribution == pack.name]

    def _use_packs(self, trust: Trust) -> Iterator[Pack]:
        for pack in self.bundle.source_packs:
            local = self._local_packs(pack)
            if local:
                yield from local
            elif pack.lock is not None or pack.project:
                self._install(pack, trust)
            else:
                yield self._loose_pack(pack, trust)

    def _extract_pack(self, pack: BundlePack) -> Path:
        root = self.folder / "packs"
        folder = root if pack.is_file else root / pack.name
        for file in pack.files:
            self.reader.extract(f"packs/{pack.name}/{file.name}", folder / file.name)
        return root / f"{pack.name}.py" if pack.is_file else folder

    def _loose_pack(self, pack: BundlePack, trust: Trust) -> Pack:
        loose = pack_at(self._extract_pack(pack))
        if trust == "full":
            return loose
        versions = host_versions()
        lock = EnvironmentLock((), (), versions).effective_digest(versions)
        return replace(loose, isolation=Isolation(sys.executable, lock, trusted=False))

    def _install(self, pack: BundlePack, trust: Trust) -> None:
        folder = PackFolder(self.home / "packs")
        operations = PackOperations(folder, PackIndexes((), folder), self.confirm)
        options = InstallOptions(trusted=trust == "full", name=pack.name)
        if pack.lock is not None:
            operations.sync(pack.lock, self.folder, options)
            return
        kind = cast("PackKind", pack.project)
        operations.add(str(self._extract_pack(pack)), replace(options, kind=kind))


def untrusted_packs(packs: Sequence[BundlePack]) -> PackError:
    """The error for packs whose code may not run."""
    names = "; ".join(describe_pack(pack) for pack in packs)
    return PackError(
        f"the bundle brings code that is not on this machine: {names}",
        hint="Use --untrusted to run it in a sandbox, or --trusted to give it your rights. "
        "`nodegraph bundle unpack` shows the code.",
    )


def describe_bundle(bundle: Bundle) -> Iterator[str]:
    """What a bundle has, line by line."""
    around = bundle.surroundings
    made = ", ".join(part for part in (f"nodegraph {around.nodegraph}", around.numerics) if part)
    yield f"made with {made}"
    if bundle.parameters:
        values = ", ".join(f"{name}={value}" for name, value in bundle.parameters.items())
        yield f"parameters: {values}"
    if bundle.inputs:
        total = format_size(sum(file.bytes for file in bundle.inputs))
        yield f"{pluralize(len(bundle.inputs), 'input file')}: {total}"
    for model in bundle.models:
        size = format_size(sum(file.bytes for file in model.files))
        form = "ships with nodegraph" if model.form == "embedded" else size
        held = ", included" if model.included else ""
        origin = f", from {model.source}" if model.source else ""
        yield f"model {model.name}: {form}{held}{origin}"
    for pack in bundle.packs:
        if pack.form in ("source", "installed"):
            held = ", included" if pack.form == "source" else ""
            yield f"pack {describe_pack(pack)}{held}"
        elif pack.form == "package":
            yield f"pack {pack.name}: package {pack.distribution} {pack.version}"
    if bundle.nodes:
        results = f" and {pluralize(len(bundle.results), 'file')}" if bundle.results else ""
        yield f"states the outputs of {pluralize(len(bundle.nodes), 'node')}{results}"


def describe_pack(pack: BundlePack) -> str:
    """A pack of a bundle in a few words."""
    origin = (
        f"from {_locked_source(pack)}"
        if pack.lock is not None
        else pluralize(len(pack.files), "file")
    )
    version = f" {pack.version}" if pack.version else ""
    return f"`{pack.name}`{version} ({origin}, {pack.license or 'no license stated'})"


def _locked_source(pack: BundlePack) -> PackSource:
    lock: Any = pack.lock or {}
    try:
        if lock["format"] != LOCKS_FORMAT or list(lock["packs"]) != [pack.name]:
            raise ValueError("it is not that of this pack")
        return PackSource.from_dict(lock["packs"][pack.name]["source"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidFile(f"the lock of the pack `{pack.name}` cannot be read: {error}") from error


def _missing_model(model: BundleModel, missing: Sequence[BundleFile]) -> Problem:
    size = f" ({format_size(sum(file.bytes for file in model.files))})" if model.files else ""
    digest = f", blake3 {missing[0].digest}" if len(missing) == 1 else ""
    part = f", {len(missing)} of its {len(model.files)} files" if len(model.files) > 1 else ""
    by_source = f"Get it with `nodegraph models add {model.source}`." if model.source else ""
    return Problem(
        ModelNotFound.code,
        f"the model `{model.name}`{size} is not here{part}{digest}",
        given=model.name,
        hint=by_source
        or "Put it into a models folder, under any name. Or have the bundle made with "
        "--with-models.",
    )


def _link(path: Path, target: Path) -> None:
    """Have a file or folder also at another place, without a copy where the system allows that."""
    make_folder(target.parent)
    source = path.resolve()
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:  # Windows allows links only to some users
        if source.is_dir():
            shutil.copytree(source, target)
            return
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, target)

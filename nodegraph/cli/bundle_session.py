"""The session in which a bundle runs, and what the user is asked before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import echo_stderr, print_warnings, warn
from nodegraph.errors import InvalidWorkflow

if TYPE_CHECKING:
    from nodegraph.session.bundles.archive import BundleReader
    from nodegraph.session.bundles.bundle import Bundle
    from nodegraph.session.bundles.preparation import BundlePreparation, PreparedRun, Trust
    from nodegraph.session.session import Session
    from nodegraph.session.settings import Settings


@dataclass(frozen=True, slots=True)
class BundleSession:
    """A session in which a bundle can run."""

    session: Session
    run: PreparedRun
    reader: BundleReader


@contextmanager
def open_bundle_session(
    common: CommonOptions,
    path: Path,
    outputs: Path | None,
    *,
    trusted: bool | None = None,
    get: bool = False,
    use_cache: bool = True,
) -> Iterator[BundleSession]:
    """A session with the files, models and packs of a bundle, in a temporary home folder.

    Args:
        outputs: Folder that the run writes to; None for that of the settings.
        trusted: Whether packs that the bundle brings have the user's rights; None asks.
        get: Download missing models with known sources without asking.
    Raises:
        NodegraphError: The bundle is refused, models are missing, or a pack may not run.
    """
    from nodegraph.session.bundles.archive import opened_bundle
    from nodegraph.session.bundles.preparation import BundlePreparation
    from nodegraph.session.replay.recorded_files import stored_digests
    from nodegraph.session.session import Session

    settings = common.settings()
    with ExitStack() as stack:
        reader = stack.enter_context(opened_bundle(path))
        temporary = TemporaryDirectory(prefix="nodegraph-bundle-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary)).resolve()
        with stored_digests(settings.store_folder):
            preparation = BundlePreparation(reader, folder / "first", settings, common.packs)
            trust = _trust(preparation, trusted)
            target = outputs or settings.environment().outputs
            try:
                run = preparation.prepare(trust, target)
            except InvalidWorkflow as error:
                if not _get_missing(settings, reader.bundle, error, get=get):
                    raise
                again = BundlePreparation(reader, folder / "second", settings, common.packs)
                run = again.prepare(trust, target)
        for note in run.notes:
            warn(note)
        session = stack.enter_context(Session(run.settings, packs=run.packs, use_cache=use_cache))
        print_warnings(session.registry.problems)
        yield BundleSession(session, run, reader)


def _trust(preparation: BundlePreparation, trusted: bool | None) -> Trust:
    """Rights of the packs that a bundle brings, as the user decides."""
    from nodegraph.session.bundles.preparation import describe_pack

    if trusted is not None:
        return "full" if trusted else "sandbox"
    packs = preparation.packs_to_trust()
    if not packs or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "none"
    echo_stderr("The bundle brings code that is not on this machine:")
    for pack in packs:
        echo_stderr("  ", describe_pack(pack))
    return "sandbox" if typer.confirm("Run it in a sandbox?", err=True) else "none"


def _get_missing(settings: Settings, bundle: Bundle, error: InvalidWorkflow, *, get: bool) -> bool:
    """Download missing models whose source the bundle states; whether some have come."""
    from nodegraph.cli.model_downloads import get_declared
    from nodegraph.models.remote.declared_models import DeclaredModel

    names = {problem.given for problem in error.problems}
    missing = {
        model.name: DeclaredModel(model.name, model.source)
        for model in bundle.models
        if model.source and model.name in names
    }
    return get_declared(settings, missing, "bundle", get=get)

"""What nodes of molecules check before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.media.molecules.chemistry import check_molecules_installed, check_smiles
from nodegraph.media.molecules.molecule_files import read_molecule_file

from ._facts import check_result_name, error_to_finding, input_path


def check_molecule_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find files that are missing or no molecules, and that there is nothing to read them with."""
    path = input_path(inputs)
    try:
        check_molecules_installed()
        if path is not None:
            # Whom a server serves is told nothing of files that somebody else put there.
            read_molecule_file(path, names=inputs.environment.readable is None)
    except NodegraphError as error:
        yield error_to_finding("path", error)


def check_smiles_text(inputs: HookInputs) -> Iterator[Finding]:
    """Find texts that name no molecule."""
    smiles = inputs.literals.get("smiles")
    try:
        check_molecules_installed()
        if smiles is not None:
            check_smiles(smiles)
    except NodegraphError as error:
        yield error_to_finding("smiles", error)


def check_chemistry(inputs: HookInputs) -> Iterator[Finding]:
    """Find that there is nothing to work with molecules by."""
    try:
        check_molecules_installed()
    except NodegraphError as error:
        yield error_to_finding("molecule", error)


def check_saved_molecule(inputs: HookInputs) -> Iterator[Finding]:
    """Find what `check_chemistry` and `check_result_name` find."""
    yield from check_chemistry(inputs)
    yield from check_result_name(inputs)


def molecule_family(inputs: HookInputs) -> dict[str, Facts]:
    """For which models it is."""
    return {"conditioning": {"family": "molecules"}}


def check_molecules(inputs: HookInputs) -> Iterator[Finding]:
    """Find that there is nothing to work with several molecules by."""
    yield from (replace(finding, port="molecules") for finding in check_chemistry(inputs))


def check_decoded_molecules(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents of something else, and that there is nothing to read molecules by."""
    yield from (replace(finding, port="latent") for finding in check_chemistry(inputs))
    known = inputs.fact("latent", "format")
    if known not in (None, "molecules"):
        hint = "Sample with a model of molecules, such as tiny/molecules."
        yield Finding("latent", "this latent isn't of molecules", str(known), "molecules", hint)

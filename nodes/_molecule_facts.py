"""Facts and checks of the molecule nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.media.molecules.chemistry import check_molecules_installed, check_smiles
from nodegraph.media.molecules.molecule_files import read_molecule_file

from ._facts import check_result_name, error_to_finding, input_path


def check_molecule_file(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing or invalid molecule files, and a missing library to read them."""
    path = input_path(inputs)
    try:
        check_molecules_installed()
        if path is not None:
            # Users of a server must not learn about files of others.
            read_molecule_file(path, names=inputs.environment.readable is None)
    except NodegraphError as error:
        yield error_to_finding("path", error)


def check_smiles_text(inputs: HookInputs) -> Iterator[Finding]:
    """Find invalid SMILES text."""
    smiles = inputs.literals.get("smiles")
    try:
        check_molecules_installed()
        if smiles is not None:
            check_smiles(smiles)
    except NodegraphError as error:
        yield error_to_finding("smiles", error)


def check_chemistry(inputs: HookInputs) -> Iterator[Finding]:
    """Find a missing library for molecules."""
    try:
        check_molecules_installed()
    except NodegraphError as error:
        yield error_to_finding("molecule", error)


def check_saved_molecule(inputs: HookInputs) -> Iterator[Finding]:
    """Run `check_chemistry` and `check_result_name`."""
    yield from check_chemistry(inputs)
    yield from check_result_name(inputs)


def molecule_family(inputs: HookInputs) -> dict[str, Facts]:
    """The model family that the conditioning is for."""
    return {"conditioning": {"family": "molecules"}}


def check_molecules(inputs: HookInputs) -> Iterator[Finding]:
    """Find a missing library for several molecules."""
    yield from (replace(finding, port="molecules") for finding in check_chemistry(inputs))


def check_decoded_molecules(inputs: HookInputs) -> Iterator[Finding]:
    """Find latents of other models, and a missing library for molecules."""
    yield from (replace(finding, port="latent") for finding in check_chemistry(inputs))
    known = inputs.fact("latent", "format")
    if known not in (None, "molecules"):
        hint = "Sample with a molecule model, for example tiny/molecules."
        yield Finding(
            "latent", "the latent is not from a molecule model", str(known), "molecules", hint
        )

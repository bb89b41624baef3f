"""Facts and checks of LoadVae. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Estimate, Facts, Finding, HookInputs, NodegraphError
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.models.facts import coding_memory
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.vae_files import AUTO, vae_bytes, vae_format, vae_has_sound, vae_stamp

from ._facts import error_to_finding, number_size_fact, sound_fact


def vae_outputs(inputs: HookInputs) -> dict[str, Facts]:
    """Latent format of the VAE of LoadVae. Empty if it cannot be loaded."""
    try:
        latent_format = _vae_format(inputs)
    except NodegraphError:
        # `check_vae` reports it.
        return {}
    if latent_format is None:
        return {}
    decoding, encoding = coding_memory(latent_format, {})
    held = {"held_decoding": decoding, "held_encoding": encoding, **number_size_fact(inputs)}
    known = {
        "format": latent_format.name,
        "downscale": latent_format.spatial,
        "temporal": latent_format.temporal,
    }
    return {"vae": {**known, **sound_fact(_has_sound(inputs)), **held}}


def check_vae(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing VAEs, and VAEs with an unknown latent format."""
    try:
        _vae_format(inputs)
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "vae", error)


def _vae_format(inputs: HookInputs) -> LatentFormat | None:
    literals, environment = inputs.literals, inputs.environment
    name, latents = literals.get("vae"), literals.get("latents")
    if name is None or latents is None:
        return None
    allow = environment.allow_pickle
    return vae_format(name, environment.models, latents=latents, allow_pickle=allow)


def _has_sound(inputs: HookInputs) -> bool | None:
    literals, environment = inputs.literals, inputs.environment
    allow = environment.allow_pickle
    return vae_has_sound(
        literals["vae"], environment.models, latents=literals["latents"], allow_pickle=allow
    )


def vae_weights(inputs: HookInputs) -> Estimate:
    """Memory of the loaded VAE."""
    literals, environment = inputs.literals, inputs.environment
    name, latents = literals.get("vae"), literals.get("latents")
    if name is None or latents is None:
        return Estimate()
    byte_count = vae_bytes(
        name,
        environment.models,
        latents=latents,
        dtype=computed_dtype(literals.get("dtype") or AUTO, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
    )
    return Estimate(memory=0, weights={} if byte_count is None else {"vae": byte_count})


def vae_state(inputs: HookInputs) -> str:
    """A stamp that changes when a file of the VAE changes."""
    environment = inputs.environment
    return vae_stamp(
        inputs.literals["vae"],
        environment.models,
        allow_pickle=environment.allow_pickle,
        device=environment.device,
    )

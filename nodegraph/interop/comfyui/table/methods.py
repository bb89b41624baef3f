"""Samplers by name, and with options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.entries import Choice, TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.files import known_literal
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

SAMPLERS = Choice(
    {
        "ddim": "euler",
        "ddpm": "euler_ancestral",
        "uni_pc": "uni_pc_bh1",
        "uni_pc_bh2": "uni_pc",
        "dpmpp_sde_gpu": "dpmpp_sde",
        "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
        "dpmpp_2m_sde_heun_gpu": "dpmpp_2m_sde_heun",
        "dpmpp_3m_sde_gpu": "dpmpp_3m_sde",
    }
)
"""Samplers' names there, and what gives their results here."""

_NONE = frozenset(
    (
        "dpm_fast",
        "dpm_adaptive",
        "res_multistep_cfg_pp",
        "res_multistep_ancestral_cfg_pp",
        "ar_video",
    )
)


_ONLY_HERE = frozenset(("restart", "dpmpp_2s", "dpmpp_3m", "pndm", "tcd"))
_OTHERWISE = frozenset(("uni_pc", "uni_pc_bh1"))
"""Names that are another sampler's there."""


def native_sampler(node: Passage, name: str = "sampler_name") -> Any:
    """A sampler as it is called here.

    Raises:
        Untranslatable: There is none.
    """
    signal = node.inputs[name]
    sampler = comfyui_sampler(node, name)
    if sampler in _NONE:
        raise Untranslatable(f"there is no sampler {sampler}")
    ours = SAMPLERS.ours(sampler)
    return signal if ours == known_literal(node, name) else ours


def comfyui_sampler(node: Passage, name: str = "sampler_name") -> Any:
    """The sampler that an input names, as it is called there today; None if that isn't known.

    Files of the first weeks of 2023 say ``sample_euler`` for ``euler``.
    """
    sampler = known_literal(node, name)
    return sampler.removeprefix("sample_") if isinstance(sampler, str) else sampler


def keep_name(node: Passage) -> None:
    """Names that several samplers there share one of ours with are kept."""
    value = node.inputs["sampler_name"].given
    named = value.removeprefix("sample_") if isinstance(value, str) else ""
    if SAMPLERS.ours(named) != named:
        node.keep(sampler_name=named)


def exported_sampler(node: Passage) -> Any:
    """The sampler's name there; that which was imported where it is still the same."""
    sampler = node.inputs["sampler"]
    kept = node.kept.get("sampler_name")
    if kept is not None and SAMPLERS.ours(kept) == sampler.given:
        return kept
    if sampler.given in _ONLY_HERE:
        raise Untranslatable(f"there is no sampler {sampler.given} there")
    return SAMPLERS.theirs(sampler.given) if sampler.given in _OTHERWISE else sampler


def _select(native: str, **inputs: str) -> Translate:
    """A sampler with options, whatever it is called here.

    Args:
        inputs: Native options, and what they are called there.
    """

    def forward(node: Passage) -> None:
        taken = {our: node.inputs[their] for our, their in inputs.items() if their in node.inputs}
        node.give(
            "SAMPLER", MadeOutput(node.add("SelectSampler", sampler=native, **taken), "sampler")
        )

    return forward


def _ksampler_select(node: Passage) -> None:
    name = node.add("SelectSampler", sampler=native_sampler(node))
    keep_name(node)
    node.give("SAMPLER", MadeOutput(name, "sampler"))


def _dpmpp_2m_sde(node: Passage) -> None:
    heun = node.literal("solver_type") == "heun"
    native = "dpmpp_2m_sde_heun" if heun else "dpmpp_2m_sde"
    _select(native, eta="eta", s_noise="s_noise")(node)


def _er_sde(node: Passage) -> None:
    kind = node.literal("solver_type")
    if kind != "ER-SDE":
        node.tell(f"er_sde follows its own noise here, not that of {kind}")
    # its eta counts for other kinds alone
    _select("er_sde", order="max_stage", s_noise="s_noise")(node)


_OPTIONED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "euler_ancestral": ("SamplerEulerAncestral", {"eta": "eta", "s_noise": "s_noise"}),
    "euler_ancestral_cfg_pp": ("SamplerEulerAncestralCFGPP", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_2s_ancestral": ("SamplerDPMPP_2S_Ancestral", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_2m_sde": ("SamplerDPMPP_2M_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_2m_sde_heun": ("SamplerDPMPP_2M_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_3m_sde": ("SamplerDPMPP_3M_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "dpmpp_sde": ("SamplerDPMPP_SDE", {"eta": "eta", "s_noise": "s_noise"}),
    "lms": ("SamplerLMS", {"order": "order"}),
    "er_sde": ("SamplerER_SDE", {"order": "max_stage", "s_noise": "s_noise"}),
    "lcm": (
        "SamplerLCM",
        {"s_noise": "s_noise", "s_noise_end": "s_noise_end", "noise_clip": "noise_clip_std"},
    ),
}


def sampler_back(node: Passage) -> None:
    """SelectSampler: by name alone, or with the options that some have there."""
    options = {
        name: signal
        for name, signal in node.inputs.items()
        if name != "sampler" and signal.given is not None
    }
    if not options:
        name = node.add("KSamplerSelect", sampler_name=exported_sampler(node))
        node.give("sampler", MadeOutput(name, "SAMPLER"))
        return
    method = node.literal("sampler")
    there, names = _OPTIONED.get(method, ("", {}))
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise Untranslatable(f"{method} has no option {', '.join(unknown)} there")
    taken = {names[our]: signal for our, signal in options.items()}
    if there == "SamplerDPMPP_2M_SDE":
        taken["solver_type"] = Signal("heun" if method.endswith("heun") else "midpoint")
    node.give("sampler", MadeOutput(node.add(there, **taken), "SAMPLER"))


_NOISY = "eta: FLOAT = 1.0, s_noise: FLOAT = 1.0"

SAMPLER_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        'KSamplerSelect(sampler_name: COMBO = "euler") -> SAMPLER',
        _ksampler_select,
        "SelectSampler",
        sampler_back,
    ),
    entry(
        f"SamplerEulerAncestral({_NOISY}) -> SAMPLER",
        _select("euler_ancestral", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f"SamplerEulerAncestralCFGPP({_NOISY}) -> SAMPLER",
        _select("euler_ancestral_cfg_pp", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f"SamplerDPMPP_2S_Ancestral({_NOISY}) -> SAMPLER",
        _select("dpmpp_2s_ancestral", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f'SamplerDPMPP_2M_SDE(solver_type: COMBO = "midpoint", {_NOISY}, '
        'noise_device: COMBO = "gpu") -> SAMPLER',
        _dpmpp_2m_sde,
    ),
    entry(
        f'SamplerDPMPP_3M_SDE({_NOISY}, noise_device: COMBO = "gpu") -> SAMPLER',
        _select("dpmpp_3m_sde", eta="eta", s_noise="s_noise"),
    ),
    entry(
        f'SamplerDPMPP_SDE({_NOISY}, r: FLOAT = 0.5, noise_device: COMBO = "gpu") -> SAMPLER',
        _select("dpmpp_sde", eta="eta", s_noise="s_noise"),
    ),
    entry("SamplerLMS(order: INT = 4) -> SAMPLER", _select("lms", order="order")),
    entry(
        "SamplerLCM(s_noise: FLOAT = 1.0, s_noise_end: FLOAT = 1.0, noise_clip_std: FLOAT = 0.0)"
        " -> SAMPLER",
        _select("lcm", s_noise="s_noise", s_noise_end="s_noise_end", noise_clip="noise_clip_std"),
    ),
    entry(
        'SamplerER_SDE(solver_type: COMBO = "ER-SDE", max_stage: INT = 3, eta: FLOAT = 1.0, '
        "s_noise: FLOAT = 1.0) -> SAMPLER",
        _er_sde,
    ),
)

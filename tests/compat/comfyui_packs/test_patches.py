"""Functions that packs set on a model, and samplers and guiders that are a pack's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nodegraph import Session, Settings
from tests.compat.comfyui_packs.conftest import comfy_pack
from tests.compat.comfyui_packs.direct_calls import PackBench, pack_bench
from tests.compat.comfyui_packs.test_stand_ins_models import drawn, picture, unscaled
from tests.compat.comfyui_packs.test_stand_ins_sampling import LOAD, native
from tests.nodes.conftest import link

EULER = """
def euler(model, x, sigmas, extra_args=None, callback=None, disable=None, **options):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    return x
"""

OWN = """
import torch
noise = comfy.sample.prepare_noise(torch.zeros(2, 8, 8, 8), 5)
levels = comfy.samplers.calculate_sigmas(model.model_sampling, "normal", 4)

def sampled(guider, sampler, mask=None, latent=None):
    begun = torch.zeros_like(noise) if latent is None else latent
    return guider.sample(noise, begun, sampler, levels, denoise_mask=mask, seed=5)

def guider(kind=comfy.samplers.CFGGuider, model=model):
    made = kind(model)
    made.set_conds(positive, negative)
    made.set_cfg(6.0)
    return made
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackBench]:
    with pack_bench(tmp_path_factory.mktemp("packs")) as made:
        yield made


@pytest.fixture(scope="module")
def plain(bench: PackBench) -> torch.Tensor:
    """What native nodes sample by Euler's method."""
    return unscaled(bench, native(sampler="euler"))


def test_functions_of_the_guidance_get_each_prediction(bench: PackBench) -> None:
    code = (
        LOAD
        + """
seen = []

def pre(args):
    assert args["conds"][0] is positive and args["conds"][1] is negative
    return args["conds_out"]

def same(args):
    assert torch.equal(args["cond"], args["input"] - args["cond_denoised"])
    return args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"]

def post(args):
    options = args["model_options"]["transformer_options"]
    seen.append([float(args["sigma"][0]), options["sample_sigmas"].tolist()])
    return args["denoised"]

def run():
    results = {}
    for name, change in {
        "noted": lambda m: m.set_model_sampler_post_cfg_function(post),
        "combined": lambda m: m.set_model_sampler_cfg_function(same),
        "old form": lambda m: m.set_model_sampler_cfg_function(lambda c, u, s: u + (c - u) * s),
        "before": lambda m: m.set_model_sampler_pre_cfg_function(pre),
        "halved": lambda m: m.set_model_sampler_post_cfg_function(lambda a: a["denoised"] / 2),
    }.items():
        patched = model.clone()
        change(patched)
        results[name] = nodes.KSampler().sample(
            patched, 5, 4, 6.0, "euler", "normal", positive, negative, empty
        )[0]["samples"]
    assert not model.model_options.keys() - {"transformer_options"}
    return results, seen
"""
    )
    results, seen = bench.run(code)
    expected = unscaled(bench, native(sampler="euler"))
    sigmas = seen[0][1]
    assert [sigma for sigma, _ in seen] == sigmas[:-1]
    assert torch.equal(results["noted"], expected)
    assert torch.equal(results["before"], expected)
    for name in ("combined", "old form"):
        assert torch.allclose(results[name], expected, atol=1e-3 * float(expected.abs().max()))
    # The last step ends at what the function says.
    assert not torch.allclose(results["halved"], expected, rtol=0.1)


@pytest.mark.parametrize(
    ("kind", "function", "returned"),
    [
        ("post", "lambda args: None", "NoneType"),
        ("post", "lambda args: args['denoised'][:1]", "Tensor of shape (1, 8, 8, 8)"),
        ("pre", "lambda args: None", "NoneType"),
        ("pre", "lambda args: [None, args['conds_out'][1]]", "NoneType, Tensor of shape"),
        ("pre", "lambda args: args['conds_out'][:1]", "given: Tensor of shape (2, 8, 8, 8);"),
        ("", "lambda args: 1.5", "float"),
        ("", "lambda cond, uncond, scale: None", "NoneType"),
    ],
)
def test_a_function_that_returns_no_prediction_is_named(
    bench: PackBench, kind: str, function: str, returned: str
) -> None:
    setter = f"set_model_sampler_{kind}_cfg_function".replace("__", "_")
    line = f"model.{setter}(function)"
    code = LOAD + f"function = {function}\nfunction.__qualname__ = 'Odd.change'\n{line}\n"
    message = bench.failure(code + drawn())
    key = setter.removeprefix("set_model_")
    assert f"the function `Odd.change` of a pack, a {key}, returned no prediction" in message
    assert returned in message
    assert "of shape (2, 8, 8, 8)" in message


def test_a_function_at_a_scale_of_one_asks_for_the_negative_prompt_if_it_says_so(
    bench: PackBench,
) -> None:
    code = (
        LOAD
        + """
def run():
    sums = []
    for disables in (False, True):
        patched = model.clone()
        patched.set_model_sampler_post_cfg_function(
            lambda args: sums.append(float(args["uncond_denoised"].abs().sum()))
            or args["denoised"],
            disable_cfg1_optimization=disables,
        )
        nodes.KSampler().sample(patched, 5, 1, 1.0, "euler", "normal", positive, negative, empty)
    return sums
"""
    )
    without, with_negative = bench.run(code)
    assert without == 0
    assert with_negative > 0


def test_noise_levels_of_a_pack_are_those_of_the_node(bench: PackBench) -> None:
    code = (
        LOAD
        + """
import comfy.model_sampling

class Chosen(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION):
    pass

chosen = Chosen(model.model.model_config)
stretched = comfy.model_sampling.rescale_zero_terminal_snr_sigmas(chosen.sigmas)
chosen.set_sigmas(stretched)
patched = model.clone()
patched.add_object_patch("model_sampling", chosen)
assert patched.get_model_object("model_sampling") is chosen
assert float(model.model_sampling.sigma_max) < 15 < float(chosen.sigma_max)
"""
        + drawn(model="patched")
    )
    nodes = native()
    inputs = {"prediction_type": "v_prediction", "zero_terminal_snr": "on"}
    nodes["set"] = {"type": "SetPrediction", "inputs": {"model": link("load.model"), **inputs}}
    nodes["sample"]["inputs"]["model"] = link("set.model")
    assert torch.equal(bench.run(code), unscaled(bench, nodes))


def test_a_function_changes_the_noise_mask_at_each_level(bench: PackBench) -> None:
    image, mask = picture(1, 64, 64, 3), torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1
    code = (
        LOAD
        + """
levels = []

def same(sigma, mask, extra_options):
    sampling = extra_options["model"].inner_model.model_sampling
    assert float(sampling.timestep(sigma[0])) >= 0
    levels.append(len(extra_options["sigmas"]))
    return mask

def run():
    latent = nodes.VAEEncode().encode(vae, image)[0]
    masked = nodes.SetLatentNoiseMask().set_mask(latent, mask)[0]
    results = []
    for function in (same, lambda sigma, mask, extra_options: mask * 0):
        patched = model.clone()
        patched.set_model_denoise_mask_function(function)
        results.append(nodes.KSampler().sample(
            patched, 5, 4, 6.0, "euler", "normal", positive, negative, masked, 0.6
        )[0]["samples"])
    return results, levels, latent["samples"]
"""
    )
    (kept, untouched), levels, original = bench.run(code, image=image, mask=mask)
    nodes = native(sampler="euler", denoise=0.6)
    nodes["encode"] = {
        "type": "VAEEncode",
        "inputs": {"vae": link("load.vae"), "image": image},
    }
    nodes["mask"] = {
        "type": "SetNoiseMask",
        "inputs": {"latent": link("encode.latent"), "mask": mask},
    }
    nodes["sample"]["inputs"]["latent"] = link("mask.latent")
    assert {*levels} == {5}
    assert torch.equal(kept, unscaled(bench, nodes))
    assert torch.allclose(untouched, original)


def test_a_sampler_of_the_pack_gets_the_models_predictions(
    bench: PackBench, plain: torch.Tensor
) -> None:
    code = (
        LOAD
        + OWN
        + EULER
        + """
def nested(model, x, sigmas, extra_args=None, callback=None, disable=None, **options):
    known = comfy.k_diffusion.sampling.sample_euler
    return known(model, x, sigmas, extra_args=extra_args, callback=callback)

def run():
    import comfy.k_diffusion.sampling
    own, shown = comfy.samplers.KSAMPLER(euler), []
    results = [
        sampled(guider(), own),
        sampled(guider(), comfy.samplers.KSAMPLER(nested)),
        comfy.sample.sample_custom(
            model, noise, 6.0, own, levels, positive, negative, torch.zeros_like(noise),
            callback=lambda *step: shown.append(step[0]), seed=5,
        ),
    ]
    kept = sampled(guider(), own, mask=torch.zeros(1, 1, 64, 64), latent=results[0])
    return results, shown, torch.allclose(kept, results[0], atol=1e-5)
"""
    )
    (own, nested, custom), shown, keeps = bench.run(code)
    assert torch.equal(own, plain)
    assert torch.allclose(nested, plain, atol=1e-4 * float(plain.abs().max()))
    assert torch.equal(custom, plain)
    assert shown == [0, 1, 2, 3]
    assert keeps
    assert bench.asked.count("sampling.cancel") == bench.asked.count("sampling.begin") == 4


def test_rising_noise_levels_turn_a_clean_latent_into_a_noisy_one(bench: PackBench) -> None:
    code = (
        LOAD
        + OWN
        + EULER
        + """
import comfy.k_diffusion.sampling

def nested(model, x, sigmas, extra_args=None, callback=None, disable=None, **options):
    return comfy.k_diffusion.sampling.sample_euler(model, x, sigmas, extra_args=extra_args)

def run():
    own = map(comfy.samplers.KSAMPLER, (euler, nested))
    samplers = [comfy.samplers.sampler_object("euler"), *own]
    latent = nodes.VAEEncode().encode(vae, image)[0]["samples"].repeat(2, 1, 1, 1)
    rising = torch.tensor([0.05, 0.5, 2.0, 8.0])
    zeros = torch.zeros_like(latent)
    return [guider().sample(zeros, latent, each, rising, seed=5) for each in samplers]
"""
    )
    known, own, inside = bench.run(code, image=picture(1, 64, 64, 3))
    close = 1e-3 * float(own.abs().max())
    assert float(own.std()) > 5
    assert torch.allclose(known, own, atol=close)
    assert torch.allclose(inside, own, atol=close)


def test_a_guider_of_the_pack_predicts_by_its_own_prompts(
    bench: PackBench, plain: torch.Tensor
) -> None:
    code = (
        LOAD
        + OWN
        + """
class Same(comfy.samplers.CFGGuider):
    def predict_noise(self, x, timestep, model_options={}, seed=None):
        return super().predict_noise(x, timestep, model_options, seed)

class Three(comfy.samplers.CFGGuider):
    def set_conds(self, positive, negative):
        self.inner_set_conds({"positive": positive, "negative": negative, "third": positive})

    def predict_noise(self, x, timestep, model_options={}, seed=None):
        sides = [self.conds.get(name) for name in ("negative", "positive", "third")]
        away, towards, third = comfy.samplers.calc_cond_batch(
            self.inner_model, sides, x, timestep, model_options
        )
        assert torch.allclose(towards, third, atol=1e-4)
        return comfy.samplers.cfg_function(
            self.inner_model, towards, away, self.cfg, x, timestep, model_options
        )

def run():
    sampler = comfy.samplers.sampler_object("euler")
    ancestral = comfy.samplers.sampler_object("euler_ancestral")
    return sampled(guider(Same), sampler), sampled(guider(Three), sampler), sampled(
        guider(Same), ancestral
    )
"""
    )
    same, three, ancestral = bench.run(code)
    close = 1e-3 * float(plain.abs().max())
    assert torch.allclose(same, plain, atol=close)
    assert torch.allclose(three, plain, atol=close)
    assert torch.allclose(ancestral, unscaled(bench, native()), atol=close)


def test_a_mask_as_a_threshold_holds_for_a_sampler_of_the_pack(bench: PackBench) -> None:
    code = (
        LOAD
        + OWN
        + EULER
        + """
from comfy_extras.nodes_differential_diffusion import DifferentialDiffusion

def run():
    latent = nodes.VAEEncode().encode(vae, image)[0]["samples"].repeat(2, 1, 1, 1)
    patched = DifferentialDiffusion().execute(model)[0]
    return [
        sampled(guider(model=patched), sampler, mask=mask, latent=latent)
        for sampler in (comfy.samplers.sampler_object("euler"), comfy.samplers.KSAMPLER(euler))
    ]
"""
    )
    mask = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    known, own = bench.run(code, image=picture(1, 64, 64, 3), mask=mask)
    assert torch.allclose(own, known, atol=1e-3)


def test_functions_change_the_middle_prompt_of_two(bench: PackBench) -> None:
    code = (
        LOAD
        + OWN
        + EULER
        + """
from comfy_extras.nodes_custom_sampler import Guider_DualCFG

middle = nodes.CLIPTextEncode().encode(clip, "a dog")[0]

class Written(comfy.samplers.CFGGuider):
    def predict_noise(self, x, timestep, model_options={}, seed=None):
        sides = comfy.samplers.calc_cond_batch(
            self.inner_model, [negative, middle, positive], x, timestep, model_options
        )
        shared = sides[0] + 3.0 * (sides[1] - sides[0])
        return shared / 2 + 6.0 * (sides[2] - sides[1])

def run():
    patched = model.clone()
    patched.set_model_sampler_post_cfg_function(lambda args: args["denoised"] / 2)
    dual = Guider_DualCFG(patched)
    dual.set_conds(positive, middle, negative)
    dual.set_cfg(6.0, 3.0)
    known, own = comfy.samplers.sampler_object("euler"), comfy.samplers.KSAMPLER(euler)
    return sampled(dual, known), sampled(dual, own), sampled(guider(Written), own)
"""
    )
    known, own, written = bench.run(code)
    close = 1e-4 * float(written.abs().max())
    assert torch.allclose(known, written, atol=close)
    assert torch.allclose(own, written, atol=close)


def test_what_predictions_of_single_prompts_leave_out_is_refused(bench: PackBench) -> None:
    code = (
        LOAD
        + OWN
        + """
class Patched(comfy.samplers.CFGGuider):
    def predict_noise(self, x, timestep, model_options={}, seed=None):
        options = {"transformer_options": {"patches_replace": {"attn1": {("middle", 0): print}}}}
        return comfy.samplers.calc_cond_batch(
            self.inner_model, [self.conds["positive"]], x, timestep, options
        )[0]

class Combined(comfy.samplers.CFGGuider):
    def predict_noise(self, x, timestep, model_options={}, seed=None):
        return comfy.samplers.cfg_function(self.inner_model, x, x, 6.0, x, timestep, model_options)

def run():
    rescaled = nodes.NODE_CLASS_MAPPINGS["RescaleCFG"]().patch(model, 0.7)[0]
    made = guider(Patched) if patched else guider(Combined, rescaled)
    return sampled(made, comfy.samplers.sampler_object("euler"))
"""
    )
    assert "'patches_replace'" in bench.failure(code, patched=True)
    assert "cfg_function of a MODEL with RescaleCFG" in bench.failure(code, patched=False)


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m"])
def test_callbacks_get_the_noisy_latent_that_a_step_begins_with(
    bench: PackBench, name: str
) -> None:
    code = (
        LOAD
        + OWN
        + EULER
        + f"""
def nested(model, x, sigmas, extra_args=None, callback=None, disable=None):
    known = comfy.k_diffusion.sampling.sample_{name}
    return known(model, x, sigmas, extra_args=extra_args, callback=callback)

def run():
    shown = []
    own = [euler] if {name == "euler"} else []
    known = comfy.samplers.sampler_object("{name}")
    for sampler in (known, *map(comfy.samplers.KSAMPLER, (nested, *own))):
        shown.append([])
        comfy.sample.sample_custom(
            model, noise, 6.0, sampler, levels, positive, negative, torch.zeros_like(noise),
            callback=lambda step, x0, x, total: shown[-1].append(x), seed=5,
        )
    return shown, levels[0]
"""
    )
    (known, *others), sigma = bench.run(code)
    drawn = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(5))
    assert torch.allclose(known[0], drawn * (1 + sigma**2) ** 0.5, rtol=1e-4, atol=1e-4)
    for shown in others:
        for step, x in zip(known, shown, strict=True):
            assert torch.allclose(step, x, atol=1e-3)


def test_a_sampler_may_be_any_object_and_seed_0_draws_noise(bench: PackBench) -> None:
    code = (
        LOAD
        + OWN
        + """
class Keeps:
    def sample(self, model, sigmas, extra, callback, noise, latent=None, mask=None, disable=False):
        return latent + 1

def keep_noise(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return model.noise

def run():
    drawn = comfy.samplers.KSAMPLER(keep_noise, inpaint_options={"random": True})
    made = guider().sample(noise, torch.zeros_like(noise), drawn, levels, seed=0)
    return sampled(guider(), Keeps()), model.model.process_latent_in(made)
"""
    )
    kept, drawn = bench.run(code)
    assert torch.allclose(kept, torch.full_like(kept, 1 / 0.18215))
    generator = torch.Generator().manual_seed(1)
    assert torch.allclose(drawn, torch.randn(drawn.shape, generator=generator), atol=1e-5)


def test_a_patch_of_the_forward_pass_names_the_node_that_does_it(bench: PackBench) -> None:
    line = "model.set_model_unet_function_wrapper(print)"
    assert "FirstBlockCache" in bench.failure(LOAD + f"def run():\n    {line}\n")
    code = LOAD + 'model.model_options["transformer_options"]["patches"] = {"attn1_patch": [print]}'
    assert "transformer_options']['patches'" in bench.failure(code + "\n" + drawn())


CHAIN = (
    "import comfy.sample\nimport comfy.samplers\nimport nodes\nimport torch\n"
    + EULER
    + """

class Patch:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",)}}

    RETURN_TYPES = ("MODEL", "SAMPLER", "NOISE", "GUIDER")
    FUNCTION = "run"

    def run(self, model):
        patched = model.clone()
        patched.set_model_sampler_post_cfg_function(self.note)
        self.model = patched
        return patched, comfy.samplers.KSAMPLER(euler), Noise(), comfy.samplers.CFGGuider(patched)

    def note(self, args):
        # It asks the main worker itself, while that waits for its answer.
        assert self.model.model_sampling.percent_to_sigma(0.5) > 0
        return args["denoised"]


class Noise:
    seed = 5

    def generate_noise(self, latent):
        return comfy.sample.prepare_noise(latent["samples"], self.seed)


class Sample:
    @classmethod
    def INPUT_TYPES(cls):
        types = {"guider": "GUIDER", "sampler": "SAMPLER", "noise": "NOISE", "model": "MODEL"}
        types |= {"clip": "CLIP", "latent": "LATENT"}
        return {"required": {name: (kind,) for name, kind in types.items()}}

    RETURN_TYPES = ("LATENT", "LATENT")
    FUNCTION = "run"

    def run(self, guider, sampler, noise, model, clip, latent):
        positive = nodes.CLIPTextEncode().encode(clip, "a fox")[0]
        negative = nodes.CLIPTextEncode().encode(clip, "")[0]
        samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
        drawn = noise.generate_noise({"samples": samples})
        levels = comfy.samplers.calculate_sigmas(model.model_sampling, "normal", 4)
        guider.set_conds(positive, negative)
        guider.set_cfg(6.0)
        own = guider.sample(drawn, samples, sampler, levels, seed=noise.seed)
        known = nodes.common_ksampler(
            model, noise.seed, 4, 6.0, "euler", "normal", positive, negative, latent
        )[0]
        return {**latent, "samples": own}, known

NODE_CLASS_MAPPINGS = {"Patch": Patch, "Sample": Sample}
"""
)


@pytest.mark.slow
def test_functions_are_called_back_in_the_packs_process(tmp_path: Path) -> None:
    root = tmp_path / "chain"
    root.mkdir()
    (root / "__init__.py").write_text(CHAIN)
    nodes = native(sampler="euler")
    for side, text in (("positive", "a fox"), ("negative", "")):
        nodes[side]["inputs"]["text"] = text
    nodes["patch"] = {"type": "chain:Patch", "inputs": {"model": link("load.model")}}
    own = {name: link(f"patch.{name}") for name in ("model", "sampler", "noise", "guider")}
    rest = {"clip": link("load.text_encoder"), "latent": link("empty")}
    nodes["own"] = {"type": "chain:Sample", "inputs": own | rest}
    inputs = nodes["sample"]["inputs"] | {"model": link("patch.model")}
    nodes["other"] = {"type": "KSampler", "inputs": inputs}
    with Session(
        Settings(home=tmp_path / "home", device="cpu"), packs=[comfy_pack(root)]
    ) as session:
        workflow = {"format": "nodegraph/1", "nodes": nodes}
        result = session.run(workflow, targets=["own", "sample", "other"])
    assert not result.errors
    expected = result["sample.latent"].samples
    for name in ("own.latent", "own.latent_2", "other.latent"):
        assert torch.allclose(result[name].samples, expected, atol=1e-5)

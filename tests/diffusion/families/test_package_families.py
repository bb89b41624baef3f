"""Models of a package's family: stale code, faults of its functions, and what it may leave out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nodegraph.diffusion import FAMILIES
from nodegraph.errors import InvalidFile
from nodegraph.models.model_sources import describe_model, locate_model
from tests.diffusion.families.test_registry import (
    _PLAIN_FAMILY,
    _PLAIN_NETWORK,
    bring,
    listed,
)
from tests.messages import raises

_OPENED = """
import sys, torch
from pathlib import Path
from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.diffusion import load_component, sample
from nodegraph.errors import NodegraphError
from nodegraph.families.registry import FAMILIES, family_release, get_family
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
site, file = Path(sys.argv[1]), sys.argv[2]
def load():
    return load_component(open_denoiser(DenoiserRequest(file), []), "cpu")
def sampled(model):
    prompt = Conditioning((ConditioningEntry({"embeddings": torch.ones(1, 2, 3)}),), "plain")
    options = {"seed": 1, "steps": 1, "cfg": 1.0, "sampler": "euler", "schedule": "normal"}
    return sample(model, prompt, None, Latent(None, 32, 32, 1), **options).samples
def refused(work):
    try: print(work())
    except NodegraphError as error: print(type(error).__name__, error)
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of the plain network."""
    tensors = {"mix.weight": torch.full((16, 16, 1, 1), 0.25), "mix.bias": torch.zeros(16)}
    save_file(tensors, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def plain_package(site: Path, family: str = _PLAIN_FAMILY, network: str = _PLAIN_NETWORK) -> None:
    """Install the package `plain`, whose family is `plain`."""
    (site / "plain").mkdir()
    modules = {"__init__": "", "networks": network, "family": family}
    texts = {f"plain/{name}": text for name, text in modules.items()}
    bring(site, "plain-package", texts, ["plain = plain.family:PLAIN"])


def told(site: Path, code: str, weights: Path) -> list[str]:
    """The lines that a process prints which runs some code after `_OPENED`."""
    return listed(site, _OPENED + code, str(site), str(weights)).stdout.splitlines()


@pytest.mark.slow
def test_a_network_that_is_imported_after_an_edit_is_refused(tmp_path: Path, weights: Path) -> None:
    """Its results would be stored under the digest of the code before the edit."""
    plain_package(tmp_path)
    code = """
get_family("plain")
networks = site / "plain" / "networks.py"
text = networks.read_text()
networks.write_text(text.replace("self.factor *", "3 * self.factor *"))
refused(load)
networks.write_text(text)
refused(load)
"""
    edited, restored = told(tmp_path, code, weights)
    assert "the package plain changed after nodegraph read its code" in edited
    assert "Restart nodegraph" in edited
    assert restored == edited


@pytest.mark.slow
def test_a_network_is_refused_after_an_edit_of_a_module_beside_its_package(
    tmp_path: Path, weights: Path
) -> None:
    network = _PLAIN_NETWORK.replace("self.factor *", "plain_scale.SCALE * self.factor *")
    assert network != _PLAIN_NETWORK
    plain_package(tmp_path, network=f"import plain_scale\n{network}")
    (tmp_path / "plain_scale.py").write_text("SCALE = 1\n")
    code = """
get_family("plain")
(site / "plain_scale.py").write_text("SCALE = 3\\n")
refused(load)
refused(load)
"""
    edited, again = told(tmp_path, code, weights)
    assert "the package plain_scale changed after nodegraph read its code" in edited
    assert again == edited


def test_a_network_that_was_imported_before_an_edit_is_used_as_it_was(
    tmp_path: Path, weights: Path
) -> None:
    plain_package(tmp_path)
    code = """
get_family("plain")
before = sampled(load())
networks = site / "plain" / "networks.py"
networks.write_text(networks.read_text().replace("self.factor *", "3 * self.factor *"))
print(torch.equal(before, sampled(load())))
"""
    assert told(tmp_path, code, weights) == ["True"]


@pytest.mark.slow
def test_code_of_a_network_in_another_package_is_part_of_the_release(
    tmp_path: Path, weights: Path
) -> None:
    plain_package(tmp_path, _PLAIN_FAMILY.replace("plain.networks", "own_networks.plain"))
    network = tmp_path / "own_networks" / "plain.py"
    network.parent.mkdir()
    network.write_text(_PLAIN_NETWORK)
    code = "print(family_release(get_family('plain'))[0][1])"
    before, again = (told(tmp_path, code, weights) for _ in range(2))
    network.write_text(_PLAIN_NETWORK.replace("self.factor *", "3 * self.factor *"))
    assert before == again
    assert before[0].startswith("plain-package 1.0 #")
    assert told(tmp_path, code, weights) != before


_SAMPLE = "refused(lambda: tuple(sampled(load()).shape))"
_BARE_NETWORK = """
import torch
class Scaled(torch.nn.Module):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.mix = torch.nn.Conv2d(16, 16, 1)
    def forward(self, x, words):
        return self.factor * self.mix(x) + words.mean()
"""


@pytest.mark.slow
def test_a_network_whose_configuration_has_no_usual_entry_is_sampled(
    tmp_path: Path, weights: Path
) -> None:
    """Its width and channels are the usual ones."""
    family = _PLAIN_FAMILY.replace('"channels": shapes["mix.weight"][0], ', "")
    own_channels = """    def channels(self, config):
        return config["channels"]
"""
    assert own_channels in family
    plain_package(tmp_path, family.replace(own_channels, ""), _BARE_NETWORK)
    code = f"""
{_SAMPLE}
print(get_family("plain").step_memory({{}}) == FAMILIES["auraflow"].step_memory({{}}))
"""
    assert told(tmp_path, code, weights) == ["(1, 16, 4, 4)", "True"]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_estimates_the_memory_of_an_unknown_model(name: str) -> None:
    step = FAMILIES[name].step_memory({})
    assert step.cell > 0
    assert step.parameter_uses > 0


_PREDICTED = 'return model.module(x, batch["embeddings"])'
_FAULTS = {
    "another": (
        "predict",
        {_PREDICTED: f"{_PREDICTED}[:, :1]"},
        "returns no prediction (given: shape (1, 1, 4, 4); "
        "expected: shape (1, 16, 4, 4), as the latent)",
    ),
    "elsewhere": (
        "predict",
        {_PREDICTED: f"{_PREDICTED}.to('meta')"},
        "given: a dense tensor on meta; expected: a dense tensor on cpu",
    ),
    "integers": ("predict", {_PREDICTED: f"{_PREDICTED}.long()"}, "given: a tensor of int64"),
    "nothing": ("predict", {_PREDICTED: "return None"}, "given: NoneType"),
    "exits": ("predict", {_PREDICTED: "raise SystemExit(3)"}, "fails: SystemExit: 3"),
    "call": ("predict", {_PREDICTED: "return model.module(x)"}, "fails: TypeError: "),
    "empty": ("predict", {_PREDICTED: "raise AssertionError"}, "fails: AssertionError. Fix"),
    "fit": ("fit", {"def predict": "def fit(self, *more): 1 / 0\n    def predict"}, "by zero"),
    "no fit": ("fit", {"def predict": "def fit(self, *more): ...\n    def predict"}, "NoneType"),
    "join": (
        "join",
        {"def predict": "def join(self, *more): return {}['no']\n    def predict"},
        "fails: KeyError: 'no'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", _FAULTS)
def test_a_fault_of_a_package_s_family_names_it(case: str, tmp_path: Path, weights: Path) -> None:
    method, edits, reason = _FAULTS[case]
    family = _PLAIN_FAMILY
    for before, after in edits.items():
        assert before in family
        family = family.replace(before, after)
    plain_package(tmp_path, family)
    (message,) = told(tmp_path, _SAMPLE, weights)
    subject = f"`{method}` of the model family `plain` of plain-package 1.0 "
    assert message.startswith(f"InvalidValue input `model`: {subject}")
    assert reason in message
    assert message.endswith(f"Fix `{method}` in plain.family, or use another model.")


def test_a_fault_of_a_package_s_network_names_its_family(tmp_path: Path, weights: Path) -> None:
    network = _PLAIN_NETWORK.replace("def forward(self, x, words)", "def forward(self, x)")
    plain_package(tmp_path, network=network)
    (message,) = told(tmp_path, _SAMPLE, weights)
    assert "`predict` of the model family `plain` of plain-package 1.0 fails: TypeError" in message


def test_memory_that_runs_out_in_a_package_s_family_is_told_as_such(
    tmp_path: Path, weights: Path
) -> None:
    plain_package(tmp_path, _PLAIN_FAMILY.replace(_PREDICTED, "raise MemoryError('full')"))
    code = """
from nodegraph.residency.memory import is_out_of_memory
try: sampled(load())
except MemoryError as error: print(error)
family = get_family("plain")
type(family).__mro__[1].predict = lambda *more: torch.zeros(1 << 60)
try: family.predict(None, None, None, None)
except Exception as error: print(is_out_of_memory(error))
"""
    assert told(tmp_path, code, weights) == ["full", "True"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("raise ValueError('no words')", "fails: ValueError: no words"),
        ("return {'embeddings': 1}", "returns something else (given: dict; expected: Conditioning"),
    ],
)
def test_a_fault_of_encode_is_told_at_the_encoder(
    result: str, reason: str, tmp_path: Path, weights: Path
) -> None:
    plain_package(tmp_path, _PLAIN_FAMILY.replace("raise NotImplementedError", result))
    code = """
from types import SimpleNamespace
from nodegraph.families.components import TextModel
from nodegraph.models.conditioning import encode_prompt
model = TextModel({"text_encoder": SimpleNamespace(device="cpu")}, "plain")
refused(lambda: encode_prompt(model, "a lemon"))
"""
    (message,) = told(tmp_path, code, weights)
    subject = "input `encoder`: `encode` of the model family `plain` of plain-package 1.0 "
    assert message.startswith(f"InvalidValue {subject}")
    assert reason in message
    assert message.endswith("Fix `encode` in plain.family, or use another encoder.")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["channels", "trained_size", "context_width", "step_memory"])
def test_a_fault_of_what_a_family_says_of_a_model_names_the_method(
    method: str, tmp_path: Path, weights: Path
) -> None:
    """Not the model's configuration, which is in order."""
    edit = f"def {method}(self, config): return config['no']\n    def predict"
    plain_package(tmp_path, _PLAIN_FAMILY.replace("def predict", edit))
    code = """
from nodegraph.models.facts import family_facts
refused(lambda: family_facts(get_family("plain"), {"channels": 16}, {}, ()))
"""
    (message,) = told(tmp_path, code, weights)
    subject = f"`{method}` of the model family `plain` of plain-package 1.0 fails: KeyError: 'no'"
    assert subject in message


_ATTENTIVE_NETWORK = """
import torch
class Mixer(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mix = torch.nn.Conv2d(width, width, 1)
    def forward(self, x):
        return self.mix(x)
class Scaled(torch.nn.Module):
    def __init__(self, channels: int, factor: float = 1.0) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([Mixer(channels)])
        self.mix = torch.nn.Conv2d(channels, channels, 1)
    def forward(self, x, words):
        return self.mix(self.blocks[0](x)) + words.mean()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("caching", "title"),
    [("Broadcast()", "attention broadcast"), ("Taylor()", "TaylorSeer")],
)
def test_a_step_cache_that_has_no_layer_to_cache_is_refused(
    caching: str, title: str, tmp_path: Path, weights: Path
) -> None:
    """It would do nothing."""
    plain_package(tmp_path)
    code = f"""
from dataclasses import replace
from nodegraph.families.speed_options import Broadcast, Taylor
refused(lambda: sampled(replace(load(), caching={caching})))
"""
    (message,) = told(tmp_path, code, weights)
    assert f"`model`: the network has no attention layers that {title} can cache" in message


def test_a_guider_without_layers_to_change_does_not_ask_to_leave_them_empty(
    tmp_path: Path, weights: Path
) -> None:
    plain_package(tmp_path, network=_ATTENTIVE_NETWORK)
    tensors = load_file(weights)
    save_file(
        {**tensors, **{f"blocks.0.{name}": item.clone() for name, item in tensors.items()}}, weights
    )
    code = """
from nodegraph.sampling.guiders.perturbed_networks import identity_attention, with_attention
refused(lambda: with_attention(load(), (), identity_attention))
refused(lambda: with_attention(load(), ("0",), identity_attention))
"""
    empty, chosen = told(tmp_path, code, weights)
    assert "the middle of the network has no layers that the guider can change" in empty
    assert "Leave layers empty" not in empty
    assert "given: blocks.0" in chosen


def test_a_pipeline_class_of_a_missing_package_is_told_as_such(tmp_path: Path) -> None:
    """Not as one for LoadPipeline, which has no such class either."""
    for name in ("StudioPipeline", "AmusedPipeline"):
        (tmp_path / name).mkdir()
        index = {"_class_name": name, "_diffusers_version": "0.30.0"}
        (tmp_path / name / "model_index.json").write_text(json.dumps(index), "utf-8")
    missing = describe_model("studio", tmp_path / "StudioPipeline", "diffusers")
    assert missing.node is None
    assert missing.problem is not None
    assert "neither nodegraph, nor an installed family, nor diffusers reads" in missing.problem
    assert "The package that brings it may be missing or broken" in missing.problem
    with raises(InvalidFile):
        locate_model("StudioPipeline", [tmp_path])
    images = describe_model("images", tmp_path / "AmusedPipeline", "diffusers")
    assert (images.node, images.problem) == ("LoadPipeline", None)


@pytest.mark.slow  # a process of its own reads the built-in pack
def test_the_doctor_lists_families_that_were_left_out(tmp_path: Path) -> None:
    modules = {"broken_family": "import no_such_package"}
    bring(tmp_path, "broken-package", modules, ["broken = broken_family:FAMILY"])
    code = (
        "import sys; from nodegraph.cli import main\n"
        "sys.argv = ['nodegraph', 'doctor', '--json', '--home', sys.argv[1]]; main()"
    )
    report = json.loads(listed(tmp_path, code, str(tmp_path / "home")).stdout)
    (warning,) = (each for each in report["warnings"] if "model family" in each)
    assert warning.startswith("the model family broken of broken-package 1.0 ")
    assert "No module named 'no_such_package'" in warning

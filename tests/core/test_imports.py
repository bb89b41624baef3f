"""Checking a workflow imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nodegraph.core
from nodegraph.weights.lazy import has_stand_ins
from tests.messages import raises

POSTPONED = """
import builtins, sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.metadata import packages_distributions, version
plain = builtins.__import__
from nodegraph.weights.lazy import diffusers, transformers
assert builtins.__import__ is plain
later = {"accelerate", "diffusers.quantizers.auto"}
later |= {"diffusers.models.transformers.transformer_flux"}
assert not later & sys.modules.keys()

from diffusers.models import modeling_utils
assert modeling_utils.accelerate.__version__ == version("accelerate")
from diffusers.hooks.group_offloading import AlignDevicesHook
assert not isinstance(object(), AlignDevicesHook)
assert not later & sys.modules.keys()
from accelerate.hooks import AlignDevicesHook as Hook
assert isinstance(Hook(), AlignDevicesHook) and isinstance(AlignDevicesHook(), Hook)
assert modeling_utils.accelerate.hooks is sys.modules["accelerate.hooks"]

from diffusers.quantizers.base import DiffusersQuantizer
assert issubclass(DiffusersQuantizer, modeling_utils.DiffusersQuantizer)
from diffusers.quantizers import DiffusersAutoQuantizer, DiffusersQuantizer as Base
assert Base is DiffusersQuantizer
assert modeling_utils.DiffusersAutoQuantizer.from_config == DiffusersAutoQuantizer.from_config

names = {}
exec("from diffusers.models.autoencoders import *", names)
assert names["AutoencoderKLWan"] is diffusers.AutoencoderKLWan
assert import_module("diffusers.models.transformers").transformer_flux.FluxTransformer2DModel
assert not hasattr(import_module("diffusers.models.transformers"), "nonsense")
classes = [name for name in dir(diffusers.models) if name.endswith("Model")]
with ThreadPoolExecutor(4) as pool:
    assert all(pool.map(lambda name: getattr(diffusers, name, diffusers), classes))
assert builtins.__import__ is plain
assert "torch._dynamo" not in sys.modules

assert dict(diffusers.utils.import_utils._package_map) == packages_distributions()
from transformers.utils import import_utils
package = transformers.models.__path__[0]
structure = import_utils.create_import_structure_from_path.__wrapped__(package)
listed = import_utils.spread_import_structure(structure)
assert import_utils.define_import_structure(package) == listed
assert {"BertModel", "CLIPTextModel"} <= set(dir(transformers))
assert transformers.models.bert.BertModel is transformers.BertModel
"""
"""What is imported later is the same as ever."""

STAND_INS = """
import sys
from nodegraph.weights.lazy import diffusers
from diffusers.hooks.layerwise_casting import BaseTunerLayer
from torch import nn
assert not isinstance(nn.Linear(1, 1), BaseTunerLayer)
assert "peft" not in sys.modules
_ = BaseTunerLayer | None, None | BaseTunerLayer
from importlib.util import find_spec
assert find_spec("torch._dynamo") and find_spec("peft.tuners.tuners_utils")

import numpy
import peft
network = nn.Sequential(nn.Linear(2, 2))
peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["0"]), network)
assert isinstance(network[0], BaseTunerLayer)
assert not isinstance(nn.Linear(1, 1), BaseTunerLayer)
assert issubclass(peft.tuners.lora.LoraLayer, BaseTunerLayer)
assert isinstance(network[0], peft.tuners.tuners_utils.BaseTunerLayer)

from transformers.loss.loss_for_object_detection import linear_sum_assignment
assert linear_sum_assignment(numpy.eye(2))[1].tolist() == [1, 0]

scheduler = diffusers.LMSDiscreteScheduler()
scheduler.set_timesteps(4)
assert 0.1 < scheduler.get_lms_coefficient(2, 2, 1) < 0.2
scheduler = diffusers.EulerDiscreteScheduler(use_beta_sigmas=True)
scheduler.set_timesteps(4)
assert len(scheduler.sigmas) == 5

import torch
from diffusers.hooks.first_block_cache import FBCHeadBlockHook
from diffusers.models.attention import BasicTransformerBlock
decide = FBCHeadBlockHook._should_compute_remaining_blocks
assert "torch._dynamo" not in sys.modules
assert torch._dynamo.config is sys.modules["torch._dynamo"].config
assert decide.__name__ == "_should_compute_remaining_blocks"
from torch._dynamo import trace_rules
assert trace_rules.is_callable_allowed(BasicTransformerBlock)
from diffusers.models.controlnets.controlnet_z_image import ZImageControlTransformerBlock
assert trace_rules.is_callable_allowed(ZImageControlTransformerBlock)
"""
"""What stands for something is as good as the real thing."""

PATIENCE = 120.0
HEAVY = ("networkx", "torch", "asyncio", "pydantic_settings", "packaging", "numpy", "diffusers")


@pytest.mark.parametrize(
    "module", ["nodegraph.core.analysis", "nodegraph.core.workflow", "nodegraph.api"]
)
def test_validation_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_validating_and_building_import_nothing_heavy_either() -> None:
    code = (
        "import sys; from tests.core.support import text_to_image, build;"
        f"build(text_to_image()); print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_every_public_name_is_there() -> None:
    assert all(getattr(nodegraph.core, name) is not None for name in nodegraph.core.__all__)
    with raises(AttributeError):
        _ = nodegraph.core.nonsense


of_tested_releases = pytest.mark.skipif(
    not has_stand_ins(), reason="these releases of diffusers and transformers get no stand-ins"
)


@pytest.mark.slow
@of_tested_releases
def test_what_libraries_import_later_is_what_they_would_have() -> None:
    command = [sys.executable, "-c", POSTPONED]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@of_tested_releases
def test_stand_ins_of_rarely_used_libraries_do_what_those_do() -> None:
    subprocess.run([sys.executable, "-c", STAND_INS], check=True, timeout=PATIENCE)


@pytest.mark.slow
def test_other_releases_of_the_libraries_are_imported_as_a_whole() -> None:
    code = (
        "import sys; from nodegraph.weights import lazy;"
        "lazy.TESTED_RELEASES['diffusers'] = '0.1.';"
        "lazy.diffusers.UNet2DConditionModel; lazy.transformers.CLIPTextModel;"
        "assert 'accelerate' in sys.modules; assert 'peft.tuners.lora' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)

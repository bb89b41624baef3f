"""A package brings a family of its own, and one that is broken breaks no other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from docs import generate_families
from nodegraph.diffusion import FAMILIES
from nodegraph.errors import InvalidValue
from nodegraph.families.building import building_from, diffusers_module, library_class
from nodegraph.families.embedded_models import embedded_folder
from nodegraph.families.identification import identify_folder, identify_tensors
from nodegraph.families.index import INDEX
from nodegraph.families.registry import get_family, get_latent_format
from nodegraph.packs.code_digests import CodeDigests
from tests.messages import raises

PATIENCE = 120
"""Seconds after which a process hangs."""
_PACKAGE = """
from dataclasses import replace
from nodegraph.families.base import Part
from nodegraph.families.sd3 import SD3
from nodegraph.families.stable_diffusion import SD1
from nodegraph.families.sd3 import SD3_FILE
FILE = replace(SD3_FILE, title="my own", matches=lambda shapes: "mine.weight" in shapes)
MINE = replace(
    SD3,
    name="mine",
    title="Mine",
    pipelines=("MinePipeline",),
    denoisers=(Part("transformer", ("SD3Transformer2DModel",), files=(FILE,)),),
)
SMALL = replace(
    SD1, name="small", pipelines=("SmallPipeline",), latent=replace(SD1.latent, name="small")
)
"""
_OWN = """
from my_family import SD1, replace
own = lambda name, module: replace(
    SD1,
    name=name,
    pipelines=(name.title() + "Pipeline",),
    denoisers=(replace(SD1.denoisers[0], classes=("OwnUNet",), module=module),),
)
OWN = [own("own", "my_networks"), own("lost", "")]
"""
_NETWORKS = """
from diffusers import UNet2DConditionModel
class OwnUNet(UNet2DConditionModel): ...
"""
_POINTS = """[nodegraph.families]
broken = no_such_package:FAMILY
mine = my_family:MINE
small = my_family:SMALL
wrong = my_family:replace
own = my_own:OWN
"""


def listed(site: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    texts = {"my_family": _PACKAGE, "my_own": _OWN, "my_networks": _NETWORKS}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    metadata = tmp_path / "my_family-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-family\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_POINTS)
    return tmp_path


def test_a_package_brings_a_family(site: Path) -> None:
    code = (
        "from nodegraph.families.registry import FAMILIES, get_family\n"
        "from nodegraph.families.identification import identify_folder, identify_tensors\n"
        "print(identify_folder('MinePipeline', {}).family.name, get_family('mine').title)\n"
        "print('sd1' in FAMILIES)"
    )
    found = listed(site, code)
    assert found.stdout.split() == ["mine", "Mine", "True"]
    assert "the model family broken" in found.stderr
    assert "not a model family" in found.stderr


_WRONG = {
    "list_name": "name=['a']",
    "no_name": "name=None",
    "auto": "name='auto'",
    "no_latent": "latent=None",
    "nameless_latent": "latent=replace(SD1.latent, name=None)",
    "auto_latent": "latent=replace(SD1.latent, name='auto')",
    "no_autoencoder": "latent=replace(SD1.latent, autoencoders=None)",
    "no_channels": "latent=replace(SD1.latent, name='l', channels=None)",
    "one_scale": "latent=replace(SD1.latent, name='l', scaling=3)",
    "mapped_scale": "latent=replace(SD1.latent, name='l', scaling={})",
    "no_encoders": "encoders=None",
    "no_denoiser": "denoisers=()",
    "no_parts": "tokenizers=(3,)",
    "no_layouts": "denoisers=(replace(SD1.denoisers[0], files=None),)",
    "many_controls": "control=(SD1.control,)",
    "no_single_file": "single_file=('unet',)",
    "hidden": "title=Hidden()",
    "endless": "denoisers=Endless(SD1.denoisers)",
    "matches": "denoisers=(replace(SD1.denoisers[0], files=(FILE,)),)",
    "no_pipelines": "pipelines=None",
    "built_in": "name='sdxl'",
}
_FAULTY = """
from nodegraph.families.base import SingleFile
class Hidden:
    def __repr__(self):
        raise RuntimeError("boom")
class Endless(list):
    def __iter__(self):
        raise RuntimeError("boom")
FILE = replace(SD1.denoisers[0].files[0], matches=lambda shapes: shapes["mine"])
ALL = Endless()
def boom(*given):
    raise RuntimeError("boom")
def own(**more):
    return type("Own", (type(SD1),), more)(**{**vars(SD1), "name": "own", "pipelines": ()})
title = own(title=property(boom, lambda self, value: None))
recognises = own(recognises=boom)
leads = own(leads=boom)
"""
_OVERRIDING = ("title", "recognises", "leads")


def test_what_is_no_whole_family_is_told_and_left_out(tmp_path: Path) -> None:
    wrong = "\n".join(f"{name} = family({given})" for name, given in _WRONG.items())
    modules = {
        "exits": "raise SystemExit(3)",
        "wrong": f"{_FAMILY}{_FAULTY}{wrong}",
        "mixed": f"{_FAMILY}MIXED = [family(name='good'), 3]",
    }
    points = ["exits = exits:FAMILY", "mixed = mixed:MIXED"]
    points += [f"{name} = wrong:{name}" for name in (*_WRONG, *_OVERRIDING, "ALL")]
    bring(tmp_path, "broken-families", modules, points)
    found = listed(tmp_path, _ALL)
    assert found.stdout.split() == [*INDEX, "good"]
    told = dict(line.split(" of broken-families 1.0 ", 1) for line in left_out(found))
    assert set(told) == {"exits", "mixed", "ALL", *_WRONG, *_OVERRIDING}
    assert "`name` has ['a'] (list)" in told["list_name"]
    assert "`latent` has None" in told["no_latent"]
    assert "another name" in told["built_in"]
    assert "`control` has (Part(" in told["many_controls"]
    assert "latent's `scaling` has 3 (int)" in told["one_scale"]
    assert "`title` cannot be read (RuntimeError: boom)" in told["title"]
    assert "`recognises` fails for files of other models (RuntimeError: boom)" in told["recognises"]
    assert "cannot be shown (Hidden)" in told["hidden"]


def test_one_that_fails_where_all_are_asked_takes_nothing_from_the_others(tmp_path: Path) -> None:
    text = """
class Fails(type(SD1)):
    def recognises(self, shapes):
        return bool(shapes["no.such"]) if "mine" in shapes else False
    leads = lambda self, class_name, config: config["no.such"] if class_name else False
    mismatch = lambda self, configs: configs["no.such"]
class Latents(type(SD1.latent)):
    def latent_channels(self, config):
        return config["no.such"]
FILE = replace(
    SD1.denoisers[0].files[0],
    matches=lambda shapes: bool(shapes["no.such"]) if "mine" in shapes else False,
)
FAILS = Fails(
    **{
        **vars(SD1),
        "name": "fails",
        "pipelines": ("FailsPipeline",),
        "denoisers": (replace(SD1.denoisers[0], files=(FILE,)),),
        "latent": Latents(**{**vars(SD1.latent), "name": "fails"}),
    }
)
"""
    bring(tmp_path, "failing", {"failing": _FAMILY + text}, ["fails = failing:FAILS"])
    (tmp_path / "network").mkdir()
    (tmp_path / "network" / "config.json").write_text('{"_class_name": "NoSuch"}')
    code = (
        "import sys; from pathlib import Path\n"
        "from nodegraph.sampling.controls.files import find_control\n"
        "from nodegraph.families.identification import identify_folder, identify_tensors\n"
        "from nodegraph.families.identification import identify_tensors\n"
        "from nodegraph.models.vae_files import vae_format\n"
        "from nodegraph.errors import InvalidFile\n"
        "print(identify_tensors({'mine': (1,)}).title)\n"
        "print(vae_format(sys.argv[1], [], latents='sd').name)\n"
        "try: find_control(sys.argv[2], [])\n"
        "except InvalidFile as error: print(error)\n"
        "print(identify_folder('FailsPipeline', {}).title)"
    )
    found = listed(tmp_path, code, str(embedded_folder() / "vae"), str(tmp_path / "network"))
    file, vae, control, folder = found.stdout.splitlines()
    assert "not a model that is known here" in file
    assert vae == "sd"
    assert "not a supported control network" in control
    assert "family `fails` failed" in folder
    # Each fault once: what all are asked is the same at each place.
    assert found.stderr.count("the model family `fails` of failing 1.0 failed") == 1


def test_one_that_overrides_what_is_called_otherwise_now_is_told_and_left_out(
    tmp_path: Path,
) -> None:
    own = """
class Own(type(SD1)):
    def guider(self, model, positive, negative, cfg):
        return None
OWN = Own(**{**vars(SD1), "name": "own", "pipelines": ()})
"""
    bring(tmp_path, "own-guider", {"own_guider": _FAMILY + own}, ["own = own_guider:OWN"])
    found = listed(tmp_path, _ALL)
    assert found.stdout.split() == [*INDEX]
    (told,) = left_out(found)
    assert told.startswith("own of own-guider 1.0 ")
    assert "Family.guider_config" in told


def test_of_two_of_one_name_the_first_counts_and_the_other_is_told(tmp_path: Path) -> None:
    for package in ("one", "two"):
        module = f"{_FAMILY}F = family(name='twin', title={package!r})"
        points = [f"{package} = {package}:F", f"{package}_again = {package}:F"]
        bring(tmp_path, package, {package: module}, points)
    code = (
        "from nodegraph.families.registry import get_family\n"
        "from nodegraph.families.registry import family_release\n"
        "twin = get_family('twin'); print(twin.title, family_release(twin)[0][1].split()[0])"
    )
    found = listed(tmp_path, code)
    assert found.stdout.split() == ["one", "one"]
    assert [line.partition(" (")[0] for line in left_out(found)] == [
        "two of two 1.0",
        "two_again of two 1.0",
    ]
    assert "`twin` of one 1.0 has the same name" in found.stderr


def test_of_two_formats_of_one_name_the_first_counts_and_the_other_is_told(
    tmp_path: Path,
) -> None:
    text = """
def latents(of, **given):
    return family(name=of, latent=replace(SD1.latent, **given))
"""
    families = {
        "changed": "latents('changed', autoencoders=())",
        "alike": "latents('alike')",
        "kept": "latents('kept', name='new')",
        "taken": "latents('taken', name='new', channels=8)",
    }
    for package, made in families.items():
        module = f"{_FAMILY}{text}F = {made}"
        bring(tmp_path, package, {package: module}, [f"{package} = {package}:F"])
    code = (
        "import sys; from nodegraph.families.registry import FAMILIES, get_latent_format\n"
        "from nodegraph.models.vae_files import vae_format\n"
        "print(*[name for name in FAMILIES][-2:], get_latent_format('new').channels)\n"
        "print(vae_format(sys.argv[1], [], latents='sd').autoencoders[0])"
    )
    found = listed(tmp_path, code, str(embedded_folder() / "vae"))
    assert found.stdout.split() == ["alike", "kept", "4", "AutoencoderKL"]
    changed, taken = left_out(found)
    assert "latent format `sd` differs from that of nodegraph" in changed
    assert "latent format `new` differs from that of kept 1.0" in taken


def test_a_thread_waits_while_another_imports_it(tmp_path: Path) -> None:
    text = "import gate; gate.STARTED.set(); gate.NEVER.wait(0.2)"
    gate = "from threading import Event; STARTED, NEVER = Event(), Event()"
    bring(
        tmp_path,
        "slow",
        {"gate": gate, "slow": f"{text}\n{_FAMILY}F = family()"},
        ["slow = slow:F"],
    )
    code = (
        "import gate; from threading import Thread\n"
        "from nodegraph.families.registry import get_family\n"
        "first = Thread(target=get_family, args=('mine',)); first.start(); gate.STARTED.wait()\n"
        "print(get_family('mine').name); first.join()"
    )
    assert listed(tmp_path, code).stdout.split() == ["mine"]


def test_it_is_looked_for_again_after_an_interrupt(tmp_path: Path) -> None:
    text = "import gate\nif not gate.TRIED: gate.TRIED.append(1); raise KeyboardInterrupt"
    modules = {"gate": "TRIED = []", "slow": f"{text}\n{_FAMILY}F = family()"}
    bring(tmp_path, "slow", modules, ["slow = slow:F"])
    code = (
        "from nodegraph.families.registry import get_family\n"
        "try: get_family('mine')\n"
        "except KeyboardInterrupt: print('interrupted')\n"
        "print(get_family('mine').name)"
    )
    assert listed(tmp_path, code).stdout.split() == ["interrupted", "mine"]


def test_its_package_may_ask_for_families_as_it_is_imported(tmp_path: Path) -> None:
    """By whatever way it is imported first, and in whatever thread."""
    asks = (
        "import gate; gate.STARTED.set(); gate.NEVER.wait(0.1)\n"
        "from nodegraph.families.registry import FAMILIES; SEEN = [*FAMILIES]"
    )
    gate = "from threading import Event; STARTED, NEVER = Event(), Event()"
    modules = {"gate": gate, "asks": f"{asks}\n{_FAMILY}F = family()"}
    bring(tmp_path, "asks", modules, ["asks = asks:F"])
    ask = "from nodegraph.families.registry import get_family; get_family('mine')\n"
    seen = "import asks; print(get_family('mine').name, asks.SEEN[-1] == 'mine')"
    before = "import asks\n"
    meanwhile = (
        "import gate; from importlib import import_module; from threading import Thread\n"
        "first = Thread(target=import_module, args=('asks',)); first.start(); gate.STARTED.wait()\n"
    )
    for start in ("", before, meanwhile):
        assert listed(tmp_path, f"{start}{ask}{seen}").stdout.split() == ["mine", "False"], start


_FAMILY = """
from dataclasses import replace
from nodegraph.families.stable_diffusion import SD1
family = lambda **given: replace(SD1, **{"name": "mine", "pipelines": (), **given})
"""
_ALL = "from nodegraph.families.registry import FAMILIES; print(*FAMILIES)"


def bring(site: Path, package: str, modules: dict[str, str], points: list[str]) -> None:
    """Install a package whose entry points are families."""
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "\n".join(["[nodegraph.families]", *points])
    (metadata / "entry_points.txt").write_text(lines)


def left_out(found: subprocess.CompletedProcess[str]) -> list[str]:
    """What is told of each family that is left out, from its entry point on."""
    told = re.findall(r"^the model family (.*is skipped.*)$", found.stderr, re.MULTILINE)
    return sorted(told)


def test_it_says_how_its_files_are_told(site: Path) -> None:
    code = (
        "from nodegraph.families.identification import identify_tensors\n"
        "found = identify_tensors({'model.diffusion_model.mine.weight': (1,)})\n"
        "print(found.title, found.parts[0].family.name, found.parts[0].prefix, found.node)"
    )
    found = listed(site, code)
    assert found.stdout.split() == [
        "my",
        "own",
        "mine",
        "model.diffusion_model.",
        "LoadDiffusionModel",
    ]


def test_it_is_taken_where_it_is_asked_for_and_looks_like_one_that_comes_along(site: Path) -> None:
    code = (
        "from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser\n"
        "from nodegraph.families.embedded_models import embedded_folder\n"
        "unet = str(embedded_folder() / 'unet')\n"
        "for family in ('auto', 'small'):\n"
        "    print(open_denoiser(DenoiserRequest(unet, family=family), []).family)"
    )
    assert listed(site, code).stdout.split() == ["sd1", "small"]


def test_a_folder_is_of_the_family_whose_class_it_names(site: Path, tmp_path: Path) -> None:
    unet = tmp_path / "unet"
    shutil.copytree(embedded_folder() / "unet", unet)
    config = json.loads((unet / "config.json").read_text("utf-8"))
    (unet / "config.json").write_text(json.dumps(config | {"_class_name": "OwnUNet"}), "utf-8")
    code = (
        "import sys; from pathlib import Path\n"
        "from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser\n"
        "from nodegraph.models.model_sources import describe_model\n"
        "from nodegraph.errors import InvalidValue\n"
        "print(open_denoiser(DenoiserRequest(sys.argv[1]), []).family)\n"
        "print(describe_model('unet', Path(sys.argv[1]), 'diffusers').family)\n"
        "try: open_denoiser(DenoiserRequest(sys.argv[1], family='sd1'), [])\n"
        "except InvalidValue as error: print(error.problem.port, error)"
    )
    opened, described, refused = listed(site, code, str(unet)).stdout.splitlines()
    assert (opened, described) == ("own", "own")
    assert refused.startswith("family ")
    assert "config.json names OwnUNet" in refused
    assert "expected: auto or own" in refused


@pytest.mark.slow  # the built-in pack is read once for each home folder and each change
def test_nodes_offer_it_as_long_as_its_package_is_there(site: Path, tmp_path: Path) -> None:
    assert {"mine", "small", "own"} <= set(families_offered(site, tmp_path))
    for family, is_right in (("small", True), ("smal", False)):
        assert is_valid(site, tmp_path, family) is is_right
    package = site / "my_family.py"
    package.write_text(package.read_text().replace('name="mine"', 'name="renamed"'))
    changed = set(families_offered(site, tmp_path))
    assert "renamed" in changed
    assert "mine" not in changed
    shutil.rmtree(site / "my_family-1.0.dist-info")
    assert families_offered(site, tmp_path) == ["auto", *INDEX]


def is_valid(site: Path, home: Path, family: str) -> bool:
    """Whether the command line takes a file of the family `sd1` as one of another."""
    inputs = {"model": str(embedded_folder() / "unet"), "family": family}
    nodes = {
        "load": {"type": "LoadDiffusionModel", "inputs": inputs},
        "show": {"type": "ShowValue", "inputs": {"value": {"from": "load.model"}}},
    }
    file = home / "workflow.json"
    file.write_text(json.dumps({"format": "nodegraph/1", "nodes": nodes}), "utf-8")
    code = (
        "import os, sys; os.environ['NODEGRAPH_HOME'] = sys.argv[1]\n"
        "from nodegraph.cli import main\n"
        "sys.argv = ['nodegraph', 'validate', sys.argv[2]]; print(main() == 0)"
    )
    return "True" in listed(site, code, str(home / "home"), str(file)).stdout


def families_offered(site: Path, home: Path) -> list[str]:
    """What LoadDiffusionModel offers, by the command line."""
    code = (
        "import os, sys; os.environ['NODEGRAPH_HOME'] = sys.argv[1]\n"
        "from nodegraph.cli import main\n"
        "sys.argv = ['nodegraph', 'nodes', 'LoadDiffusionModel', '--json']; main()"
    )
    spec = json.loads(listed(site, code, str(home / "home")).stdout)
    port = next(port for port in spec["inputs"] if port["name"] == "family")
    return list(port["json_schema"]["enum"])


@pytest.mark.slow
def test_recipes_are_of_the_release_of_the_package(site: Path, tmp_path: Path) -> None:
    """What an older version of it gave isn't taken for what this one gives."""
    for name, pipeline in {"plain": "StableDiffusionPipeline", "small": "SmallPipeline"}.items():
        shutil.copytree(embedded_folder(), tmp_path / name)
        index = tmp_path / name / "model_index.json"
        found = json.loads(index.read_text("utf-8")) | {"_class_name": pipeline}
        index.write_text(json.dumps(found), "utf-8")
    code = (
        "import sys; from pathlib import Path\n"
        "from nodegraph.core.digests import digest_value\n"
        "from nodegraph.diffusion import model_stamp, open_model\n"
        "for name in ('plain', 'small'):\n"
        "    given = name, [Path(sys.argv[1])]\n"
        "    print(*map(digest_value, open_model(*given)), model_stamp(*given))"
    )
    first = listed(site, code, str(tmp_path)).stdout.splitlines()
    (site / "my_family-1.0.dist-info").rename(site / "my_family-1.1.dist-info")
    metadata = site / "my_family-1.1.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: my-family\nVersion: 1.1\n")
    second = listed(site, code, str(tmp_path)).stdout.splitlines()

    assert first[0] == second[0]
    assert set(first[1].split()).isdisjoint(second[1].split())


@pytest.mark.slow
def test_an_edit_of_the_package_is_another_release(site: Path) -> None:
    code = (
        "from nodegraph.families.registry import get_family\n"
        "from nodegraph.families.registry import family_release\n"
        "print(family_release(get_family('mine')), family_release(get_family('sd1')))"
    )
    before = listed(site, code).stdout
    assert listed(site, code).stdout == before
    (site / "my_family").mkdir()
    (site / "my_family.py").rename(site / "my_family" / "__init__.py")
    (site / "my_family" / ".#draft.py").symlink_to("nowhere")  # as an editor has while one writes
    moved = listed(site, code).stdout
    with (site / "my_family" / "__init__.py").open("a") as file:
        file.write("# edited\n")
    assert listed(site, code).stdout != moved
    assert "my-family 1.0 #" in before
    assert before.rstrip().endswith("()")


@pytest.mark.slow
def test_a_package_brings_a_network_of_its_own(site: Path, tmp_path: Path) -> None:
    for name in ("own", "lost"):
        shutil.copytree(embedded_folder(), tmp_path / name)
        for file, kind in {
            "model_index.json": f"{name.title()}Pipeline",
            "unet/config.json": "OwnUNet",
        }.items():
            place = tmp_path / name / file
            found = json.loads(place.read_text("utf-8")) | {"_class_name": kind}
            place.write_text(json.dumps(found), "utf-8")
    code = (
        "import sys; from pathlib import Path\n"
        "from nodegraph.diffusion import open_model\n"
        "from nodegraph.models.loading import load_component\n"
        "from nodegraph.errors import InvalidValue\n"
        "for name in ('own', 'lost'):\n"
        "    model = open_model(name, [Path(sys.argv[1])])[0]\n"
        "    try: print(type(load_component(model, 'cpu').module).__name__)\n"
        "    except InvalidValue as error: print(error)"
    )
    own, lost = listed(site, code, str(tmp_path)).stdout.splitlines()
    assert own == "OwnUNet"
    assert "has a class OwnUNet" in lost
    assert 'module="my.networks"' in lost


_PLAIN_NETWORK = """
import torch
class Scaled(torch.nn.Module):
    def __init__(self, channels: int, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.mix = torch.nn.Conv2d(channels, channels, 1)
    def forward(self, x, words):
        return self.factor * self.mix(x) + words.mean()
"""
_PLAIN_FAMILY = """
from nodegraph.families.base import Family, Part
from nodegraph.families.sd3 import SD3
from nodegraph.weights.single_files.base import FileLayout
FILE = FileLayout(
    "plain-network",
    "a plain network",
    "Scaled",
    matches=lambda shapes: "mix.weight" in shapes,
    config=lambda shapes: {"channels": shapes["mix.weight"][0], "factor": 0.5},
    convert=lambda tensors, config: dict(tensors),
    scheduler=lambda config: {
        "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000
    },
)
class Plain(Family):
    def channels(self, config):
        return config["channels"]
    def encode(self, model, text, warn=None):
        raise NotImplementedError
    def predict(self, model, x, moment, batch):
        return model.module(x, batch["embeddings"])
PLAIN = Plain(
    "plain",
    "Plain",
    latent=SD3.latent,
    pipelines=("PlainPipeline",),
    denoisers=(Part("transformer", ("Scaled",), module="plain.networks", files=(FILE,)),),
    encoders=(),
    tokenizers=(),
    noise="flow",
    needs_negative=False,
)
"""
_SAMPLED = """
import sys, torch
from safetensors.torch import load_file, save_file
from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.diffusion import load_component, sample
from nodegraph.errors import InvalidFile
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
for name in sys.argv[1:]:
    model = load_component(open_denoiser(DenoiserRequest(name), []), "cpu")
    prompt = Conditioning((ConditioningEntry({"embeddings": torch.ones(1, 2, 3)}),), "plain")
    options = {"seed": 1, "steps": 1, "cfg": 1.0, "sampler": "euler", "schedule": "normal"}
    made = sample(model, prompt, None, Latent(None, 32, 32, 1), **options).samples
    print(type(model.module).__name__, model.config["factor"], model.module.mix.weight.sum().item())
    print(tuple(made.shape), torch.isfinite(made).all().item(), model.dtype, model.device)
tensors = load_file(sys.argv[1])
save_file({"mix.weight": tensors["mix.weight"]}, sys.argv[1])
try: load_component(open_denoiser(DenoiserRequest(sys.argv[1]), []), "cpu")
except InvalidFile as error: print(error)
"""


@pytest.mark.slow
def test_a_package_brings_a_plain_network(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    modules = {"__init__": "", "networks": _PLAIN_NETWORK, "family": _PLAIN_FAMILY}
    bring(
        tmp_path,
        "plain-package",
        {f"plain/{name}": text for name, text in modules.items()},
        ["plain = plain.family:PLAIN"],
    )
    weights = {"mix.weight": torch.full((16, 16, 1, 1), 0.25), "mix.bias": torch.zeros(16)}
    file, folder = tmp_path / "net.safetensors", tmp_path / "folder"
    save_file(weights, file)
    folder.mkdir()
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    config = {"_class_name": "Scaled", "channels": 16, "factor": 2.0}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    *lines, refused = listed(tmp_path, _SAMPLED, str(file), str(folder)).stdout.splitlines()
    sampled = "(1, 16, 4, 4) True torch.float32 cpu"
    assert lines == ["Scaled 0.5 64.0", sampled, "Scaled 2.0 64.0", sampled]
    assert "mix.bias" in refused


def test_a_package_s_network_takes_its_configuration_by_keywords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _PLAIN_NETWORK.replace("channels: int, factor: float = 1.0", "**config")
    network = network.replace("self.factor = factor", "channels = config['channels']")
    (tmp_path / "open_network.py").write_text(network.replace("self.factor *", "2.0 *"))
    monkeypatch.syspath_prepend(tmp_path)
    kind = library_class("Scaled", "open_network")
    weights = {"mix.weight": torch.zeros(3, 3, 1, 1), "mix.bias": torch.zeros(3)}
    config = {"_class_name": "Scaled", "channels": 3, "depth": 7}
    model = diffusers_module(kind, config, weights, tmp_path)
    assert dict(model.config).items() >= {"channels": 3, "depth": 7}.items()


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("factor: float = 1.0", "scale: float = 1.0", "factor"),
        ("self.factor = factor", "raise ValueError('factor is even')", "factor is even"),
        ("self.factor = factor", "self.config = {'factor': factor}", "config"),
        ("self.factor = factor", "self.device = 'cpu'", "device"),
    ],
    ids=["unknown", "refused", "config", "device"],
)
def test_a_package_s_network_that_cannot_be_built_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, reason: str
) -> None:
    """Not the model's files, which are in order."""
    module = f"network_{before[:3]}_{abs(hash(after))}"
    assert before in _PLAIN_NETWORK
    (tmp_path / f"{module}.py").write_text(_PLAIN_NETWORK.replace(before, after))
    monkeypatch.syspath_prepend(tmp_path)
    kind = library_class("Scaled", module)
    with pytest.raises(InvalidValue) as caught, building_from(tmp_path):
        diffusers_module(kind, {"channels": 3, "factor": 2.0}, {}, tmp_path)
    assert f"the network Scaled of {module}" in str(caught.value)
    assert reason in str(caught.value)
    assert "channels=3, factor=2.0" in str(caught.value)


def test_listing_families_imports_no_torch() -> None:
    code = (
        "import sys; from nodegraph.diffusion import FAMILIES; len(FAMILIES); "
        "sys.exit('torch' in sys.modules)"
    )
    assert listed(Path("/"), code).returncode == 0


def test_each_is_found_by_its_name() -> None:
    for name, family in FAMILIES.items():
        assert get_family(name) is family
        assert family.name == name
        assert get_latent_format(family.latent.name) is family.latent


def test_the_index_is_that_of_the_families_modules() -> None:
    kept = {path: path.read_text("utf-8") for path in generate_families.index_texts()}
    assert kept == generate_families.index_texts(), "python docs/generate_families.py"


def test_the_index_knows_every_denoiser_and_control_network_by_its_marks() -> None:
    """A family that the index doesn't name for a file is never asked about it."""
    for name, entry in INDEX.items():
        family = entry.family()
        parts = filter(None, (*family.denoisers, family.control))
        layouts = [layout for part in parts for layout in part.files]
        groups = [group for layout in layouts for group in layout.marks]
        assert all(layout.marks for layout in layouts)
        for group in groups:
            names = "\n".join(group)
            assert any(mark in names for mark in entry.marks), f"{name}: {group}"
        if family.single_file is not None:
            prefixes = "\n".join(family.single_file.prefixes.values())
            assert any(mark in prefixes for mark in entry.marks), name


@pytest.mark.parametrize("shape", [(), (0,), (4,), (4, 0), (1, 1, 1, 1, 1)])
def test_tensors_of_a_family_s_names_and_odd_shapes_are_told_as_unknown(
    shape: tuple[int, ...],
) -> None:
    """One such file in a folder takes nothing from the others."""
    for entry in INDEX.values():
        family = entry.family()
        for part in filter(None, (*family.denoisers, family.control, *family.encoders)):
            for layout in part.files:
                for group in layout.marks or (("encoder.block.0.layer.0.SelfAttention.q.weight",),):
                    assert identify_tensors(dict.fromkeys(group, shape)).title


def test_telling_a_file_imports_no_other_family() -> None:
    code = (
        "import sys; from nodegraph.families.identification import identify_tensors\n"
        "import nodes.models, nodes.model_parts, nodes.text_encoders\n"
        "names = 'cap_embedder.1.weight', 'layers.0.adaLN_modulation.1.weight'\n"
        "assert 'Lumina' in identify_tensors(dict.fromkeys(names, (8, 8))).title\n"
        "print(*(name for name in sys.modules if '.families.' in name))"
    )
    modules = set(listed(Path("/"), code).stdout.split())
    homes = {entry.family().__module__ for entry in INDEX.values()}
    assert modules & homes == {INDEX["lumina2"].family().__module__}


def test_telling_a_folder_imports_no_other_family() -> None:
    code = (
        "import sys; from nodegraph.families.identification import identify_folder\n"
        "assert identify_folder('SanaPipeline', {'transformer': {'in_channels': 32}}).title\n"
        "print(*(name for name in sys.modules if '.families.' in name))"
    )
    modules = {name.rpartition(".")[2] for name in listed(Path("/"), code).stdout.split()}
    assert modules.isdisjoint({"flux", "unet", "wan"})
    assert "sana" in modules


def test_the_code_behind_a_node_holds_every_family() -> None:
    """What a family computes with is part of the keys, though it is imported when it is needed."""
    found = set(CodeDigests({}).modules("nodegraph.sampling.denoise"))
    assert {entry.family().__module__ for entry in INDEX.values()} <= found


def test_one_that_takes_more_than_its_latents_is_told() -> None:
    more = {"in_channels": 33, "out_channels": 16}
    found = identify_folder("StableDiffusion3InpaintPipeline", {"transformer": more})
    assert found.family is None
    assert "takes 33 channels instead of 16" in found.refusal


def test_names_that_there_are_none_of_are_refused() -> None:
    with raises(InvalidValue, given="sdx"):
        get_family("sdx")
    with raises(InvalidValue, given="sdd"):
        get_latent_format("sdd")


def test_two_families_of_one_format_share_it() -> None:
    """What tells latents apart is the format's name: two of one name would let them be mixed."""
    formats = {family.latent.name: family.latent for family in FAMILIES.values()}
    assert all(family.latent == formats[family.latent.name] for family in FAMILIES.values())


def test_the_docs_say_of_each_family_what_it_lacks() -> None:
    command = "python docs/generate_families.py"
    assert generate_families.PAGE.read_text("utf-8") == generate_families.page_text(), command
    assert generate_families.SPEED.read_text("utf-8") == generate_families.speed_text(), command


_SOLIDS = frozenset(("single file", "ComfyUI", "attention guiders", "block guiders", "inpaint"))
_NUMBERS = {"LoRA", "ComfyUI", "attention guiders", "block guiders", "img2img", "inpaint"}
"""What families of numbers, such as of molecules, do without: they have no images."""
LACKS: dict[str, set[str]] = {
    "pixart-sigma": {"img2img", "inpaint"},
    "sana": {"attention guiders", "img2img", "inpaint"},
    "sana-video": {"ComfyUI", "attention guiders", "inpaint"},
    "sana-video-720p": {"ComfyUI", "attention guiders", "inpaint"},
    "ltx": {"inpaint"},
    "mochi": {"img2img", "inpaint"},
    "cogvideox": {"inpaint"},
    "lumina2": {"img2img", "inpaint"},
    "wan": {"inpaint"},
    "wan22-5b": {"inpaint"},
    "wan-animate-2": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "skyreels-v2": {"attention guiders", "inpaint"},
    "skyreels-v2-df": {"attention guiders", "inpaint"},
    "hidream": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "qwen-image-edit-plus": {"inpaint"},
    "qwen-image-layered": {"img2img", "inpaint"},
    "qwen-image-21": {"attention guiders", "img2img", "inpaint"},
    "hunyuan-image": {"img2img", "inpaint"},
    "hunyuan-video": {"inpaint"},
    "hunyuan-video-i2v": {"ComfyUI", "inpaint"},
    "hunyuan-video-i2v-v1": {"ComfyUI", "inpaint"},
    "hunyuan-video-15": {"attention guiders", "inpaint"},
    "flux2": {"img2img", "inpaint"},
    "flux2-klein": {"img2img"},
    "krea2": {"img2img", "inpaint"},
    "ovis-image": {"img2img", "inpaint"},
    "longcat-image": {"img2img", "inpaint"},
    "longcat-image-edit": {"inpaint"},
    "ernie-image": {"img2img", "inpaint"},
    "ideogram4": {"img2img", "inpaint"},
    # Its modular pipeline takes images, too.
    "anima": {"img2img", "inpaint"},
    "fibo2": {"img2img", "inpaint"},
    "joyimage-edit": {"inpaint"},
    "z-image-omni": {"img2img", "inpaint"},
    "flux3-klein": {"img2img", "inpaint"},
    "auraflow": {"ComfyUI", "img2img", "inpaint"},
    "cogview4": {"ComfyUI", "img2img", "inpaint"},
    "prx": {"ComfyUI", "attention guiders", "img2img", "inpaint"},
    "prx-dc": {"ComfyUI", "attention guiders", "img2img", "inpaint"},
    "nucleusmoe-image": {"ComfyUI", "attention guiders", "img2img", "inpaint", "single file"},
    "kolors": {"ComfyUI", "inpaint"},
    "hunyuan-dit": {"ComfyUI", "attention guiders", "block guiders", "img2img", "inpaint"},
    "glm-image": {"single file", "ComfyUI", "img2img", "inpaint"},
    "stable-cascade": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "stable-cascade-decoder": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "cosmos": {"img2img", "inpaint"},
    "cosmos-predict2": {"img2img", "inpaint"},
    "cosmos-predict25": {"ComfyUI", "img2img", "inpaint"},
    "cosmos-transfer25": {"ComfyUI", "img2img", "inpaint"},
    "kandinsky5-image": {"img2img", "inpaint"},
    "kandinsky5-edit": {"ComfyUI", "img2img", "inpaint"},
    "kandinsky5-video": {"img2img", "inpaint"},
    "ace-step": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "stable-audio": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "stable-audio-3": {"attention guiders", "block guiders", "img2img"},
    "longcat-audio": {
        *("single file", "ComfyUI", "attention guiders", "block guiders", "img2img", "inpaint")
    },
    "minimax-music3": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "minimax-h3": {"attention guiders", "block guiders", "img2img", "inpaint"},
    "ltx2": {"attention guiders", "block guiders", "inpaint"},
    "ltx25": {"attention guiders", "block guiders", "inpaint"},
    "shap-e": {*_SOLIDS, "img2img"},
    "shap-e-image": {*_SOLIDS},
    **dict.fromkeys(("molecules", "shapes", "sounds", "motions"), _NUMBERS),
}
"""What each family has not. img2img and inpaint are pipelines of diffusers that its results are
compared with; without one, nodegraph's own latents and masks do it, for all families with images.
"""


@pytest.mark.parametrize("name", INDEX)
def test_what_a_family_lacks(name: str) -> None:
    """A family that is added appears here; fill the gap, or name it in `LACKS`."""
    family = FAMILIES[name]
    files = [layout for part in family.denoisers for layout in part.files]
    has = {
        "single file": family.single_file is not None or bool(files),
        "LoRA": bool(family.lora_signs),
        "ComfyUI": bool(family.comfyui_type),
        "attention guiders": family.perturbs_attention,
        "block guiders": family.skips_blocks,
        "img2img": any(re.search("Img2Img|ImageTo|Edit", each) for each in family.pipelines),
        "inpaint": any(re.search("Inpaint|Fill", each) for each in family.pipelines),
    }
    assert {each for each, is_there in has.items() if not is_there} == LACKS.get(name, set())

"""Manifests name the files of every model: a table of all loaders with a model for each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from blake3 import blake3
from nodegraph_pipelines.load import LoadPipeline, LoadPipelineLora
from safetensors.torch import save_file

from nodegraph import Session, Settings
from nodegraph.core.manifest import Manifest
from nodegraph.families.embedded_models import decoder_file, embedded_folder
from nodegraph.packs.pack import pack_at
from nodegraph.session.replay.recorded_files import match_models

PACK = '''
import json
from pathlib import Path
from typing import Annotated, Any
from nodegraph import Context, File, HookInputs, node

BROUGHT = Path(__file__).with_name("brought.safetensors")

def brought_state(inputs: HookInputs) -> str:
    inputs.files.append(BROUGHT)
    return str(BROUGHT.stat())

@node(output="files")
def SaveManifest(ctx: Context, value: Any) -> None:
    """Write the manifest of a file.

    Args:
        value: Anything.
    """
    path = ctx.environment.outputs / "a.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(ctx.manifest(0).to_document()))
    ctx.wrote(path, kind="manifest")

@node
def Count(ctx: Context, weights: Annotated[str, File("model")]) -> int:
    """Bytes of a model.

    Args:
        weights: Name of a file.
    """
    return (ctx.environment.models[0] / weights).stat().st_size

@node(fingerprint=brought_state)
def Brought() -> int:
    """Bytes of weights that come along."""
    return BROUGHT.stat().st_size
'''

TINY = embedded_folder()
COMPANIONS = TINY.parent / "companions"


def _copied(source: Path) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, path)

    return write


def _tensors(**tensors: torch.Tensor) -> Callable[[Path], None]:
    return lambda path: save_file(tensors, path)


def _gligen(path: Path) -> None:
    from nodegraph.diffusion import load_component, open_model
    from tests.diffusion.families.gligen_files import write_gligen

    write_gligen(load_component(open_model("tiny", []).model, "cpu").module, path)


def _film(path: Path) -> None:
    from tests.diffusion.test_frame_interpolation import network

    save_file(network().state_dict(), path)


def _upsampler(path: Path) -> None:
    from tests.diffusion.families.test_ltx2_files import upsampler

    save_file(upsampler().state_dict(), path)


def _eyes(path: Path) -> None:
    import transformers as tf

    sizes = {"hidden_size": 32, "intermediate_size": 32, "projection_dim": 24, "patch_size": 8}
    small = tf.CLIPVisionConfig(**sizes, num_hidden_layers=1, num_attention_heads=4, image_size=16)
    tf.CLIPVisionModelWithProjection(small).save_pretrained(path)


def _ip_adapter(path: Path) -> None:
    width = 32
    tensors = {
        "image_proj.proj.weight": torch.randn(4 * width, 24),
        "image_proj.proj.bias": torch.zeros(4 * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
        "ip_adapter.1.to_k_ip.weight": torch.randn(32, width),
        "ip_adapter.1.to_v_ip.weight": torch.randn(32, width),
    }
    save_file(tensors, path)


def _redux(path: Path) -> None:
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

    from tests.diffusion.families.test_redux import eyes

    eyes().save_pretrained(path / "image_encoder")
    ReduxImageEncoder(32, 32).save_pretrained(path / "image_embedder")


def _language(path: Path) -> None:
    from tests.diffusion.families.language import qwen3_text
    from tests.diffusion.families.words import qwen_words

    words = qwen_words()
    qwen3_text(words).eval().save_pretrained(path)
    words.save_pretrained(path)


def _text_encoder(path: Path) -> None:
    from tests.diffusion.families.text_files import clip, clip_file, write

    write(path, clip_file(clip()))


def _vision(path: Path) -> None:
    from tests.vision.foreground_files import weights_of
    from tests.vision.test_foregrounds import TINY_SHAPES

    save_file(weights_of(TINY_SHAPES), path)


def _tagger(path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from tests.vision.test_captions import tagger

    tagger(path)


def _link(output: str) -> dict[str, str]:
    return {"from": output}


_LORA = _copied(COMPANIONS / "style_lora" / "pytorch_lora_weights.safetensors")
_LOAD = {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}}
_PROMPT = {
    **_LOAD,
    "prompt": {"type": "EncodePrompt", "inputs": {"encoder": _link("load.text_encoder")}},
}
_IMAGE = {"image": {"type": "EmptyImage", "inputs": {"width": 16, "height": 16}}}
_PIPELINE = {"pipe": {"type": "LoadPipeline", "inputs": {"pipeline": "tiny"}}}

PIPELINES = [LoadPipeline, LoadPipelineLora]
"""As functions, as reading their whole pack takes seconds."""
Loader = tuple[str, Callable[[Path], None], dict[str, Any], dict[str, Any], str]
"""The input that names the model, what writes it, other inputs, other nodes, and the output that
is saved."""
LOADERS: dict[str, Loader] = {
    "LoadClassifier": (
        "classifier",
        _copied(COMPANIONS / "guidance_classifier" / "guidance_classifier.safetensors"),
        {},
        {},
        "classifier",
    ),
    "LoadConditioning": (
        "conditioning",
        _tensors(conditioning=torch.ones(1, 5, 32)),
        {},
        {},
        "conditioning",
    ),
    "LoadControlNet": ("control_net", _copied(COMPANIONS / "controlnet"), {}, {}, "control_net"),
    "LoadDiffusionModel": ("model", _copied(TINY.parent / "items" / "shapes"), {}, {}, "model"),
    "LoadEncoderLora": (
        "lora",
        _LORA,
        {"text_encoder": _link("load.text_encoder")},
        _LOAD,
        "text_encoder",
    ),
    "LoadFrameInterpolationModel": ("model", _film, {}, {}, "model"),
    "LoadGLIGEN": ("gligen", _gligen, {}, {}, "gligen"),
    "LoadIPAdapter": ("ip_adapter", _ip_adapter, {"image_encoder": "eyes"}, {}, "ip_adapter"),
    "LoadImageEncoder": ("image_encoder", _eyes, {}, {}, "image_encoder"),
    "LoadLanguageModel": ("model", _language, {}, {}, "language_model"),
    "LoadLatentUpscaleModel": ("model", _upsampler, {}, {}, "model"),
    "LoadLora": ("lora", _LORA, {"model": _link("load.model")}, _LOAD, "model"),
    "LoadModel": ("model", _copied(TINY), {}, {}, "vae"),
    "LoadRedux": ("redux", _redux, {}, {}, "redux"),
    "LoadTextEncoder": ("file", _text_encoder, {"family": "sd1"}, {}, "text_encoder"),
    "LoadTextualInversion": (
        "embedding",
        _tensors(emb_params=torch.full((2, 160), 0.5)),
        {"text_encoder": _link("load.text_encoder")},
        _LOAD,
        "text_encoder",
    ),
    "LoadUpscaleModel": (
        "model",
        _copied(COMPANIONS / "upscaler" / "upscaler.safetensors"),
        {},
        {},
        "model",
    ),
    "LoadVae": ("vae", _copied(TINY / "vae"), {}, {}, "vae"),
    "LoadVisionModel": ("model", _vision, {}, {}, "vision_model"),
    "LoraConditioning": (
        "lora",
        _LORA,
        {"conditioning": _link("prompt")},
        _PROMPT,
        "conditioning",
    ),
    "TagImage": ("model", _tagger, {"image": _link("image")}, _IMAGE, "tags"),
    "LoadPipeline": ("pipeline", _copied(TINY), {}, {}, "pipeline"),
    "LoadPipelineLora": (
        "lora",
        _LORA,
        {"pipeline": _link("pipe")},
        _PIPELINE,
        "pipeline",
    ),
    "man:Count": ("weights", _tensors(a=torch.ones(3)), {}, {}, "number"),
}


@pytest.fixture
def root(tmp_path: Path, known_specs: Path) -> Path:
    (tmp_path / "man.py").write_text(PACK)
    (tmp_path / "models" / "kept").mkdir(parents=True)
    shutil.copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    return tmp_path


@pytest.fixture
def session(root: Path) -> Iterator[Session]:
    settings = Settings(
        home=root / "home", outputs=root / "out", models=(root / "models",), device="cpu"
    )
    with Session(
        settings, packs=[pack_at(root / "man.py")], nodes=[LoadPipeline, LoadPipelineLora]
    ) as session:
        yield session


def _manifest(session: Session, root: Path, nodes: dict[str, Any], output: str) -> Manifest:
    save = {"type": "man:SaveManifest", "inputs": {"value": _link(f"loader.{output}")}}
    result = session.run(
        {"format": "nodegraph/1", "nodes": {**nodes, "save": save}}, targets=["save"]
    )
    assert result.status == "ok", result.errors
    return Manifest.from_document(json.loads((root / "out" / "a.json").read_text()))


def _weights(path: Path) -> list[Path]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in files if file.suffix in (".safetensors", ".onnx")]


def test_the_table_has_every_loader(session: Session) -> None:
    loaders = {
        name
        for name in session.registry.node_types()
        if any(
            port.is_model_file for port in (session.registry.spec(name) or pytest.fail(name)).inputs
        )
    }
    assert loaders == LOADERS.keys()


@pytest.mark.parametrize("node_type", LOADERS)
def test_the_files_of_a_model_are_in_the_manifest_and_found_when_renamed(
    session: Session, root: Path, node_type: str
) -> None:
    port, write, inputs, nodes, output = LOADERS[node_type]
    if inputs.get("image_encoder") == "eyes":
        _eyes(root / "models" / "eyes")
    path = root / "models" / "kept" / "mine"
    torch.manual_seed(0)
    write(path)
    if path.is_file():
        path = path.rename(path.with_suffix(".safetensors"))
    named = {port: path.relative_to(root / "models").as_posix(), **inputs}
    loader = {"type": node_type, "inputs": named}
    manifest = _manifest(session, root, {**nodes, "loader": loader}, output)

    named_files = {file.name: file.digest for model in manifest.models for file in model.files}
    named_files |= {each.name: each.digest for model in manifest.models for each in model.adapters}
    digests = {blake3(file.read_bytes()).hexdigest() for file in _weights(path)}
    assert digests & set(named_files.values())
    assert all(not Path(name).is_absolute() for name in named_files)

    path.rename(root / "models" / f"moved{path.suffix}")
    matches = match_models(manifest, [root / "models"])
    status = {
        match.status
        for match in matches
        if match.name.startswith("kept/") and Path(match.name).suffix not in (".json", ".txt")
    }
    assert status == {"renamed"}


@pytest.mark.parametrize("model", ["gan", "vae"])
def test_included_weights_that_no_loader_loads_are_in_the_manifest(
    session: Session, root: Path, model: str
) -> None:
    loader = {"type": "SampleDecoder", "inputs": {"model": model, "count": 1}}
    manifest = _manifest(session, root, {"loader": loader}, "latent")
    file = decoder_file(model)
    [entry] = manifest.models
    assert (entry.node, entry.kind) == ("loader", "weights")
    assert [(each.name, each.digest) for each in entry.files] == [
        (f"embedded/history/{model}.safetensors", blake3(file.read_bytes()).hexdigest())
    ]


def test_included_weights_with_a_computed_name_are_in_the_manifest(
    session: Session, root: Path
) -> None:
    nodes = {
        "name": {"type": "Text", "inputs": {"text": "vae"}},
        "loader": {"type": "SampleDecoder", "inputs": {"model": _link("name"), "count": 1}},
    }
    manifest = _manifest(session, root, nodes, "latent")
    [entry] = manifest.models
    assert [each.name for each in entry.files] == ["embedded/history/vae.safetensors"]


def test_weights_that_come_with_a_pack_are_in_the_manifest_and_not_searched(
    session: Session, root: Path
) -> None:
    save_file({"a": torch.ones(3)}, root / "brought.safetensors")
    (root / "models" / "brought.safetensors").write_bytes(b"another one")
    manifest = _manifest(session, root, {"loader": {"type": "man:Brought"}}, "number")
    [entry] = manifest.models
    digest = blake3((root / "brought.safetensors").read_bytes()).hexdigest()
    assert [(each.name, each.digest) for each in entry.files] == [("brought.safetensors", digest)]
    assert match_models(manifest, [root / "models"]) == []

"""Diffusion models in files of their own: all tensors come back, pictures are the folder's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers as d
import diffusers.loaders.single_file_utils as converters
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import DiffusionModel
from nodegraph.diffusion import estimate_bytes, load_component, locate_model, open_model
from nodegraph.diffusion.adapters.recipe_layers import recipe_layers
from nodegraph.diffusion.checkpoint_parts import checkpoint_part
from nodegraph.diffusion.denoiser_files import (
    denoiser_bytes,
    denoiser_facts,
    denoiser_stamp,
    open_denoiser,
)
from nodegraph.diffusion.denoiser_search import WantedDenoiser
from nodegraph.diffusion.families import family_named
from nodegraph.diffusion.models import describe_model
from nodegraph.diffusion.scheduler_file import scheduler_config
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound
from nodegraph.residency import component_bytes
from tests.diffusion import ldm_export
from tests.diffusion.single_files import double_stream as original
from tests.diffusion.single_files.models import SMALL
from tests.diffusion.single_files.originals import WRITERS

from .equality import Model, random_pipeline
from .parts import clip_text, dynamic_flow, flow, flux_vae, t5_text, unet, vae
from .test_single_files import net
from .video_models import umt5_text, uni_pc_flow, wan_vae
from .words import clip_words, t5_words

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "model.", "")
HEAD = 128
"""Width of an attention head of Flux.1: no tensor says how it is split among the axes."""


def flux_net(channels: int = 64, *, guidance: bool = True, **more: Any) -> Any:
    given = {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": 64,
        "num_layers": 2,
        "num_single_layers": 1,
        "attention_head_dim": HEAD,
        "num_attention_heads": 1,
        "joint_attention_dim": 32,
        "pooled_projection_dim": 32,
        "guidance_embeds": guidance,
    }
    return d.FluxTransformer2DModel(**{**given, **more})


def flux_of(net: Any, schedule: Any) -> Any:
    one, two = clip_words(), t5_words()
    return d.FluxPipeline(schedule, flux_vae(), clip_text(one), one, t5_text(two), two, net)


def flux() -> Any:
    return flux_of(flux_net(), dynamic_flow())


def flux_schnell() -> Any:
    return flux_of(flux_net(guidance=False), flow(shift=1.0))


def flux_fill() -> Any:
    one, two = clip_words(), t5_words()
    parts = (dynamic_flow(), flux_vae(), clip_text(one), one, t5_text(two), two)
    return d.FluxFillPipeline(*parts, flux_net(384))


def chroma() -> Any:
    words = t5_words()
    net = d.ChromaTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=HEAD,
        num_attention_heads=1,
        joint_attention_dim=32,
        approximator_num_channels=8,
        approximator_hidden_dim=32,
        approximator_layers=2,
    )
    return d.ChromaPipeline(dynamic_flow(), flux_vae(), t5_text(words), words, net)


def sd3(dual: tuple[int, ...] = ()) -> Any:
    one, two, three = clip_words(), clip_words(pad="!"), t5_words()
    net = d.SD3Transformer2DModel(
        sample_size=128,
        in_channels=16,
        num_layers=3,
        attention_head_dim=64,
        num_attention_heads=1,
        joint_attention_dim=80,
        caption_projection_dim=64,
        pooled_projection_dim=64,
        pos_embed_max_size=24,
        dual_attention_layers=dual,
        qk_norm="rms_norm" if dual else None,
    )
    encoders = (clip_text(one, 32, 32), one, clip_text(two, 32, 32, "gelu"), two)
    autoencoder = vae(16, 1.5305, 0.0609, quant=False)
    return d.StableDiffusion3Pipeline(
        net, flow(shift=3.0), autoencoder, *encoders, t5_text(three, 80), three
    )


def sd35() -> Any:
    return sd3((0, 1))


Write = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
BUILDS: dict[Callable[[], Any], tuple[str, Write]] = {
    flux: ("flux", original.flux),
    flux_schnell: ("flux", original.flux),
    flux_fill: ("flux", original.flux),
    chroma: ("chroma", original.flux),
    sd3: ("sd3", original.sd3),
    sd35: ("sd3", original.sd3),
}


@dataclass
class Written:
    """A pipeline's folder, and its denoiser's tensors under their original names."""

    pipeline: Any
    folder: Path
    family: str
    tensors: dict[str, Tensor]
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def expected(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.pipeline.transformer.state_dict()
        return found

    def file(self, prefix: str = PREFIXES[0]) -> Path:
        """The denoiser in a file of its own."""
        if prefix not in self.files:
            path = self.folder.parent / f"{self.folder.name}-{len(self.files)}.safetensors"
            save_file({f"{prefix}{name}": item for name, item in self.tensors.items()}, path)
            self.files[prefix] = path
        return self.files[prefix]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], Any]], Written]:
    known: dict[Callable[[], Any], Written] = {}

    def made(build: Callable[[], Any]) -> Written:
        if build not in known:
            pipeline = random_pipeline(build)
            folder = tmp_path_factory.mktemp("models") / build.__name__
            pipeline.save_pretrained(folder)
            family, write = BUILDS[build]
            tensors = write(pipeline.transformer.state_dict())
            known[build] = Written(pipeline, folder, family, tensors)
        return known[build]

    return made


WrittenOf = Callable[[Callable[[], Any]], Written]


def opened(path: Path, **wanted: Any) -> DiffusionModel:
    return open_denoiser(WantedDenoiser(str(path), **wanted), [])


@pytest.mark.parametrize("build", BUILDS)
def test_every_tensor_comes_back(written: WrittenOf, build: Callable[[], Any]) -> None:
    made = written(build)
    recipe = opened(made.file())
    component = load_component(recipe, "cpu")
    assert recipe.family == component.family == made.family
    found = component.module.state_dict()
    assert found.keys() == made.expected.keys()
    for name, item in made.expected.items():
        assert torch.equal(found[name], item), name
    for name, value in made.pipeline.transformer.config.items():
        if not name.startswith("_") and value is not None:
            assert component.config[name] == value, name
    size = estimate_bytes(recipe)
    assert denoiser_bytes(WantedDenoiser(str(made.file())), []) == size
    assert component_bytes(component) == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize("build", [flux, flux_schnell, chroma, sd3, sd35])
def test_pictures_are_those_of_the_folder(written: WrittenOf, build: Callable[[], Any]) -> None:
    made = written(build)
    whole = Model(made.folder)
    alone = Model(made.folder, loaded={"model": load_component(opened(made.file()), "cpu")})
    expected, found = (model.make(64, 64, cfg=2.0) for model in (whole, alone))
    assert torch.equal(found.latents, expected.latents)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_files_may_have_a_prefix(written: WrittenOf, prefix: str) -> None:
    made = written(flux)
    found = load_component(opened(made.file(prefix)), "cpu").module.state_dict()
    assert all(torch.equal(found[name], item) for name, item in made.expected.items())


@pytest.mark.parametrize("build", [flux, chroma, sd3, sd35])
def test_files_may_have_the_names_of_diffusers(
    written: WrittenOf, build: Callable[[], Any]
) -> None:
    made = written(build)
    file = made.folder / "transformer" / "diffusion_pytorch_model.safetensors"
    for path in (file, made.folder / "transformer"):
        recipe = opened(path)
        assert recipe.family == made.family
        found = load_component(recipe, "cpu").module.state_dict()
        assert all(torch.equal(found[name], item) for name, item in made.expected.items())


def test_of_a_whole_model_its_own_is_taken(written: WrittenOf) -> None:
    """So it is shared with those who load the model whole."""
    folder = written(flux).folder
    assert opened(folder) == open_model(str(folder), []).model
    with pytest.raises(InvalidValue, match="is a whole model"):
        opened(folder, family="flux")
    found = scheduler_config(opened(folder, shift=2.5))
    assert (found["shift"], found["use_dynamic_shifting"]) == (2.5, False)


@pytest.mark.parametrize(
    ("build", "schedule"),
    [
        (flux, {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}),
        (flux_schnell, {"use_dynamic_shifting": False, "shift": 1.0}),
        (sd3, {"use_dynamic_shifting": False, "shift": 3.0}),
    ],
)
def test_the_noise_schedule_is_the_published_one(
    written: WrittenOf, build: Callable[[], Any], schedule: Mapping[str, object]
) -> None:
    found = scheduler_config(opened(written(build).file()))
    assert found["_class_name"] == "FlowMatchEulerDiscreteScheduler"
    assert {name: found[name] for name in schedule} == schedule


def test_the_shift_can_be_said(written: WrittenOf) -> None:
    found = scheduler_config(opened(written(flux).file(), shift=2.5))
    assert (found["shift"], found["use_dynamic_shifting"]) == (2.5, False)
    with pytest.raises(InvalidValue, match="trained by flow matching"):
        opened(written(flux).file(), prediction_type="epsilon")


def test_what_is_known_without_loading(written: WrittenOf) -> None:
    made = written(flux_fill)
    facts = denoiser_facts(WantedDenoiser(str(made.file())), [])
    assert (facts["family"], facts["format"], facts["latent_channels"]) == ("flux", "flux", 16)
    assert (facts["noise"], facts["width"], facts["multiple"]) == ("flow", 1024, 16)


def test_layers_for_adapters_are_told_without_loading(written: WrittenOf) -> None:
    made = written(flux)
    found = recipe_layers(opened(made.file()))
    assert found == recipe_layers(opened(made.folder / "transformer"))


def test_a_changed_file_is_noticed(written: WrittenOf, tmp_path: Path) -> None:
    path = tmp_path / "changed.safetensors"
    save_file(written(flux).tensors, path)
    before = denoiser_stamp(WantedDenoiser(str(path)), [])
    save_file({**written(flux).tensors, "img_in.bias": torch.ones(HEAD)}, path)
    assert denoiser_stamp(WantedDenoiser(str(path)), []) != before


_FLUX_WIDE = {
    "num_layers": 19,
    "num_single_layers": 38,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
}
_FLUX_DEV = {**_FLUX_WIDE, "guidance_embeds": True}
_SD3_MEDIUM = {
    "num_layers": 24,
    "num_attention_heads": 24,
    "caption_projection_dim": 1536,
    "pos_embed_max_size": 192,
}
_SD35_MEDIUM = {
    **_SD3_MEDIUM,
    "pos_embed_max_size": 384,
    "dual_attention_layers": tuple(range(13)),
    "qk_norm": "rms_norm",
}
_SD35_LARGE = {
    **_SD3_MEDIUM,
    "num_layers": 38,
    "num_attention_heads": 38,
    "caption_projection_dim": 2432,
    "qk_norm": "rms_norm",
}
PUBLISHED: dict[str, tuple[str, str, Write, dict[str, Any]]] = {
    "flux-dev": (
        "flux",
        "FluxTransformer2DModel",
        original.flux,
        {**_FLUX_WIDE, "guidance_embeds": True},
    ),
    "flux-schnell": ("flux", "FluxTransformer2DModel", original.flux, _FLUX_WIDE),
    "chroma": ("chroma", "ChromaTransformer2DModel", original.flux, _FLUX_WIDE),
    "sd3-medium": ("sd3", "SD3Transformer2DModel", original.sd3, _SD3_MEDIUM),
    "sd3.5-medium": ("sd3", "SD3Transformer2DModel", original.sd3, _SD35_MEDIUM),
    "sd3.5-large": ("sd3", "SD3Transformer2DModel", original.sd3, _SD35_LARGE),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_would_fit(name: str) -> None:
    """At their true widths, some of which diffusers' converters have written in, as far as names
    and shapes go."""
    family, kind, write, config = PUBLISHED[name]
    with torch.device("meta"):
        net = getattr(d, kind)(**config)
    own = net.state_dict()
    tensors = write(own)
    part = family_named(family).denoisers[0]
    made = checkpoint_part(part, {name: tuple(item.shape) for name, item in tensors.items()}, "")
    found = made.convert(tensors)
    shapes = {name: item.shape for name, item in own.items()}
    assert {name: item.shape for name, item in found.items()} == shapes
    convert = getattr(converters, f"convert_{family}_transformer_checkpoint_to_diffusers")
    assert {name: item.shape for name, item in convert(dict(tensors)).items()} == shapes
    for name, value in net.config.items():
        if not name.startswith("_") and value is not None:
            assert plain(made.config[name]) == plain(value), name


@pytest.mark.parametrize("build", [sd3, sd35])
def test_diffusers_reads_the_file_alike(written: WrittenOf, build: Callable[[], Any]) -> None:
    made = written(build)
    found = converters.convert_sd3_transformer_checkpoint_to_diffusers(dict(made.tensors))
    assert found.keys() == made.expected.keys()
    assert all(torch.equal(found[name], item) for name, item in made.expected.items())


def test_diffusers_reads_a_fluxs_last_modulation_alike() -> None:
    """Which has scale and shift the other way round; the rest has no numbers, for its size."""
    with torch.device("meta"):
        net = flux_net(num_attention_heads=24)
    tensors = original.flux(net.state_dict())
    last = {name: item for name, item in tensors.items() if "final_layer.adaLN" in name}
    tensors |= {name: torch.rand(item.shape) for name, item in last.items()}
    part = family_named("flux").denoisers[0]
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    found = checkpoint_part(part, shapes, "").convert(tensors)
    expected = converters.convert_flux_transformer_checkpoint_to_diffusers(dict(tensors))
    for end in ("weight", "bias"):
        name = f"norm_out.linear.{end}"
        assert torch.equal(found[name], expected[name])


def changed(made: Written, tmp_path: Path, changes: Mapping[str, Tensor | None]) -> Path:
    """A file of its tensors but for these; None leaves one out."""
    tensors = {**made.tensors, **changes}
    path = tmp_path / "changed.safetensors"
    save_file({name: item for name, item in tensors.items() if item is not None}, path)
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"final_layer.linear.bias": None}, "lack 1 tensors that fit, such as proj_out.bias"),
        ({"something.else": torch.ones(1)}, "1 tensors that don't belong there: something.else"),
        (
            {"single_blocks.0.linear2.bias": torch.ones(3)},
            r"single_transformer_blocks.0.proj_out.bias, which has shape \[3\] instead of \[128\]",
        ),
    ],
)
def test_a_file_that_does_not_fit_says_which_tensors(
    written: WrittenOf, tmp_path: Path, changes: Mapping[str, Tensor | None], words: str
) -> None:
    recipe = opened(changed(written(flux), tmp_path, changes))
    with pytest.raises(InvalidFile, match=words) as error:
        load_component(recipe, "cpu")
    assert "changed.safetensors" in str(error.value)


def test_a_file_that_lacks_what_tells_its_sizes_is_refused(
    written: WrittenOf, tmp_path: Path
) -> None:
    path = changed(written(flux), tmp_path, {"txt_in.weight": None})
    with pytest.raises(InvalidFile, match=r"transformer of Flux\.1, but it is damaged"):
        opened(path)


def test_what_takes_more_than_a_latent_is_not_taken_for_it(
    written: WrittenOf, tmp_path: Path
) -> None:
    path = changed(written(flux), tmp_path, {"img_in.weight": torch.ones(HEAD, 128)})
    with pytest.raises(InvalidFile, match=r"Flux\.1 that looks at another picture"):
        opened(path)


def alone(name: str) -> dict[str, Tensor]:
    """Files that hold something else."""
    kinds: dict[str, Callable[[], Mapping[str, Tensor]]] = {
        "vae": lambda: ldm_export._vae_tensors(flux_vae()),
        "lora": lambda: {"a.lora_A.weight": torch.ones(1, 1)},
        "nothing": lambda: {"anything": torch.ones(1)},
    }
    return {key: item.detach().clone().contiguous() for key, item in kinds[name]().items()}


@pytest.mark.parametrize(
    ("kind", "words"),
    [("vae", "LoadVae takes it"), ("lora", "a LoRA.*LoadLora takes it"), ("nothing", "no model")],
)
def test_what_holds_something_else_is_told_with_the_node_that_takes_it(
    tmp_path: Path, kind: str, words: str
) -> None:
    save_file(alone(kind), tmp_path / "other.safetensors")
    with pytest.raises(InvalidFile, match=f"(?s){words}"):
        opened(tmp_path / "other.safetensors")
    with pytest.raises(ModelNotFound):
        opened(tmp_path / "nowhere.safetensors")


def test_load_model_and_lists_say_what_it_is(written: WrittenOf) -> None:
    path = written(flux).file()
    with pytest.raises(InvalidFile, match=r"the transformer of Flux\.1: LoadDiffusionModel takes"):
        locate_model(str(path), [])
    listed = describe_model(path.name, path, "checkpoint")
    assert (listed.problem, listed.family) == (None, "flux")
    assert (listed.part, listed.node) == ("the transformer of Flux.1", "LoadDiffusionModel")


def test_a_model_that_is_one_has_no_second_expert(written: WrittenOf) -> None:
    path = written(flux).file()
    with pytest.raises(InvalidValue, match="has no second expert") as error:
        opened(path, second=str(path))
    assert error.value.problem.port == "second"


def test_a_family_that_it_is_not_of_is_refused(written: WrittenOf) -> None:
    with pytest.raises(InvalidValue, match=r"is the transformer of Flux\.1") as error:
        opened(written(flux).file(), family="chroma")
    assert error.value.problem.expected == "auto or flux"


@pytest.fixture(scope="module")
def wan22(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A folder of Wan 2.2, and its two experts in files."""
    words, nets = t5_words(), [SMALL["wan"].build() for _ in range(2)]
    more = {"transformer_2": nets[1], "boundary_ratio": 0.875}
    pipeline = random_pipeline(
        lambda: d.WanPipeline(words, umt5_text(words), wan_vae(), uni_pc_flow(), nets[0], **more)
    )
    place = tmp_path_factory.mktemp("wan")
    pipeline.save_pretrained(place / "wan22")
    files = []
    for role in ("transformer", "transformer_2"):
        files.append(place / f"{role}.safetensors")
        save_file(WRITERS["wan"](getattr(pipeline, role).state_dict()), files[-1])
    return place / "wan22", files


def test_two_experts_in_two_files(wan22: tuple[Path, list[Path]]) -> None:
    folder, (first, second) = wan22
    recipe = opened(first, second=str(second))
    whole = Model(folder)
    alone = Model(folder, loaded={"model": load_component(recipe, "cpu")})
    expected, found = (
        model.make(64, 64, cfg=3.0, frames=5, sampler="uni_pc") for model in (whole, alone)
    )
    assert torch.equal(found.latents, expected.latents)
    assert denoiser_bytes(WantedDenoiser(str(first), str(second)), []) == estimate_bytes(recipe)
    with pytest.raises(ModelNotFound):
        opened(first, second=str(folder / "nowhere"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_layers_are_as_precise_as_those_of_a_folder(
    wan22: tuple[Path, list[Path]], dtype: str
) -> None:
    """Wan's norms and embeddings of time stay in float32, whatever their names were."""
    folder, (first, _) = wan22
    alone = load_component(open_denoiser(WantedDenoiser(str(first)), [], dtype=dtype), "cpu").module
    whole = load_component(open_model(str(folder), [], dtype=dtype).model, "cpu").module
    expected, found = whole.state_dict(), alone.state_dict()
    assert len({item.dtype for item in found.values()}) == (2 if dtype == "bfloat16" else 1)
    for name, item in expected.items():
        assert item.dtype == found[name].dtype, name
        assert torch.equal(item, found[name]), name


UNETS: dict[str, Callable[[], Any]] = {
    "sd1": lambda: unet(64, 8, block_out_channels=(32, 64, 64, 64), norm_num_groups=32),
    "sd2": lambda: net(128, (1, 1)),
    "sdxl": lambda: net(64 + 128, (1, 3), 6 * 256 + 128),
    "sdxl-refiner": lambda: net(128, (1, 2), 5 * 256 + 128),
}


@pytest.mark.parametrize("family", UNETS)
@pytest.mark.parametrize("naming", ["original", "diffusers"])
def test_a_unet_by_itself(tmp_path: Path, family: str, naming: str) -> None:
    torch.manual_seed(0)
    expected = UNETS[family]().eval().requires_grad_(False)
    tensors = ldm_export.pictures(expected, vae(4, 0.13025))
    written = {
        name: item.clone().contiguous()
        for name, item in (tensors if naming == "original" else expected.state_dict()).items()
        if naming == "diffusers" or name.startswith("model.")
    }
    path = tmp_path / "unet.safetensors"
    save_file(written, path)
    recipe = opened(path, prediction_type="v_prediction")
    assert recipe.family == family
    assert scheduler_config(recipe)["prediction_type"] == "v_prediction"
    component = load_component(recipe, "cpu")
    found = component.module.state_dict()
    assert found.keys() == expected.state_dict().keys()
    assert all(torch.equal(found[name], item) for name, item in expected.state_dict().items())
    # What is said of each level may be said once for all of them.
    said = {"attention_head_dim", "transformer_layers_per_block", "sample_size"}
    for name, value in expected.config.items():
        if not name.startswith("_") and value is not None and name not in said:
            assert plain(component.config[name]) == plain(value), name
    save_file({**written, f"{next(iter(written))}.more": torch.ones(1)}, path)
    with pytest.raises(InvalidFile, match=r"that don't belong there: .*\.more"):
        load_component(opened(path, prediction_type="v_prediction"), "cpu")


def plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

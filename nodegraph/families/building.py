"""Build diffusers and transformers modules from configs and tensors, and move them.

The `from_pretrained` of transformers sets the default dtype of the whole process while it builds a
module, and noise drawn in another thread would get that dtype. `with_thread_dtype` limits it to one
thread.

`module.to` doesn't move tensors that aren't buffers, mostly tables of rotary positions, and
diffusers caches some of them per process. There they would fill an accelerator's memory with one
table for each model and image size. `move_with_tables` moves them too, and avoids those caches.
"""

from __future__ import annotations

import functools
import inspect
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from types import MethodType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nodegraph.core.digests import import_verified
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.vocabulary import read_clip_vocabulary
from nodegraph.weights.lazy import diffusers, stand_ins, transformers
from nodegraph.weights.single_files.base import fault_text
from nodegraph.weights.tokenizer_files import SUFFIX, unpack_tokenizer
from nodegraph.weights.weight_files import check_weights_fit, read_tensors, refuse_misfits


def move_with_tables(module: nn.Module, device: str) -> None:
    """Move a module, and its tables with it."""
    module.to(device)
    for layer in module.modules():
        _forget(layer)
        for holder in (layer, *_helpers(layer)):
            _move_tables(holder, device)


def _helpers(layer: nn.Module) -> list[object]:
    """Objects of diffusers that a layer holds and that are no modules themselves."""
    return [
        value
        for value in vars(layer).values()
        if type(value).__module__.startswith("diffusers.models.")
        and not isinstance(value, nn.Module)
        and hasattr(value, "__dict__")
    ]


def _move_tables(holder: object, device: str) -> None:
    for name, value in vars(holder).items():
        if _is_table(value):
            setattr(holder, name, value.to(device))
        elif isinstance(value, list) and value and all(map(_is_table, value)):
            setattr(holder, name, [table.to(device) for table in value])
        elif not name.startswith("_") and _is_table_cache(value):
            # Positions of Wan Animate 2 by their offsets; attributes of torch begin with "_".
            setattr(holder, name, {key: table.to(device) for key, table in value.items()})


def _is_table_cache(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(_is_table, value.values()))


def _is_table(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.is_meta


def _forget(layer: nn.Module) -> None:
    """Let a layer compute what its class would cache.

    Rotary positions of Qwen-Image, LongCat-AudioDiT and others keep results, and modules, for good,
    on whatever device. Computed anew they take a few small operations for each evaluation.
    """
    kind: Any = type(layer)
    for name, plain in _cached_methods(kind).items():
        setattr(layer, name, MethodType(plain, layer))


@functools.cache
def _cached_methods(kind: Any) -> dict[str, Callable[..., Any]]:
    """Methods of a class of diffusers that cache their results, by name, without the cache."""
    if not kind.__module__.startswith("diffusers.models."):
        return {}
    methods = {name: item for base in reversed(kind.__mro__) for name, item in vars(base).items()}
    return {
        name: item.__wrapped__
        for name, item in methods.items()
        if hasattr(item, "__wrapped__") and _caches(item)
    }


def _caches(method: Any) -> bool:
    """Whether a method is an `lru_cache`, or calls one that it closes over."""
    over = getattr(method, "__closure__", None) or ()
    return any(hasattr(item, "cache_clear") for item in (method, *(c.cell_contents for c in over)))


_FLOATING = {
    *(torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye),
    *(torch.linspace, torch.logspace, torch.hann_window, torch.hamming_window),
}
"""What makes floating point numbers of the default precision."""
_AS_GIVEN = {torch.full, torch.arange, torch.tensor, torch.as_tensor, torch.scalar_tensor}
"""What does so if it is given floats."""
_DRAWING = {
    *(Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_),
    *(nn.init.kaiming_uniform_, nn.init.trunc_normal_),
}
"""What draws weights into tensors."""


class ThreadDtype(TorchFunctionMode):
    """Inside the `with`, what this thread makes without a precision has one, as if it were the
    default."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func in _DRAWING:
            drawn = args[0] if args else options["tensor"]
            if drawn.is_meta:
                # There is nothing to draw, and torch would import its compiler for it.
                return drawn
        is_open = options.get("dtype") is None and options.get("out") is None
        if is_open and (func in _FLOATING or (func in _AS_GIVEN and _is_of_floats(args, options))):
            options["dtype"] = self._dtype
        return func(*args, **options)


class _PlainMeta(TorchFunctionMode):
    """Inside the `with`, this thread needs no compiler of torch for tensors on `meta`.

    Of a range on `meta` and of what is like a tensor there, torch computes the shape in Python. For
    that it imports sympy, which takes longer than building a small model.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        device = options.get("device")
        if func is torch.arange and device is not None and torch.device(device).type == "meta":
            return func(*args, **{**options, "device": "cpu"}).to("meta")
        if func is torch.empty_like and device is not None and options.keys() == {"device"}:
            like = args[0]
            if like.is_meta and like.is_contiguous():
                return torch.empty(like.shape, dtype=like.dtype, device=device)
        return func(*args, **options)


def _is_of_floats(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return any(_has_float(value) for value in (*args, *kwargs.values()))


def _has_float(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_float, value))
    return isinstance(value, float)


def with_thread_dtype(kind: Any) -> Any:
    """A class of transformers of which `from_pretrained` leaves the default precision alone.

    What it gives is of this class; give it the one that was meant.
    """

    def get_init_context(
        cls: Any, dtype: torch.dtype, *args: Any, **kwargs: Any
    ) -> list[AbstractContextManager[Any]]:
        usual = torch.get_default_dtype()
        contexts = kind.get_init_context.__func__(cls, usual, *args, **kwargs)
        return [*contexts, ThreadDtype(dtype)]

    parts = {
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "get_init_context": classmethod(get_init_context),
    }
    return type(kind.__name__, (kind,), parts)


_DAMAGED = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    ArithmeticError,
    TypeError,
    AttributeError,
    SafetensorError,
)
"""What the libraries raise on files that don't fit together, by experience."""

_LOADING = Lock()
"""transformers builds modules with process-wide changes (of functions that initialize) and its
verbosity is process-wide too, so one component is built at a time."""

_CLIP_LENGTH = 77
"""Tokens of a prompt that published CLIP encoders take."""

_ANY_TEXT = "a cat, \u00e9\u732b"

_DRAWN = {torch.empty, torch.rand, torch.randn}
"""What makes weights, and never what is computed once for good."""


class _WithoutWeights(TorchFunctionMode):
    """Inside the `with`, this thread's new weights are not allocated, nor drawn at random.

    Weights of ones or zeros, and what modules compute of their configuration, are made as ever.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = dict(kwargs or {})
        if func in _DRAWING:
            return args[0] if args else options["tensor"]
        if func in _DRAWN and options.get("device") is None:
            options["device"] = "meta"
        return func(*args, **options)


def build_module(
    classes: Sequence[str],
    files: Sequence[Path],
    dtype: str,
    *,
    module: str = "",
    as_stored: bool = False,
) -> nn.Module:
    """A module from its configuration and weights, on the CPU.

    Args:
        classes: Names of the classes that it may be, the usual one first.
        files: config.json, and weights.
        dtype: Precision to hold the weights in, except for layers that their class of diffusers
            wants in float32; see `weight_files.PRECISIONS`.
        module: See `library_class`.
        as_stored: See `read_tensors`.
    Raises:
        InvalidFile: They are damaged or don't fit together.
        InvalidValue: There is no such class.
    """
    config_file = next(path for path in files if path.name == layout.CONFIG)
    weights = [path for path in files if path.suffix != ".json"]
    folder = config_file.parent
    with building_from(folder):
        config = layout.read_config(config_file)
        kind = _class(folder, config, classes, module)
        if issubclass(kind, diffusers.ModelMixin):
            wide = kind._keep_in_fp32_modules or ()
            tensors = read_tensors(weights, dtype, wide=wide, as_stored=as_stored)
            return diffusers_module(kind, config, tensors, folder)
        tensors = read_tensors(weights, dtype, as_stored=as_stored)
        return transformers_module(kind, kind.config_class.from_pretrained(folder), tensors, folder)


def diffusers_module(
    kind: Any,
    config: Mapping[str, Any],
    tensors: dict[str, Tensor],
    path: Path,
    *,
    strict: bool = False,
) -> nn.Module:
    """A module of diffusers with these weights.

    Args:
        strict: Whether to refuse weights that it has no use for.
    Raises:
        InvalidFile: Some are missing or have another shape.
    """
    with _WithoutWeights():
        model: nn.Module = kind.from_config(config)
    # Files of old name attention layers in another way.
    model._fix_state_dict_keys_on_load(tensors)  # type: ignore[operator]
    check_weights_fit(path, model, tensors, strict=strict)
    model.load_state_dict(tensors, strict=False, assign=True)
    _fold_weight_norms(model)
    return model


@torch.no_grad()
def _fold_weight_norms(model: nn.Module) -> None:
    """Compute weights once that a layer else computes in each call, of directions and lengths; such
    weights are no parameters, so they would not move to a device with the others."""
    for layer in model.modules():
        if "weight_g" in layer._parameters:
            nn.utils.remove_weight_norm(layer).requires_grad_(False)
            layer.has_folded_norm = True  # type: ignore[assignment]


@torch.no_grad()
def unfold_weight_norms(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a model by the names that its files have: where a layer's is folded, a length of
    each direction, and the directions. Folded again in float32, they are equal to the last bit."""
    unfolded = dict(tensors)
    for path, layer in model.named_modules():
        if getattr(layer, "has_folded_norm", False):
            weight = unfolded.pop(f"{path}.weight")
            whole = weight.detach().to("cpu", torch.float32).contiguous()
            # The lengths as the fold itself computes them; others differ in the last bit.
            ones = torch.ones(len(whole), *(1,) * (whole.ndim - 1))
            lengths = torch._weight_norm_interface(whole, ones)[1]
            unfolded[f"{path}.weight_g"] = lengths.to(weight.dtype)
            unfolded[f"{path}.weight_v"] = weight
    return unfolded


def transformers_module(
    kind: Any, config: Any, tensors: dict[str, Tensor], path: Path, *, strict: bool = False
) -> nn.Module:
    """A module of transformers with these weights.

    Args:
        strict: Whether to refuse weights that it has no use for.
    Raises:
        InvalidFile: Some are missing or have another shape, or none is floating point.
    """
    kinds = [item.dtype for item in tensors.values() if item.is_floating_point()]
    if not kinds:
        raise InvalidFile(
            f"the weights in {path} are integers, which cannot be read as a model",
            expected="float32, float16 or bfloat16",
        )
    with stand_ins(), _PlainMeta():
        model, report = with_thread_dtype(kind).from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            torch_dtype=kinds[0],
            output_loading_info=True,
            # Reported below, by name.
            ignore_mismatched_sizes=True,
        )
    refuse_misfits(
        path,
        missing=report["missing_keys"],
        wrong={name: (actual, wanted) for name, actual, wanted in report["mismatched_keys"]},
        unexpected=report["unexpected_keys"] if strict else (),
    )
    model.__class__ = kind
    filled: nn.Module = model
    return filled


def build_tokenizer(classes: Sequence[str], files: Sequence[Path]) -> Any:
    """A tokenizer from copies of just these files, whatever lies beside them.

    Args:
        files: As the libraries read them, or packed; see `unpack_tokenizer`.

    Raises:
        InvalidFile: They are damaged.
    """
    if classes[0] == "ChatGLMTokenizer":
        # No other model needs it.
        from nodegraph.families.chatglm_tokenizer import chatglm_tokenizer

        with building_from(files[0].parent):
            return chatglm_tokenizer(files)
    with TemporaryDirectory() as alone, building_from(files[0].parent):
        for file in files:
            if file.suffix == SUFFIX:
                for name, text in unpack_tokenizer(file).items():
                    (Path(alone) / name).write_text(text, "utf-8")
            else:
                shutil.copyfile(file, Path(alone) / file.name)
        named = Path(alone) / "tokenizer_config.json"
        settings = json.loads(named.read_text("utf-8")) if named.is_file() else {}
        kind = _tokenizer_class(str(settings.get("tokenizer_class")), classes)
        try:
            tokenizer = kind.from_pretrained(alone, local_files_only=True)
            if hasattr(tokenizer, "encode"):
                # Words that it lacks for its own marks show once it is used.
                tokenizer.encode(_ANY_TEXT)
            return tokenizer
        except Exception as error:
            # The library under it raises bare exceptions.
            raise ValueError(f"its tokenizer files are damaged: {_first_line(error)}") from error


def clip_tokenizer(merges: Path, padding: str) -> Any:
    """CLIP's tokenizer from the built-in vocabulary."""
    words, pairs = read_clip_vocabulary(merges)
    return transformers.CLIPTokenizer(
        vocab=words, merges=pairs, pad_token=padding, model_max_length=_CLIP_LENGTH
    )


@contextmanager
def building_from(path: Path) -> Iterator[None]:
    """Build from files one at a time, silence the libraries, and name the place in errors."""
    with quiet():
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except _DAMAGED as error:
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise InvalidFile(
                f"cannot load {path}: {_error_text(error)}",
                hint="The files are damaged or do not belong together: copy the model again.",
            ) from error


def _error_text(error: Exception) -> str:
    return fault_text(error) if isinstance(error, KeyError) else _first_line(error)


_OWN = {
    "AnimaControlLLLite": "nodegraph.families.anima_control_network",
    "AceStepAudioTokenDetokenizer": "diffusers.pipelines.ace_step.modeling_ace_step",
    "AceStepAudioTokenizer": "diffusers.pipelines.ace_step.modeling_ace_step",
    "AceStepConditionEncoder": "diffusers.pipelines.ace_step.modeling_ace_step",
    "ChatGLMModel": "diffusers.pipelines.kolors.text_encoder",
    "ItemTransformer": "nodegraph.families.items.transformer",
    "MoleculeTransformer": "nodegraph.families.items.transformer",
    "MotionTransformer": "nodegraph.families.items.transformer",
    "LTX2TextConnectors": "diffusers.pipelines.ltx2.connectors",
    "LTX2Vocoder": "diffusers.pipelines.ltx2.vocoder",
    "LTX2VocoderWithBWE": "diffusers.pipelines.ltx2.vocoder",
    "WanFunTransformer3DModel": "nodegraph.families.wan_fun_transformer",
    "MiniMaxH3PrunedTransformer3DModel": "nodegraph.families.minimax_h3_pruned",
    "PaellaVQModel": "diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model",
    "LTX2LatentUpsamplerModel": "diffusers.pipelines.ltx2.latent_upsampler",
    "T5GemmaEncoder": "nodegraph.families.prx",
    "LlavaVisionModel": "nodegraph.families.llava_vision",
    "ShapERenderer": "diffusers.pipelines.shap_e.renderer",
    "QwenImageBlockwiseControlNet": "nodegraph.families.qwen_image_controls",
    "QwenImageFunControlNet": "nodegraph.families.qwen_image_controls",
}
"""Modules of our own classes, and of classes that diffusers does not export."""


def library_class(name: str, module: str = "") -> Any:
    """A class of diffusers or transformers, one of our own, or of a package.

    Args:
        module: Import name of the package's module that has it.
    Raises:
        InvalidValue: There is none, or it is no model.
    """
    if module or name in _OWN:
        return _class_of(module or _OWN[name], name)
    library = diffusers if hasattr(diffusers, name) else transformers
    if not hasattr(library, name):
        raise InvalidValue(
            f"neither diffusers {diffusers.__version__} nor transformers "
            f"{transformers.__version__} has a class {name}",
            hint="Newer releases may have it; diffusers 0.42 needs Python 3.11. Of a package's "
            f'own class, its part says the module: `Part(…, ("{name}",), module="my.networks")`.',
        )
    return getattr(library, name)


def _class_of(module: str, name: str) -> Any:
    try:
        model_class = getattr(import_verified(module), name)
    except NodegraphError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidValue(
            f"the class {name} of {module} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    is_network = isinstance(model_class, type) and issubclass(model_class, nn.Module)
    if not is_network:
        raise InvalidValue(
            f"the class {name} of {module} is not a model that is built from a configuration",
            expected="a `torch.nn.Module` that takes its configuration as keyword arguments, a "
            "`diffusers.ModelMixin` with `ConfigMixin`, or a `transformers.PreTrainedModel`",
        )
    is_configurable = issubclass(model_class, (diffusers.ModelMixin, transformers.PreTrainedModel))
    return model_class if is_configurable else _configurable(model_class)


@functools.cache
def _configurable(network: Any) -> Any:
    """A network of a package that also has what diffusers' models have: a configuration, which its
    constructor takes as keyword arguments, a device and a precision."""

    def from_config(cls: Any, config: Mapping[str, Any]) -> nn.Module:
        # Names with an underscore are those of the file's format, such as `_class_name`.
        named = {name: value for name, value in config.items() if not name.startswith("_")}
        parameters = inspect.signature(network).parameters.values()
        defaults = {
            each.name: each.default for each in parameters if each.default is not each.empty
        }
        try:
            model: Any = cls(**named)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InvalidValue(
                f"the network {network.__name__} of {network.__module__} cannot be built from its "
                f"configuration: {type(error).__name__}: {error}",
                given=", ".join(f"{name}={value!r}" for name, value in named.items()),
                hint="Each entry of the configuration is a keyword argument of its constructor. "
                "nodegraph sets the attributes `config`, `device` and `dtype`.",
            ) from error
        model.register_to_config(**{**defaults, **named})
        return model  # type: ignore[no-any-return]

    members = {
        "__module__": network.__module__,
        "config_name": layout.CONFIG,
        "from_config": classmethod(from_config),
    }
    return type(network.__name__, (network, diffusers.ModelMixin, diffusers.ConfigMixin), members)


def _class(path: Path, config: Mapping[str, Any], classes: Sequence[str], module: str) -> Any:
    """The class that a configuration names, if it may be that."""
    architectures = config.get("architectures") or [None]
    named = config.get("_class_name") or architectures[0]
    if named is not None and config.get("_class_name") and named not in classes:
        raise InvalidFile(
            f"{path} holds a {named}, which is not part of this kind of model",
            expected=" or ".join(classes),
        )
    return library_class(named if named in classes else classes[0], module)


def _tokenizer_class(name: str, classes: Sequence[str]) -> Any:
    plain = name.removesuffix("Fast")
    return getattr(transformers, plain if plain in classes else classes[0])


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and advice of the libraries inside the `with`, in which one thread at a time
    may be; as before afterwards."""
    loggers = (diffusers.utils.logging, transformers.utils.logging)
    with _LOADING, warnings.catch_warnings():
        # `AutoencoderOobleck` of diffusers is built with an old function of torch.
        warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
        # `ChatGLMModel` of diffusers compiles a function as torch no longer wants it.
        warnings.filterwarnings("ignore", ".*jit.script", DeprecationWarning)
        levels = [logger.get_verbosity() for logger in loggers]
        bars = transformers.utils.logging.is_progress_bar_enabled()
        for logger in loggers:
            logger.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.set_verbosity(level)
            if bars:
                transformers.utils.logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

"""ComfyUI's modules ``comfy.model_management`` and ``comfy.cli_args``: devices, memory, options."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.errors import Cancelled
from nodegraph.interop.comfyui.packs.model_handle import current_call


class VRAMState(Enum):
    """How ComfyUI would use the memory of a device."""

    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


class CPUState(Enum):
    """Kind of the device."""

    GPU = 0
    CPU = 1
    MPS = 2


class Devices:
    """Devices and memory for the pack's own networks.

    Handles of models need none of it: the main worker loads, moves and frees them.
    """

    def __init__(self, environment: Environment) -> None:
        name = str(environment.device)
        usable = name == "cpu" or (name.startswith("cuda") and torch.cuda.is_available())
        self.device = torch.device(name if usable else "cpu")
        self.host = torch.device("cpu")
        self.interrupted = False

    def get_torch_device(self) -> torch.device:
        """Return the device of the session, if the pack's torch can use it."""
        return self.device

    def get_torch_device_name(self, device: Any) -> str:
        """Return a device's name."""
        kind = torch.device(device)
        return torch.cuda.get_device_name(kind) if kind.type == "cuda" else kind.type

    def offload_device(self, *_: Any) -> torch.device:
        """Return where modules wait, and where values on links are: the CPU."""
        return self.host

    def is_half_precise(self, device: Any = None, *_: Any, **__: Any) -> bool:
        """Whether modules compute in 16 bits: on accelerators."""
        return torch.device(self.device if device is None else device).type != "cpu"

    def compute_dtype(self, *_: Any, **named: Any) -> torch.dtype:
        """Return the precision to compute in, the first supported one if that is asked for."""
        half = self.is_half_precise(named.get("device"))
        wanted = torch.float16 if half else torch.float32
        supported = named.get("supported_dtypes") or named.get("allowed_dtypes")
        if supported and wanted not in supported and half:
            return supported[0]  # type: ignore[no-any-return]
        return wanted

    def get_free_memory(self, dev: Any = None, torch_free_too: bool = False) -> Any:
        """Return the free bytes of a device, and of torch's cache if wanted."""
        device = torch.device(self.device if dev is None else dev)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            return (free + cached, cached) if torch_free_too else free + cached
        from nodegraph.core.host_memory import host_memory

        memory = host_memory()
        available = 0 if memory is None else memory.free
        return (available, available) if torch_free_too else available

    def get_total_memory(self, dev: Any = None, torch_total_too: bool = False) -> Any:
        """Return the bytes of a device."""
        device = torch.device(self.device if dev is None else dev)
        if device.type == "cuda":
            total = torch.cuda.mem_get_info(device)[1]
        else:
            from nodegraph.core.host_memory import total_memory

            total = total_memory() or 0
        return (total, total) if torch_total_too else total

    def soft_empty_cache(self, force: bool = False) -> None:
        """Give cached memory of the device back."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def load_models_gpu(self, models: Any, *_: Any, **__: Any) -> None:
        """Move the pack's own modules to the device; handles need no loading."""
        for model in models:
            module = getattr(model, "model", None)
            if isinstance(module, torch.nn.Module):
                module.to(self.device)

    def processing_interrupted(self) -> bool:
        """Whether the run was cancelled."""
        try:
            self.throw_exception_if_processing_interrupted()
        except Cancelled:
            return True
        return False

    def interrupt_current_processing(self, value: bool = True) -> None:
        """Cancel the node that runs, at its next look at it."""
        self.interrupted = value

    def throw_exception_if_processing_interrupted(self) -> None:
        """Raise `Cancelled` if the run was cancelled."""
        if self.interrupted:
            self.interrupted = False
            raise Cancelled("the pack interrupted its node")
        context = current_call.get()
        if context is not None:
            context.check_cancelled(waits=False)


def cast_to_device(tensor: Tensor, device: Any, dtype: Any, copy: bool = False) -> Tensor:
    """Bring a tensor to a device and a precision."""
    return tensor.to(device=device, dtype=dtype, copy=copy)


def cast_to(
    weight: Tensor,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    **_: Any,
) -> Tensor:
    """Bring a tensor to a device and a precision."""
    return weight.to(device=device, dtype=dtype, non_blocking=non_blocking, copy=copy)


def dtype_size(dtype: torch.dtype) -> int:
    """Return the bytes of a value."""
    return dtype.itemsize


def module_size(module: torch.nn.Module) -> int:
    """Return the bytes of a module's weights."""
    return sum(item.nelement() * item.element_size() for item in module.state_dict().values())


def _nothing(*_: Any, **__: Any) -> None:
    """Do nothing: the main worker takes care of it."""


def _no(*_: Any, **__: Any) -> bool:
    return False


_CONSTANT: Mapping[str, Any] = {
    **dict.fromkeys(
        (
            *("unload_all_models", "free_memory", "cleanup_models", "cleanup_models_gc"),
            *("unload_model_clones", "unet_manual_cast", "cleanup_ephemeral"),
        ),
        _nothing,
    ),
    **dict.fromkeys(
        (
            *("is_intel_xpu", "is_directml_enabled", "is_ascend_npu", "is_mlu", "is_amd"),
            *("is_device_mps", "xformers_enabled", "xformers_enabled_vae", "mps_mode"),
            *("force_channels_last", "device_supports_non_blocking", "supports_fp8_compute"),
        ),
        _no,
    ),
    "loaded_models": lambda *_, **__: [],
    "pytorch_attention_enabled": lambda: True,
    "supports_dtype": lambda device, dtype: True,
    "supports_cast": lambda device, dtype: True,
    "cast_to_device": cast_to_device,
    "cast_to": cast_to,
    "dtype_size": dtype_size,
    "module_size": module_size,
    "minimum_inference_memory": lambda: 1 << 30,
    "extra_reserved_memory": lambda: 0,
    "VRAMState": VRAMState,
    "CPUState": CPUState,
    "InterruptProcessingException": Cancelled,
    "OOM_EXCEPTION": torch.cuda.OutOfMemoryError,
    "XFORMERS_IS_AVAILABLE": False,
    "DISABLE_SMART_MEMORY": False,
}
"""Names that are the same on every device."""


def _model_management(environment: Environment) -> dict[str, Any]:
    devices = Devices(environment)
    own = (
        *("get_torch_device", "get_torch_device_name", "get_free_memory", "get_total_memory"),
        *("soft_empty_cache", "load_models_gpu", "processing_interrupted"),
        *("interrupt_current_processing", "throw_exception_if_processing_interrupted"),
    )
    names: dict[str, Any] = {name: getattr(devices, name) for name in own}
    on_device = ("vae_device", "text_encoder_device", "unet_inital_load_device")
    offloaded = (
        *("intermediate_device", "unet_offload_device", "vae_offload_device"),
        "text_encoder_offload_device",
    )
    kind = devices.device.type
    return {
        **names,
        **{name: lambda *_, **__: devices.device for name in on_device},
        **dict.fromkeys(offloaded, devices.offload_device),
        **dict.fromkeys(("unet_dtype", "vae_dtype", "text_encoder_dtype"), devices.compute_dtype),
        **dict.fromkeys(("should_use_fp16", "should_use_bf16"), devices.is_half_precise),
        **_CONSTANT,
        "load_model_gpu": lambda model: devices.load_models_gpu([model]),
        "current_loaded_models": [],
        "is_device_cpu": lambda device: torch.device(device).type == "cpu",
        "is_device_cuda": lambda device: torch.device(device).type == "cuda",
        "is_nvidia": lambda: kind == "cuda",
        "cpu_mode": lambda: kind == "cpu",
        "pytorch_attention_flash_attention": lambda: kind == "cuda",
        "maximum_vram_for_weights": devices.get_free_memory,
        "vram_state": VRAMState.NORMAL_VRAM if kind == "cuda" else VRAMState.DISABLED,
        "cpu_state": CPUState.GPU if kind == "cuda" else CPUState.CPU,
        "total_vram": devices.get_total_memory() // (1 << 20),
        "total_ram": devices.get_total_memory("cpu") // (1 << 20),
    }


class LatentPreviewMethod(Enum):
    """Kind of the previews of a sampling."""

    NoPreviews = "none"
    Auto = "auto"
    Latent2RGB = "latent2rgb"
    TAESD = "taesd"

    @classmethod
    def from_string(cls, value: str) -> LatentPreviewMethod | None:
        """Return the kind of a name; None for others."""
        return next((item for item in cls if item.value == value), None)


def _arguments(environment: Environment) -> Namespace:
    off = (
        *("cpu", "highvram", "normalvram", "lowvram", "novram", "gpu_only"),
        *("force_fp16", "force_fp32", "fp16_vae", "bf16_vae", "fp32_vae", "cpu_vae", "fast"),
        *("fp8_e4m3fn_unet", "fp8_e5m2_unet", "fp16_unet", "bf16_unet", "fp32_unet", "verbose"),
        *("force_upcast_attention", "dont_upcast_attention", "disable_xformers", "multi_user"),
        *("use_split_cross_attention", "use_quad_cross_attention", "use_sage_attention"),
        *("use_pytorch_cross_attention", "use_flash_attention", "disable_smart_memory"),
        *(
            "deterministic",
            "disable_all_custom_nodes",
            "enable_cors_header",
            "windows_standalone_build",
        ),
        *("disable_api_nodes", "disable_auto_launch", "auto_launch", "quick_test_for_ci"),
    )
    values: dict[str, Any] = dict.fromkeys(off, False)
    return Namespace(
        **values,
        # Packs that save images themselves write workflow and prompts unless it is set.
        disable_metadata=environment.metadata != "full" or not environment.metadata_prompts,
        preview_method=LatentPreviewMethod.Auto,
        preview_size=512,
        listen="127.0.0.1",
        port=8188,
        base_directory=None,
        output_directory=str(environment.outputs),
        input_directory=str(environment.inputs),
        temp_directory=str(environment.temporary),
        reserve_vram=None,
        cuda_device=None,
        directml=None,
        default_device=None,
        max_upload_size=100,
        cache_lru=0,
        cache_none=False,
        front_end_version="",
    )


def modules(environment: Environment, pack: Path | None) -> dict[str, dict[str, Any]]:
    """The names of modules for devices and options."""
    return {
        "comfy.model_management": _model_management(environment),
        "comfy.cli_args": {
            "args": _arguments(environment),
            "LatentPreviewMethod": LatentPreviewMethod,
            "enables_dynamic_vram": _no,
        },
        "comfy.options": {"args_parsing": False, "enable_args_parsing": _nothing},
    }

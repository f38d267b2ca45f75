"""Which arithmetic a computation runs in."""

from typing import Any

import torch

from genzoo.errors import InvalidConfig
from genzoo.images import is_image


def native_bf16(device: torch.device) -> bool:
    """Whether the processor or GPU computes in bfloat16 natively (AVX512-BF16 or AMX; compute capability 8)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # oneDNN says yes to any AVX512


def allows_bf16(role: object, model: Any) -> bool:
    """Whether a trainer or sampler says ``low_precision`` and works on images: coordinates need their digits."""
    return bool(getattr(role, "low_precision", False)) and is_image(model.shape)


def choose_precision(asked: str, allowed: bool, device: torch.device) -> str:
    """``auto`` is bf16 where the hardware has it natively and the arithmetic allows it, else float32."""
    if asked == "auto":
        return "bf16" if allowed and native_bf16(device) else "float32"
    if asked == "bf16" and not allowed:
        raise InvalidConfig("precision bf16 is too coarse for this trainer or for points: use 'auto' or 'float32'")
    return asked


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which that arithmetic happens."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")

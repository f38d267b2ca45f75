"""bfloat16 where hardware and arithmetic allow it, float32 everywhere else."""

from types import SimpleNamespace

import pytest
import torch

from genzoo.errors import InvalidConfig
from genzoo.precision import allows_bf16, autocast, choose_precision, native_bf16

CPU = torch.device("cpu")
IMAGE, POINT = SimpleNamespace(shape=(1, 8, 8)), SimpleNamespace(shape=(2,))
SOUND, COARSE = SimpleNamespace(), SimpleNamespace(low_precision=True)


@pytest.fixture(params=[True, False])
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param)
    return request.param


@pytest.mark.parametrize(
    ("role", "model", "allowed"),
    [(COARSE, IMAGE, True), (COARSE, POINT, False), (SOUND, IMAGE, False), (SOUND, POINT, False)],
)
def test_only_who_says_so_may_run_in_bf16_and_only_on_images(role: object, model: object, allowed: bool) -> None:
    assert allows_bf16(role, model) is allowed


def test_auto_is_bf16_where_hardware_and_arithmetic_allow_it(native: bool) -> None:
    assert native_bf16(CPU) is native
    assert choose_precision("auto", True, CPU) == ("bf16" if native else "float32")
    assert choose_precision("auto", False, CPU) == "float32"


def test_bf16_is_never_a_default_on_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_precision("auto", True, torch.device("mps")) == "float32"


@pytest.mark.parametrize("allowed", [True, False])
def test_float32_is_what_it_says(allowed: bool) -> None:
    assert choose_precision("float32", allowed, CPU) == "float32"


def test_bf16_can_be_asked_for_without_native_hardware_but_not_against_the_arithmetic(native: bool) -> None:
    assert choose_precision("bf16", True, CPU) == "bf16"
    with pytest.raises(InvalidConfig, match="precision bf16 is too coarse for this trainer or for points: use 'auto'"):
        choose_precision("bf16", False, CPU)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("float32", torch.float32)])
def test_the_network_computes_in_it(precision: str, dtype: torch.dtype) -> None:
    with autocast(precision, CPU):
        assert torch.nn.Linear(4, 4)(torch.zeros(1, 4)).dtype is dtype
    assert torch.nn.Linear(4, 4)(torch.zeros(1, 4)).dtype is torch.float32

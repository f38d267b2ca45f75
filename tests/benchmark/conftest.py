"""A made-up results folder: every family, both reference rows, a failed run and a plugin with a hostile name."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from genzoo.data.points import density
from genzoo.evaluation.parts import Better, Likelihood, Metric, measured
from genzoo.evaluation.record import Content, Record, seal, write_record
from genzoo.images import grid

HOSTILE = "<script>alert(1)</script>"
Parts = dict[str, Any]


def metric(value: float, better: Better, se: float | None = None, **rest: Any) -> Metric:
    return measured(value, better, "made up", se=se, **rest)


def image_metrics(fd: float) -> dict[str, Metric]:
    quality = math.exp(-fd / 4)
    return {
        "fd": metric(fd + 0.4, "lower", 0.05 * fd + 0.02),
        "fd_debiased": metric(fd, "lower", 0.06 * fd + 0.02, expected=0.0),
        "kid": metric(fd / 900, "lower", fd / 9000),
        "precision": metric(0.2 + 0.7 * quality, "higher", interval=(0.18 + 0.7 * quality, 0.22 + 0.7 * quality)),
        "recall": metric(0.1 + 0.8 * quality**0.5, "higher"),
        "density": metric(1.05 * quality, "higher"),
        "coverage": metric(0.95 * quality, "higher", expected=0.969),
        "precision_k3": metric(0.1 + 0.7 * quality, "higher"),
        "vendi": metric(9.0 * quality, "higher", expected=9.4),
        "class_distance": metric(0.02 + 0.3 * (1 - quality), "lower"),
        "fd_train": metric(fd + 0.3, "lower"),
        "fd_gap": metric(0.1, "lower", 0.02),
        "auth_pct": metric(0.6, "higher"),
        "copy_rate": metric(0.011, "lower", expected=0.01),
        "exact_duplicates": metric(0, "lower", expected=0),
    }


def seen_beside(fd: float) -> Parts:
    """The same images in the eyes of a second extractor."""
    second = {"name": "rand28", "hash": "99ee88dd7766", "literature_comparable": False}
    return {"extractor": second, "metrics": {"fd_debiased": metric(2 * fd, "lower", 0.1 * fd)}}


def point_metrics(mmd2: float, modes: int) -> dict[str, Metric]:
    return {
        "mmd2": metric(mmd2, "lower", 0.08 * abs(mmd2) + 1e-5),
        "modes_covered": metric(modes, "higher", expected=8),
        "good_points": metric(0.99 * math.exp(-9 * max(mmd2, 0)), "higher", expected=0.99),
        "mode_tv": metric(0.02 + mmd2, "lower"),
        "sliced_w2": metric(0.02 + 4 * max(mmd2, 0), "lower", expected=0.018),
    }


DATA = {
    "digits": {"name": "digits", "fingerprint": "d1", "split": "test", "n": 500, "shape": [1, 8, 8], "levels": 17},
    "8gaussians": {"name": "8gaussians", "fingerprint": "g8", "split": "test", "n": 2000, "shape": [2], "levels": None},
}

UNITS: dict[str, Literal["bits/dim", "nats"]] = {"digits": "bits/dim", "8gaussians": "nats"}


def make_record(model: str, sampler: str, data: str = "digits", score: float = 1.0, **changes: Any) -> Record:
    """A complete record; ``changes`` replaces parts by their path, as ``sampling__options={...}``."""
    points = data == "8gaussians"
    record: Parts = {
        "status": "ok",
        "reason": None,
        "role": "model",
        "code": {"version": "0.1.0", "git": "0123abc"},
        "environment": {"python": "3.11.2", "torch": "2.14.1", "diffusers": "0.42.1", "cpu": "a processor", "gpu": None,
                        "threads": 2, "precision": "float32"},
        "model": {
            "name": model,
            "plugin": model,
            "plugin_version": "0.1.0",
            "options": {"width": 64},
            "parameters": {"generator": 184_321, "total": 200_000, "training": 240_000},
            "checkpoint": hashlib.sha256(model.encode()).hexdigest(),
            "seed": 0,
        },
        "training": {"trainer": "default", "options": {}, "budget": "30s", "batch_size": 64, "images_seen": 40_000,
                     "steps": 625, "seconds": 30.2, "flops": 3e12, "peak_memory_mb": 800.0, "precision": "float32"},
        "data": dict(DATA[data]),
        "sampling": {"sampler": sampler, "options": {}, "n": DATA[data]["n"], "seed": 0, "calls_per_sample": 1.0,
                     "flops_per_sample": 2e6, "seconds": 0.4, "peak_memory_mb": 350.0, "num_not_finite": 0,
                     "sha256": "cd" * 32},
        "extractor": None if points else {"name": "cnn8", "hash": "1a2b3c4d5e6f", "literature_comparable": False},
        "protocol": "genzoo-eval/1",
        "metrics": point_metrics(score, 8) if points else image_metrics(score),
        "beside": None if points else seen_beside(score),
        "likelihood": (Likelihood(value=None, unit=UNITS[data], kind="none", reason="a GAN has none"),),
        "warnings": [] if points else ["low_n: the test split has only 500 images"],
    }  # fmt: skip
    for path, value in changes.items():
        *parents, last = path.split("__")
        part = record
        for key in parents:
            part = part[key]
        part[last] = value
    return seal(Content.model_validate(record))


def zoo_records(data: str) -> list[Record]:
    """What a suite of every family leaves on one data set."""
    scale = 0.006 if data == "8gaussians" else 1.0

    def one(model: str, sampler: str, score: float, calls: float, seconds: float, **changes: Any) -> Record:
        costs = {
            "sampling__calls_per_sample": calls,
            "sampling__flops_per_sample": 2e6 * calls,
            "sampling__seconds": seconds,
        }
        return make_record(model, sampler, data, scale * score, **costs, **changes)

    def likelihood(value: float, kind: str) -> tuple[Likelihood, ...]:
        return (Likelihood(value=value, unit=UNITS[data], kind=kind, se=0.02, n=256, calls=1),)

    none = {
        "training": None,
        "model__parameters": None,
        "sampling__calls_per_sample": None,
        "sampling__flops_per_sample": None,
    }
    return [
        make_record("train-vs-test", "", data, 0.05 * scale, role="ceiling", **none),
        make_record("gaussian", "", data, 9.0 * scale, role="floor", **none),
        one("ddpm", "ddim", 1.9, 10, 2, sampling__options={"num_steps": 10}, likelihood=likelihood(3.1, "lower bound")),
        one("ddpm", "ddim", 0.8, 50, 9, sampling__options={"num_steps": 50}, likelihood=likelihood(3.1, "lower bound")),
        one("ddpm", "ddpm", 0.75, 1000, 170, likelihood=likelihood(3.1, "lower bound")),
        one("vae", "decode", 3.2, 1, 0.2, likelihood=likelihood(3.6, "lower bound")),
        one("gan", "decode", 2.1, 1, 0.15, sampling__num_not_finite=3),
        one("realnvp", "decode", 2.9, 1, 0.5, likelihood=likelihood(3.4, "exact")),
        one("ebm", "langevin", 4.5, 60, 12, sampling__options={"num_steps": 60, "step_size": 0.1}),
        one(HOSTILE, f"</script>{HOSTILE}", 6.0, 3, 1, model__options={HOSTILE: f'"{HOSTILE}|\n*'}, warnings=[HOSTILE]),
        make_record("broken", "decode", data, status="failed", metrics={}, extractor=None, likelihood=(),
                    reason=f"loss 'critic' is nan at step 412 {HOSTILE}"),
    ]  # fmt: skip


def seeded(model: str, sampler: str, *scores: float, **changes: Any) -> list[Record]:
    """One record a training seed; each is sampled with its own seed too, as a suite does."""
    return [
        make_record(model, sampler, score=score, **{"model__seed": seed, "sampling__seed": seed, **changes})
        for seed, score in enumerate(scores)
    ]


def draw_digits(n: int, blur: float, seed: int) -> torch.Tensor:
    """uint8 [n, 8, 8, 1]: legible numerals under noise."""
    noise = np.random.default_rng(seed)
    images = np.zeros((n, 8, 8, 1))
    for i in range(n):
        sheet = Image.new("L", (8, 12))
        ImageDraw.Draw(sheet).text((1, 0), str(i % 10), fill=255)
        images[i, ..., 0] = np.asarray(sheet)[2:10]
    return torch.from_numpy((images + blur * 30 * noise.standard_normal(images.shape)).clip(0, 255).astype(np.uint8))


def draw_points(n: int, blur: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return density("8gaussians").sample(n, generator) + blur * 0.05 * torch.randn(n, 2, generator=generator)


def write_entry(out: Path, train_id: str, sample_id: str, record: Record, seed: int = 0) -> Path:
    """One sample set with its files, as a run leaves them."""
    folder = out / train_id / "samples" / sample_id
    folder.mkdir(parents=True)
    write_record(folder / "record.json", record)
    (out / train_id / "config.yaml").write_text("model: made-up\n")
    if record.status != "ok":
        return folder
    if record.data.name == "8gaussians":
        points = draw_points(1000, 160 * (record.metrics["mmd2"].value or 0), seed)
        np.savez(folder / "samples.npz", arr_0=points.numpy())
    else:
        images = draw_digits(64, record.metrics["fd_debiased"].value or 0, seed)
        np.savez(folder / "samples.npz", arr_0=images.numpy())
        grid(images).save(folder / "samples.png")
    if record.role == "model":
        (out / train_id / "model.safetensors").write_bytes(b"weights")
        write_log(out / train_id / "log.jsonl", ["critic", HOSTILE] if record.model.name == "gan" else ["loss"])
    return folder


def write_log(path: Path, names: list[str]) -> None:
    lines = [
        {"step": 6 * i, "images": 400 * i, "seconds": 0.3 * i, "images_per_second": 1300.0,
         "loss": {name: math.exp(-i / 20) + 0.05 * math.sin(i + j) for j, name in enumerate(names)}}
        for i in range(100)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def records() -> Callable[..., Record]:
    """:func:`make_record`."""
    return make_record


@pytest.fixture
def seeds() -> Callable[..., list[Record]]:
    """:func:`seeded`."""
    return seeded


@pytest.fixture
def write() -> Callable[..., Path]:
    """:func:`write_entry`."""
    return write_entry


@pytest.fixture
def hostile() -> str:
    """A name that would run as a script wherever it is not escaped."""
    return HOSTILE


@pytest.fixture
def zoo() -> Callable[[str], list[Record]]:
    """:func:`zoo_records`."""
    return zoo_records


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with both data sets, and a run that was cut off."""
    out = tmp_path_factory.mktemp("zoo")
    for data in DATA:
        for i, record in enumerate(zoo_records(data)):
            train_id = f"{data}-{record.model.name if record.model.name != HOSTILE else 'hostile'}"
            write_entry(out, train_id, f"s{i}", record, seed=i)
    (out / "cut-off").mkdir()
    (out / "cut-off" / "config.yaml").write_text("model: vae\n")
    return out

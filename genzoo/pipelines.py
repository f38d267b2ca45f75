"""Folders as diffusers writes them: opened without running or unpickling anything in them, sampled, counted."""

import hashlib
import inspect
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from genzoo.errors import InvalidOption, InvalidSamples, SamplingFailed
from genzoo.evaluation.parts import ModelPart, Parameters
from genzoo.flops import count_flops
from genzoo.memory import PeakMemory
from genzoo.options import suggest
from genzoo.processes import this_process
from genzoo.sampling import Samples

INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers", None)
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack")
BATCH = 32


def is_pipeline(path: Path) -> bool:
    """Whether ``path`` is a folder that diffusers wrote."""
    return (path / INDEX).is_file()


@dataclass(frozen=True)
class Pipeline:
    """An unconditional pipeline: its callable, the networks in it and what it is called."""

    folder: Path
    call: Any

    @classmethod
    def open(cls, folder: Path) -> "Pipeline":
        """Raises :class:`InvalidSamples` where it is damaged, holds code or pickled weights, or needs a prompt."""
        _check_components(folder)
        _check_weights(folder)
        try:
            pipeline = _load(folder)
        except Exception as error:  # whatever diffusers makes of files that it did not write
            raise InvalidSamples(f"{folder} cannot be opened by diffusers: {' '.join(str(error).split())}") from error
        pipeline.to(this_process().device).set_progress_bar_config(disable=True)
        _check_unconditional(folder, pipeline)
        return cls(folder, pipeline)

    @property
    def sampler(self) -> str:
        """The class of its scheduler, or its own."""
        return type(getattr(self.call, "scheduler", self.call)).__name__

    @property
    def networks(self) -> list[nn.Module]:
        return [part for part in self.call.components.values() if isinstance(part, nn.Module)]

    @property
    def num_parameters(self) -> int:
        """Of all its networks."""
        return sum(p.numel() for network in self.networks for p in network.parameters())

    def options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """``asked``, and the number of steps if nobody asked for one; raises :class:`InvalidOption`."""
        known = inspect.signature(self.call.__call__).parameters
        plain = {name: p.default for name, p in known.items() if isinstance(p.default, int | float)}
        own = {"batch_size", "return_dict"}
        for name in asked:
            if name not in plain or name in own:
                allowed = sorted(plain.keys() - own)
                raise InvalidOption(f"{self.folder.absolute().name} has no option {name!r}{suggest(name, allowed)}")
        steps = {name: plain[name] for name in ("num_inference_steps",) if name in plain}
        return {**steps, **asked}

    def part(self) -> ModelPart:
        """As the record names it: ``checkpoint`` is the sha256 of its weights files."""
        total = self.num_parameters
        return ModelPart(
            name=self.folder.absolute().name,
            plugin="diffusers",
            plugin_version=self.call.config.get("_diffusers_version"),
            options={"pipeline": type(self.call).__name__},
            parameters=Parameters(generator=total, total=total, training=total),
            checkpoint=_sha256(self.folder),
            seed=None,
        )

    def draw(self, n: int, seed: int, options: Mapping[str, Any]) -> Samples:
        """``n`` images in [-1, 1], [n, c, h, w], all randomness from one generator, and what they cost.

        Network calls are counted as they are made, floating-point operations in one more image afterwards.
        """
        device = self.call.device
        generator, parts = Generator(device).manual_seed(seed), []
        memory, started = PeakMemory(device), time.perf_counter()
        with _rows_through(self.networks) as rows:
            for first in tqdm(range(0, n, BATCH), desc=f"drawing with {self.sampler}", disable=None):
                parts.append(self._batch(min(BATCH, n - first), generator, options))
        seconds, peak = time.perf_counter() - started, memory.megabytes()
        with count_flops() as counted:
            self._batch(1, generator, options)
        x = torch.cat(parts)
        num_not_finite = int((~x.flatten(1).isfinite().all(1)).sum())
        return Samples(
            x,
            rows[0] / n,
            seconds,
            num_not_finite,
            self.num_parameters,
            flops_per_sample=counted.total,
            peak_memory_mb=peak,
        )

    def _batch(self, size: int, generator: Generator, options: Mapping[str, Any]) -> Tensor:
        try:
            images = self.call(batch_size=size, generator=generator, output_type="np", **options).images
        except Exception as error:  # a network and a scheduler that do not go together
            raise SamplingFailed(f"{self.folder} cannot draw: {' '.join(str(error).split())}") from error
        return torch.as_tensor(images).permute(0, 3, 1, 2).float() * 2 - 1


def _load(folder: Path) -> Any:
    """The pipeline, from files of tensors alone; diffusers' own progress bar is left as it was."""
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return DiffusionPipeline.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _rows_through(networks: list[nn.Module]) -> Iterator[list[int]]:
    """Counts the rows that are passed through the networks."""
    rows = [0]

    def note(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        tensors = [value for value in (*arguments, *named.values()) if isinstance(value, Tensor)]
        rows[0] += len(tensors[0]) if tensors and tensors[0].dim() else 0

    hooks = [network.register_forward_pre_hook(note, with_kwargs=True) for network in networks]
    try:
        yield rows
    finally:
        for hook in hooks:
            hook.remove()


def _check_components(folder: Path) -> None:
    """Nothing in the folder is code that would be run."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        named = {key: value[0] for key, value in index.items() if isinstance(value, list) and value}
        if "_class_name" not in index:
            raise ValueError("no pipeline is named")
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidSamples(f"{folder / INDEX} cannot be read: save the pipeline again") from error
    foreign = [f"{key} of {library}" for key, library in named.items() if library not in LIBRARIES]
    if foreign:
        raise InvalidSamples(
            f"{folder} needs code that is not of diffusers ({', '.join(foreign)}): nothing of it is run"
        )


def _check_weights(folder: Path) -> None:
    """Every component with pickled weights has them as safetensors as well, which are the ones that are read."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in PICKLED and not any(path.parent.glob("*.safetensors")):
            raise InvalidSamples(
                f"{path} may hold a pickle, which can run anything: save the pipeline with safe_serialization=True"
            )


def _check_unconditional(folder: Path, pipeline: Any) -> None:
    parameters = inspect.signature(pipeline.__call__).parameters
    needed = [name for name, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if needed or "batch_size" not in parameters or "prompt" in parameters:
        told = ", ".join(needed) or "a prompt or an image"
        raise InvalidSamples(
            f"{folder} is a {type(pipeline).__name__}, which needs {told}: draw from it yourself and give the images"
        )


def _sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()

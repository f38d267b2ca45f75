"""Folders that diffusers wrote: sampled, counted, and refused where they would run or unpickle something."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from genzoo.errors import InvalidOption, InvalidSamples, SamplingFailed
from genzoo.pipelines import BATCH, INDEX, Pipeline, is_pipeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of hardly any weights, with noise for weights, that makes 1x8x8 images."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    folder = tmp_path_factory.mktemp("pipelines") / "mine"
    DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=20)).save_pretrained(folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """One to be spoilt."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    index = json.loads((folder / INDEX).read_text())
    change(index)
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def test_a_pipeline_is_known_by_its_index(saved: Path) -> None:
    assert is_pipeline(saved) and not is_pipeline(saved / "unet") and not is_pipeline(saved / "nowhere")


def test_images_are_drawn_in_batches_and_the_seed_decides(saved: Path) -> None:
    pipeline = Pipeline.open(saved)
    options = pipeline.options({"num_inference_steps": 2})
    samples = pipeline.draw(BATCH + 3, 0, options)
    assert samples.x.shape == (BATCH + 3, 1, 8, 8) and samples.x.abs().max() <= 1
    assert torch.equal(samples.x, pipeline.draw(BATCH + 3, 0, options).x)
    assert not torch.equal(samples.x, pipeline.draw(BATCH + 3, 1, options).x)
    assert not torch.equal(samples.x[:3], samples.x[BATCH:])  # one generator goes on from batch to batch


def test_what_it_costs_is_counted_at_the_network(saved: Path) -> None:
    pipeline = Pipeline.open(saved)
    samples = pipeline.draw(5, 0, {"num_inference_steps": 4})
    unet = pipeline.call.unet
    assert samples.calls_per_sample == 4 and samples.seconds > 0
    half = pipeline.draw(5, 0, {"num_inference_steps": 2})
    assert samples.flops_per_sample == 2 * half.flops_per_sample > 0
    assert samples.parameters == sum(p.numel() for p in unet.parameters()) == pipeline.part().parameters.total
    assert not unet._forward_pre_hooks


def test_the_record_names_scheduler_class_and_weights(saved: Path, copy: Path) -> None:
    pipeline = Pipeline.open(saved)
    assert pipeline.sampler == "DDPMScheduler"
    part = pipeline.part()
    assert (part.name, part.plugin, part.options) == ("mine", "diffusers", {"pipeline": "DDPMPipeline"})
    assert part.checkpoint == Pipeline.open(copy).part().checkpoint
    weights = next(copy.rglob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert part.checkpoint != Pipeline.open(copy).part().checkpoint


def test_options_are_the_pipeline_s_own(saved: Path) -> None:
    pipeline = Pipeline.open(saved)
    assert pipeline.options({}) == {"num_inference_steps": 1000}
    assert pipeline.options({"num_inference_steps": 7}) == {"num_inference_steps": 7}
    for name in ("num_inference_step", "batch_size", "output_type", "generator"):
        with pytest.raises(InvalidOption, match=rf"mine has no option '{name}'.*\(allowed: num_inference_steps\)"):
            pipeline.options({name: 1})


def test_pickled_weights_are_refused_unless_they_are_there_as_safetensors_too(copy: Path) -> None:
    weights = next(copy.rglob("*.safetensors"))
    pickled = weights.with_suffix(".bin")
    pickled.write_bytes(b"whatever")
    assert Pipeline.open(copy).sampler == "DDPMScheduler"
    weights.unlink()
    with pytest.raises(InvalidSamples, match=r"diffusion_pytorch_model.bin may hold a pickle.*safe_serialization=True"):
        Pipeline.open(copy)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda index: index.update(unet=["my_code", "Net"]), "unet of my_code"),
        (lambda index: index.update(_class_name=["pipeline", "Mine"]), "_class_name of pipeline"),
    ],
)
def test_code_in_the_folder_is_never_run(copy: Path, change: Callable[[dict[str, Any]], object], told: str) -> None:
    for name in ("my_code.py", "pipeline.py", "unet/my_code.py"):
        (copy / name).write_text("raise SystemExit('it ran')")
    with pytest.raises(InvalidSamples, match=f"needs code that is not of diffusers .*{told}.*nothing of it is run"):
        Pipeline.open(edited(copy, change))


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00"])
def test_a_damaged_index_is_refused(copy: Path, content: str) -> None:
    (copy / INDEX).write_text(content)
    with pytest.raises(InvalidSamples, match=r"model_index\.json cannot be read: save the pipeline again"):
        Pipeline.open(copy)


def test_what_diffusers_cannot_open_is_told_in_one_line(copy: Path) -> None:
    weights = next(copy.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InvalidSamples, match="copy cannot be opened by diffusers: ") as caught:
        Pipeline.open(copy)
    assert "\n" not in str(caught.value)


def test_a_pipeline_that_needs_more_than_a_number_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import DDPMPipeline

    def call(self: Any, prompt: str, batch_size: int = 1) -> None: ...

    monkeypatch.setattr(DDPMPipeline, "__call__", call)
    with pytest.raises(InvalidSamples, match="is a DDPMPipeline, which needs prompt: draw from it yourself"):
        Pipeline.open(saved)


def test_a_network_that_cannot_draw_is_told_in_one_line(saved: Path) -> None:
    pipeline = Pipeline.open(saved)
    pipeline.call.unet.conv_in = torch.nn.Conv2d(3, 8, 3)
    with pytest.raises(SamplingFailed, match="mine cannot draw: ") as caught:
        pipeline.draw(2, 0, {"num_inference_steps": 1})
    assert "\n" not in str(caught.value) and caught.value.status == 1

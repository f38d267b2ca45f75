"""diffusers' UNet2DModel with the settings of its own training example for unconditional images, scaled to 28 x 28.

Channels (32, 64, 96), one layer a block, attention at the coarsest scale (1.8 million parameters); AdamW 1e-4 with
betas (0.95, 0.999) and weight decay 1e-6, cosine decay after 500 steps of warm-up, batches of 16, gradients clipped to
1, no moving average. ``--objective ddpm`` predicts noise in the linear schedule of 1,000 steps and is drawn by DDIM;
``--objective flow`` is the same by flow matching, and Euler's method.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMScheduler, FlowMatchEulerDiscreteScheduler, UNet2DModel
from timed import SIDE, asked, count, draw, images, train, write
from torch import Tensor, nn
from torch.optim import AdamW

BATCH, WARM_UP, STEPS = 16, 500, 1000
Loss = Callable[[UNet2DModel, Tensor], Tensor]


def net() -> UNet2DModel:
    """Blocks as in the example, fewer and narrower."""
    return UNet2DModel(
        sample_size=SIDE,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )


def ddpm(unet: UNet2DModel, x: Tensor) -> Tensor:
    """The squared error of the noise."""
    noise, t = torch.randn_like(x), torch.randint(STEPS, (len(x),))
    return F.mse_loss(unet(SCHEDULE.add_noise(x, noise, t), t).sample, noise)


def flow(unet: UNet2DModel, x: Tensor) -> Tensor:
    """The squared error of the velocity from data to noise."""
    noise, sigma = torch.randn_like(x), torch.rand(len(x), 1, 1, 1)
    return F.mse_loss(unet(torch.lerp(x, noise, sigma), STEPS * sigma.flatten()).sample, noise - x)


SCHEDULE = DDPMScheduler(num_train_timesteps=STEPS, beta_schedule="linear")
OBJECTIVES: dict[str, tuple[Loss, str, Callable[[], DDIMScheduler | FlowMatchEulerDiscreteScheduler]]] = {
    "ddpm": (ddpm, "DDIM", lambda: DDIMScheduler.from_config(SCHEDULE.config)),
    "flow": (flow, "Euler", lambda: FlowMatchEulerDiscreteScheduler(num_train_timesteps=STEPS)),
}


def rate(step: int, fraction: float) -> float:
    """The example's cosine with warm-up, its length being the seconds that there are."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * fraction))


def main() -> None:
    """Train, draw, write."""
    known, chosen = asked(__doc__, objective=tuple(OBJECTIVES))
    loss, sampler, make_scheduler = OBJECTIVES[chosen["objective"]]
    unet = net()
    optimizer = AdamW(unet.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)
    taken = 0

    def step(batch: Tensor, fraction: float) -> None:
        nonlocal taken
        optimizer.param_groups[0]["lr"] = 1e-4 * rate(taken, fraction)
        loss(unet, batch / 127.5 - 1).backward()
        nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        taken += 1

    def sample(n: int) -> Tensor:
        scheduler = make_scheduler()
        scheduler.set_timesteps(known.calls)
        x = torch.randn(n, 1, SIDE, SIDE)
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t).sample, t, x).prev_sample
        return (x + 1) / 2

    spent = train(step, images(), BATCH, known.seconds)
    unet.eval()
    samples, seconds = draw(sample, known.samples, 250)
    write(
        known,
        samples,
        spent,
        package="diffusers",
        peer=f"diffusers UNet2DModel, {chosen['objective']}",
        recipe="training example: AdamW 1e-4 (0.95, 0.999), weight decay 1e-6, cosine, 500 warm-up steps, no EMA",
        batch_size=BATCH,
        precision="float32",
        parameters={"sampling": count(unet), "training": count(unet)},
        sampler=f"{sampler} {known.calls}",
        calls_per_sample=known.calls,
        sampling_seconds=seconds,
    )


if __name__ == "__main__":
    main()

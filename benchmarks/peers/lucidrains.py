"""lucidrains' denoising-diffusion-pytorch with the settings of its README, the net scaled to 28 x 28.

Unet of 28 channels over three scales (two million parameters), v-prediction, sigmoid schedule of 1,000 steps, Adam 8e-5
with betas (0.9, 0.99), two batches of 32 a step, gradients clipped to 1, moving average 0.995 every 10 steps, DDIM.
Images are not mirrored, which its trainer would do: half of the shoes would point the wrong way.
"""

import torch
from denoising_diffusion_pytorch import GaussianDiffusion, Unet
from ema_pytorch import EMA
from timed import SIDE, asked, count, draw, images, train, write
from torch import Tensor, nn
from torch.optim import Adam

BATCH, ACCUMULATED = 32, 2


def main() -> None:
    """Train, draw, write."""
    known, _ = asked(__doc__)
    unet = Unet(dim=28, dim_mults=(1, 2, 4), channels=1, flash_attn=False)
    diffusion = GaussianDiffusion(unet, image_size=SIDE, timesteps=1000, sampling_timesteps=known.calls)
    optimizer = Adam(diffusion.parameters(), lr=8e-5, betas=(0.9, 0.99))
    ema = EMA(diffusion, beta=0.995, update_every=10)

    def step(batch: Tensor, fraction: float) -> None:
        for part in (batch / 255).split(BATCH):
            (diffusion(part) / ACCUMULATED).backward()
        nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ema.update()

    def sample(n: int) -> Tensor:
        with torch.inference_mode():
            return ema.ema_model.sample(batch_size=n)

    spent = train(step, images(), BATCH * ACCUMULATED, known.seconds)
    ema.ema_model.eval()
    samples, seconds = draw(sample, known.samples, 250)
    write(
        known,
        samples,
        spent,
        package="denoising-diffusion-pytorch",
        peer="lucidrains DDPM",
        recipe="README: v-prediction, sigmoid schedule, Adam 8e-5 (0.9, 0.99), clip 1, EMA 0.995; no mirroring",
        batch_size=BATCH * ACCUMULATED,
        precision="float32",
        parameters={"sampling": count(unet), "training": count(unet)},
        sampler=f"DDIM {known.calls}",
        calls_per_sample=known.calls,
        sampling_seconds=seconds,
    )


if __name__ == "__main__":
    main()

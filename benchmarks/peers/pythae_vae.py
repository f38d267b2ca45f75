"""pythae's VAE with the settings of its README.

10 latents, AdamW 1e-3 with betas (0.91, 0.995) and weight decay 0.05, batches of 200, squared error; the learning rate
would be halved after five epochs without progress, which these seconds do not reach. ``--nets conv`` are its
convolutional nets for MNIST, ``--nets mlp`` its default ones. Drawn by its own sampler from the prior.
"""

import torch
from pythae.models import VAE, VAEConfig
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
from pythae.samplers import NormalSampler
from timed import SIDE, asked, count, draw, images, train, write
from torch import Tensor
from torch.optim import AdamW

BATCH = 200


def model(nets: str) -> VAE:
    """pythae's VAE, with its default nets or the convolutional ones."""
    config = VAEConfig(input_dim=(1, SIDE, SIDE), latent_dim=10)
    if nets == "mlp":
        return VAE(config)
    return VAE(config, encoder=Encoder_Conv_VAE_MNIST(config), decoder=Decoder_Conv_AE_MNIST(config))


def main() -> None:
    """Train, draw, write."""
    known, chosen = asked(__doc__, nets=("conv", "mlp"))
    vae = model(chosen["nets"])
    optimizer = AdamW(vae.parameters(), lr=1e-3, betas=(0.91, 0.995), weight_decay=0.05)

    def step(batch: Tensor, fraction: float) -> None:
        optimizer.zero_grad()
        vae({"data": batch / 255}).loss.backward()
        optimizer.step()

    def sample(n: int) -> Tensor:
        return sampler.sample(num_samples=n, batch_size=n, return_gen=True).view(n, 1, SIDE, SIDE)

    spent = train(step, images(), BATCH, known.seconds)
    vae.device = torch.device("cpu")
    sampler = NormalSampler(vae.eval())
    samples, seconds = draw(sample, known.samples, 500)
    write(
        known,
        samples,
        spent,
        package="pythae",
        peer=f"pythae VAE, {chosen['nets']}",
        recipe="README: 10 latents, AdamW 1e-3 (0.91, 0.995), weight decay 0.05, squared error",
        batch_size=BATCH,
        precision="float32",
        parameters={"sampling": count(vae.decoder), "training": count(vae)},
        sampler="NormalSampler",
        calls_per_sample=1,
        sampling_seconds=seconds,
    )


if __name__ == "__main__":
    main()

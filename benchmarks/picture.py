"""docs/SUITE.png: real examples and each family's samples side by side, from the committed pictures.

python benchmarks/picture.py [SUITE ...]
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from genzoo.benchmark.table import build
from genzoo.evaluation import read_record

ROOT = Path(__file__).parent.parent
SIDE, PAD, HEAD = 280, 16, 34


@dataclass(frozen=True)
class Line:
    """A line of pictures: the data set, and the models with their titles."""

    data: str
    titles: dict[str, str]


QUICK = {
    "train-vs-test": "data",
    "vae": "VAE",
    "sngan": "GAN",
    "realnvp": "flow",
    "ebm": "energy",
    "ddpm": "diffusion",
}
REAL = {"train-vs-test": "data", "sngan": "SNGAN", "ddpm": "DDPM", "flow-matching": "flow matching", "vdvae": "VDVAE"}
REST = {
    "multiscale-pixelcnn": "PixelCNN",
    "energy-matching": "energy matching",
    "ebm": "contrastive divergence",
    "realnvp": "RealNVP",
    "gaussian": "a Gaussian",
}
PLANE = {
    "train-vs-test": "data",
    "spline-flow": "spline flow",
    "ebm": "energy",
    "flow-matching": "flow matching",
    "ddpm": "DDPM",
    "vae": "VAE",
    "dcgan": "GAN",
}
LAWS = ("8gaussians", "25gaussians", "rings", "moons", "checkerboard", "spirals")
SHEETS = {
    "points": tuple(Line(law, PLANE) for law in LAWS),
    "quickstart": (Line("digits", QUICK), Line("8gaussians", QUICK)),
    "fashion-mnist": (Line("fashion-mnist", REAL), Line("fashion-mnist", REST)),
}


def pictures(suite: str, data: str) -> dict[str, Path]:
    """The picture of each model's best sampling on a data set."""
    paths = sorted((ROOT / "benchmarks" / "results" / suite).glob("*/samples/*/record.json"))
    records = {path.with_name("samples.png"): read_record(path) for path in paths}
    found: dict[str, Path] = {}
    for table in build(records.values()):
        for row in table.rows:
            if row.record.data.name == data and row.record.status == "ok":
                picture = next(path for path, record in records.items() if record is row.record)
                found.setdefault(row.record.model.name, picture)
    return found


def sheet(suite: str) -> Image.Image:
    """The lines of a suite, a title above every picture."""
    lines = SHEETS[suite]
    columns = max(len(line.titles) for line in lines)
    drawn = Image.new("RGB", (columns * (SIDE + PAD) + PAD, len(lines) * (SIDE + PAD + HEAD)), "white")
    draw, font = ImageDraw.Draw(drawn), ImageFont.load_default(20)
    for i, line in enumerate(lines):
        found, top = pictures(suite, line.data), i * (SIDE + PAD + HEAD)
        for column, (name, title) in enumerate(line.titles.items()):
            left = PAD + column * (SIDE + PAD)
            draw.text((left + SIDE / 2, top + HEAD / 2), title, fill="black", font=font, anchor="mm")
            picture = Image.open(found[name]).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            drawn.paste(picture, (left, top + HEAD))
    return drawn


def main(suites: list[str]) -> None:
    """Compose and write the pictures."""
    for suite in suites or SHEETS:
        sheet(suite).quantize(64).save(ROOT / "docs" / f"{suite}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""docs/quickstart.png: real examples and each family's samples side by side, from the committed pictures.

python benchmarks/picture.py
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from genzoo.evaluation import Record, read_record

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "quickstart"
TITLES = {
    "train-vs-test": "data",
    "vae": "VAE",
    "sngan": "GAN",
    "realnvp": "flow",
    "ebm": "energy",
    "ddpm": "diffusion",
}
SIDE, PAD, HEAD = 280, 16, 34


def pictures(data: str) -> dict[str, Path]:
    """The first picture of each model on a data set, in the order of TITLES."""
    found: dict[str, Path] = {}
    for path in sorted(RESULTS.glob("*/samples/*/record.json")):
        record: Record = read_record(path)
        if record.data.name == data and record.status == "ok":
            found.setdefault(record.model.name, path.with_name("samples.png"))
    return {name: found[name] for name in TITLES}


def main() -> None:
    """Compose and write the picture."""
    rows = [pictures("digits"), pictures("8gaussians")]
    width, height = len(TITLES) * (SIDE + PAD) + PAD, HEAD + len(rows) * (SIDE + PAD)
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(20)
    for column, (name, title) in enumerate(TITLES.items()):
        left = PAD + column * (SIDE + PAD)
        draw.text((left + SIDE / 2, HEAD / 2), title, fill="black", font=font, anchor="mm")
        for row, found in enumerate(rows):
            picture = Image.open(found[name]).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left, HEAD + row * (SIDE + PAD)))
    sheet.save(ROOT / "docs" / "quickstart.png", optimize=True)


if __name__ == "__main__":
    main()

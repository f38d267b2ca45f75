"""Train the peers one after another, each alone for as many seconds, and measure their samples by GenZoo's protocol.

python benchmarks/peers/measure.py --out FOLDER                   600 seconds each; what is there is not done again
python benchmarks/peers/measure.py --out FOLDER --only dcgan-28   some of them
python benchmarks/peers/measure.py --table                        README.md from record.json, and nothing else

Writes record.json, one entry a peer, and the table between the markers of README.md. Needs requirements.txt.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORD, PAGE = HERE / "record.json", HERE / "README.md"
MARKED = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", re.DOTALL)
PEERS: dict[str, list[str]] = {
    "dcgan-28": ["dcgan.py", "--size", "28"],
    "dcgan-32": ["dcgan.py", "--size", "32"],
    "pythae-conv": ["pythae_vae.py", "--nets", "conv"],
    "pythae-mlp": ["pythae_vae.py", "--nets", "mlp"],
    "lucidrains": ["lucidrains.py"],
    "unet2d-ddpm": ["unet2d.py", "--objective", "ddpm"],
    "unet2d-flow": ["unet2d.py", "--objective", "flow"],
}
GAUSSIAN = "gaussian"
NOTHING = "\N{EN DASH}"
METRICS = ("fd_debiased", "kid", "precision", "recall", "density", "coverage", "copy_rate", "exact_duplicates")
NUM_SAMPLES, DATA, EXTRACTOR, BESIDE = 5000, "fashion-mnist", "cnn28", "rand28"
HEADER = (
    "| peer | FD debiased ↓ | below the Gaussian by | FD, second extractor ↓ | precision ↑ | recall ↑ | sampler "
    "| training | steps | images seen | weights | drawing 1,000 |"
)


def train(name: str, out: Path, *, seconds: float, threads: int, samples: int, calls: int) -> None:
    """Run a peer's script, unless its samples are there."""
    if (out / name / "samples.npz").exists():
        return
    script, *own = PEERS[name]
    options = {"out": out / name, "seconds": seconds, "threads": threads, "samples": samples, "calls": calls}
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    subprocess.run([sys.executable, str(HERE / script), *own, *words], check=True)


def gaussian(out: Path, samples: int) -> None:
    """The floor, as a peer: draws from a Gaussian fitted to the training images, unless they are there."""
    if (out / GAUSSIAN / "samples.npz").exists():
        return
    import numpy as np
    import torch

    from genzoo.data import load
    from genzoo.evaluation.references import gaussian
    from genzoo.images import quantise

    train = load(DATA).train
    x = quantise(gaussian(train.batch(torch.arange(len(train))).x, samples, seed=0), 256)
    (out / GAUSSIAN).mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / GAUSSIAN / "samples.npz", arr_0=x.numpy())
    settings = {"peer": "*gaussian*", "sampler": "", "training": None, "parameters": None, "calls_per_sample": None}
    (out / GAUSSIAN / "settings.json").write_text(json.dumps(settings) + "\n")


def measured(folder: Path) -> dict[str, Any]:
    """An entry of the record: the peer's settings and what the protocol says of its samples."""
    import genzoo

    record = genzoo.evaluate(
        folder / "samples.npz", data=DATA, num_samples=NUM_SAMPLES, extractor=EXTRACTOR, beside=BESIDE
    )
    found = {name: one for name, one in record.metrics.items() if name in METRICS}
    return {
        "settings": json.loads((folder / "settings.json").read_text()),
        "num_samples": record.sampling.n if record.sampling else None,
        "extractor": record.extractor.key if record.extractor else None,
        "protocol": record.protocol,
        "metrics": {name: {"value": one.value, "se": one.se} for name, one in found.items()},
        "beside": {"extractor": BESIDE, "fd_debiased": _beside(record)},
    }


def _beside(record: Any) -> float | None:
    return record.beside.metrics["fd_debiased"].value if record.beside else None


def table(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown, the best first."""
    floor = entries[GAUSSIAN]["metrics"]["fd_debiased"]["value"] if GAUSSIAN in entries else None
    ordered = sorted(entries.values(), key=lambda entry: entry["metrics"]["fd_debiased"]["value"])
    rule = "| --- " + "| ---: " * 5 + "| --- " + "| ---: " * 5 + "|"
    return "\n".join([HEADER, rule, *(_row(entry, floor) for entry in ordered)]) + "\n"


def _row(entry: Mapping[str, Any], floor: float | None) -> str:
    settings, metrics = entry["settings"], entry["metrics"]
    fd, se = metrics["fd_debiased"]["value"], metrics["fd_debiased"]["se"]
    cells = [
        settings["peer"],
        f"{fd:.2f}" + (f" ± {se:.2f}" if se is not None else ""),
        NOTHING if floor is None or fd <= 0 else f"{floor / fd:.1f}",
        _number(entry["beside"]["fd_debiased"], ".2f"),
        *(_number(metrics[name]["value"] if name in metrics else None, ".2f") for name in ("precision", "recall")),
        settings["sampler"] or NOTHING,
        *_costs(settings),
    ]
    return "| " + " | ".join(cells) + " |"


def _costs(settings: Mapping[str, Any]) -> list[str]:
    training, parameters = settings["training"], settings["parameters"]
    if training is None or parameters is None:
        return [NOTHING] * 5
    per_thousand = 1000 * settings["sampling_seconds"] / settings["num_drawn"]
    return [
        f"{training['seconds']:.0f} s",
        f"{training['steps']:,}",
        f"{training['images_seen']:,}",
        f"{parameters['sampling'] / 1e6:.2f}M",
        f"{per_thousand:.1f} s",
    ]


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def fill(page: str, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with its table made anew."""
    return MARKED.sub(lambda match: f"{match[1]}\n{table(entries)}\n{match[2]}", page)


def main(words: Sequence[str] | None = None) -> None:
    """Train what is missing, measure everything, write the record and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the samples, one subfolder a peer")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=NUM_SAMPLES)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--table", action="store_true")
    known = vars(parser.parse_args(words))
    only_table, out, names = known.pop("table"), known.pop("out"), known.pop("only")
    entries = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if not only_table:
        if out is None:
            parser.error("--out FOLDER is missing")
        gaussian(out, known["samples"])
        for name in names:
            train(name, out, **known)
        entries |= {name: measured(out / name) for name in (GAUSSIAN, *names)}
        RECORD.write_text(json.dumps(entries, indent=1) + "\n")
    PAGE.write_text(fill(PAGE.read_text(), entries))


if __name__ == "__main__":
    main()

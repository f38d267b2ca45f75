"""Every column of quality, in the order in which tables show them."""

from collections.abc import Sequence
from dataclasses import replace

from genzoo.benchmark import columns as read
from genzoo.benchmark.columns import MEMORISATION, OTHER_RULES, TIMES, Column, fixed, metric, percent, share, whole
from genzoo.benchmark.costs import COSTS
from genzoo.benchmark.labels import plain
from genzoo.evaluation.record import Record
from genzoo.images import is_image

_LIKELIHOOD = (
    "How well the model predicts data it has not seen: negative log-likelihood of the test split. Exact values, upper "
    "limits (≤, from a lower bound on the likelihood) and estimates (≈) are never ranked together; a model without a "
    "likelihood, such as a GAN, has none."
)

IMAGE_METRICS = (
    Column(
        "fd_debiased",
        "FD debiased",
        "The headline. Distance between the Gaussians fitted to the features of generated and of test images, "
        "corrected for the bias of a finite sample: 2 FD(N) less the mean of two halves. A "
        "perfect model scores about 0, and may fall just below it.",
        metric("fd_debiased"),
        fixed,
        "lower",
    ),
    Column(
        "beside_fd_debiased",
        "FD debiased, second extractor",
        "The same distance in the features of another network: the first may have been fitted to the data it judges.",
        read.beside("fd_debiased"),
        fixed,
        "lower",
        drop=6,
    ),
    Column(
        "kid",
        f"KID {TIMES}1000",
        "Kernel distance: squared maximum mean discrepancy of the same features with a cubic kernel, unbiased.",
        metric("kid", 1000),
        fixed,
        "lower",
        drop=3,
    ),
    Column(
        "precision",
        "precision",
        "Share of generated images that fall among the real ones: fidelity. Blurred or broken samples lower it.",
        metric("precision"),
        share,
        "higher",
    ),
    Column(
        "recall",
        "recall",
        "Share of real images that fall among the generated ones: diversity. Dropped modes lower it.",
        metric("recall"),
        share,
        "higher",
    ),
    Column(
        "density",
        "density",
        "Precision that an outlier among the real images cannot inflate; 1 for a perfect model, and can exceed it.",
        metric("density"),
        share,
        "higher",
        drop=9,
    ),
    Column(
        "coverage",
        "coverage",
        "Share of real images with a generated one nearer than their fifth real neighbour.",
        metric("coverage"),
        share,
        "higher",
        drop=7,
    ),
    Column(
        "vendi",
        "Vendi",
        "Effective number of different images: the exponential of the entropy of their similarities. Diversity alone, "
        "whether or not the images look real.",
        metric("vendi"),
        fixed,
        "higher",
        drop=10,
    ),
    Column(
        "class_distance",
        "class imbalance",
        "Total variation distance between the shares of the classes that the extractor's classifier sees, generated "
        "against real: 0 is balanced.",
        metric("class_distance"),
        share,
        "lower",
        drop=11,
    ),
    Column(
        "class_accuracy",
        "class accuracy",
        "Share of the samples of a conditional model in which the extractor's classifier sees the class that was asked "
        "for. A perfect model scores what the classifier does on test images.",
        metric("class_accuracy"),
        percent,
        "higher",
        drop=5,
    ),
    Column(
        "sliced_w2",
        "sliced W₂",
        "Wasserstein distance of the features averaged over fixed directions: no Gaussian is assumed.",
        metric("sliced_w2"),
        fixed,
        "lower",
        drop=12,
    ),
    Column("likelihood", "bits/dim", _LIKELIHOOD, read.likelihood, fixed, "lower", drop=2),
    Column(
        "fd_train",
        "FD to train",
        "Distance to as many training images. Copying lowers it, so it ranks nobody.",
        read.unless_training(metric("fd_train")),
        fixed,
        groups=(MEMORISATION,),
    ),
    Column(
        "fd_gap",
        "FD gap",
        "FD to test less FD to train: about 0 for a perfect model, far above where training images are repeated.",
        read.unless_training(metric("fd_gap")),
        fixed,
        groups=(MEMORISATION,),
    ),
    Column(
        "auth_pct",
        "AuthPct",
        "Share of samples that are farther from their nearest training image than that one is from its own neighbour. "
        "Noise is authentic too: read it beside fidelity.",
        read.unless_training(metric("auth_pct")),
        percent,
        groups=(MEMORISATION,),
    ),
    Column(
        "copy_rate",
        "copy rate",
        "Share of samples that lie nearer to a training image than all but 1 % of the test images do: about 1 % for a "
        "model that copies nothing.",
        read.unless_training(metric("copy_rate")),
        percent,
        groups=(MEMORISATION,),
    ),
    Column(
        "nearest_train_z",
        "nearest-train z",
        "Whether samples lie nearer to the training images than test images do, in standard deviations "
        "(Mann-Whitney): about 0 for a perfect model, far below 0 for one that copies.",
        read.unless_training(metric("nearest_train_z")),
        fixed,
        groups=(MEMORISATION,),
    ),
    Column(
        "exact_duplicates",
        "exact duplicates",
        "Samples that equal a training image, pixel for pixel.",
        read.unless_training(metric("exact_duplicates")),
        whole,
        groups=(MEMORISATION,),
    ),
    Column(
        "unique",
        "distinct",
        "Share of the generated images that equal no other of them: a collapsed model repeats itself.",
        metric("unique"),
        percent,
        groups=(MEMORISATION,),
    ),
    Column(
        "fd",
        "FD",
        "The distance uncorrected, as most papers print it: it never reaches 0, and shrinks as N grows.",
        metric("fd"),
        fixed,
        "lower",
        groups=(OTHER_RULES,),
    ),
    Column(
        "precision_k3",
        "precision k=3",
        "Precision with three neighbours and ≤, the rule of torch-fidelity and of the paper on improved precision.",
        metric("precision_k3"),
        share,
        "higher",
        groups=(OTHER_RULES,),
    ),
    Column(
        "recall_k3",
        "recall k=3",
        "Recall by the same rule.",
        metric("recall_k3"),
        share,
        "higher",
        groups=(OTHER_RULES,),
    ),
)

POINT_METRICS = (
    Column(
        "mmd2",
        f"MMD² {TIMES}1000",
        "The headline. Squared maximum mean discrepancy between generated and true points, unbiased, with bandwidths "
        "fixed by the data set. A perfect model scores about 0, and may fall just below it.",
        metric("mmd2", 1000),
        fixed,
        "lower",
    ),
    Column(
        "modes_covered",
        "modes covered",
        "Modes that hold at least 20 % of the samples that are due to them.",
        metric("modes_covered"),
        whole,
        "higher",
    ),
    Column(
        "good_points",
        "good points",
        "Share of samples inside the true distribution's 99 % highest-density region: 99 % for a perfect model.",
        metric("good_points"),
        percent,
        "higher",
    ),
    Column(
        "mode_tv",
        "mode imbalance",
        "Total variation distance between the shares of the modes, generated against true: 0 is balanced.",
        metric("mode_tv"),
        share,
        "lower",
        drop=7,
    ),
    Column(
        "sliced_w2",
        "sliced W₂",
        "Wasserstein distance averaged over directions: how far points must move, in standard deviations of the data.",
        metric("sliced_w2"),
        fixed,
        "lower",
        drop=3,
    ),
    Column(
        "energy_distance",
        f"energy distance {TIMES}1000",
        "Twice the mean distance between generated and true points, less the mean distances within each set.",
        metric("energy_distance", 1000),
        fixed,
        "lower",
        drop=8,
    ),
    Column(
        "kl",
        "KL",
        "Kullback-Leibler divergence from the data to the model, in nats, of the same kind as the likelihood it comes "
        "from: kinds are never ranked together.",
        read.divergence,
        fixed,
        "lower",
        drop=9,
    ),
    Column("likelihood", "nats", _LIKELIHOOD, read.likelihood, fixed, "lower", drop=2),
)


def columns(records: Sequence[Record]) -> tuple[Column, ...]:
    """The columns for comparable records; the first is the headline that ranks them.

    Only features of Inception give a number that is called FID. Metrics of plugins stand under their own names.
    """
    sample = records[0]
    known: tuple[Column, ...] = IMAGE_METRICS if is_image(sample.data.shape) else POINT_METRICS
    if sample.extractor is not None and sample.extractor.literature_comparable:
        known = tuple(column if column.key.startswith("beside") else _as_fid(column) for column in known)
    return (*known, *_plugin_metrics(records, {column.key for column in known}), *COSTS)


def _as_fid(column: Column) -> Column:
    return replace(column, title=column.title.replace("FD", "FID"), help=column.help.replace("FD", "FID"))


def _plugin_metrics(records: Sequence[Record], known: set[str]) -> list[Column]:
    """Which end is better is known from one that was computed: a failed one says nothing of it."""
    measured = [item for record in records for item in record.metrics.items() if item[0] not in known]
    found = dict(sorted(measured, key=lambda item: item[1].status == "ok"))
    return [
        Column(key, plain(key, 24), plain(value.how, 300), metric(key), fixed, value.better, drop=13)
        for key, value in found.items()
    ]

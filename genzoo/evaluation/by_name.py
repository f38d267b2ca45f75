"""Every metric of images of GenZoo under its name, as a factory: what :data:`genzoo.builtin.BUILT_IN` leads to.

An evaluation measures them all at once, see :func:`genzoo.evaluation.evaluate_images`; here each stands alone, as a
plugin's does, to be explained, tested and called.
"""

from dataclasses import dataclass

from genzoo import protocols
from genzoo.errors import InvalidSamples
from genzoo.evaluation.metrics import feature_metrics

_NEEDS = {
    "class_distance": "the classes of an extractor",
    "class_accuracy": "the classes of an extractor, and labels of the generated images",
}


@dataclass(frozen=True)
class _Named:
    """One metric of the record."""

    name: str

    def __call__(self, comparison: protocols.Comparison) -> protocols.Measurement:
        """The measurement; raises :class:`InvalidSamples` where there is none."""
        metric = feature_metrics(comparison).get(self.name)
        if metric is None:
            needs = _NEEDS.get(self.name, "training images")
            raise InvalidSamples(f"{self.name} needs {needs}, which this comparison is without")
        if metric.value is None:
            raise InvalidSamples(f"{self.name}: {metric.reason}")
        return protocols.Measurement(metric.value, metric.better, metric.how, metric.se, metric.expected)


def fd() -> protocols.Metric:
    """Fréchet distance |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of two Gaussians fitted to the features; with
    Inception's it is called FID. Too large by an amount of order 1 / n.

    Reference: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017).
    """
    return _Named("fd")


def fd_debiased() -> protocols.Metric:
    """Fréchet distance with its bias taken off: 2 FD_n minus the mean of the FDs of two disjoint halves.

    Reference: Effectively Unbiased FID and Inception Score and Where to Find Them (Chong and Forsyth, 2020), for the
    bias of order 1 / n.
    """
    return _Named("fd_debiased")


def fd_train() -> protocols.Metric:
    """Fréchet distance to as many training images: what a model that copies makes small."""
    return _Named("fd_train")


def fd_gap() -> protocols.Metric:
    """fd - fd_train: about 0 unless the model is nearer to its training images than to new ones."""
    return _Named("fd_gap")


def kid() -> protocols.Metric:
    """Kernel distance: the unbiased MMD^2 of the features, kernel (x'y / d + 1)^3, over all rows.

    Reference: Demystifying MMD GANs (Binkowski et al., 2018).
    """
    return _Named("kid")


def precision() -> protocols.Metric:
    """Share of generated images within the distance of some real image to its 5th nearest real one, strictly.

    Reference: Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019).
    """
    return _Named("precision")


def recall() -> protocols.Metric:
    """Share of real images within the distance of some generated image to its 5th nearest generated one, strictly; see
    precision.
    """
    return _Named("recall")


def density() -> protocols.Metric:
    """Mean number of balls to the 5th nearest real image that a generated image lies in, over 5; 1 if all is well.

    Reference: Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020).
    """
    return _Named("density")


def coverage() -> protocols.Metric:
    """Share of real images with a generated one nearer than their 5th nearest real one; see density."""
    return _Named("coverage")


def precision_k3() -> protocols.Metric:
    """precision by the rule of other programs: the 3rd nearest, on the border counts."""
    return _Named("precision_k3")


def recall_k3() -> protocols.Metric:
    """recall by the rule of other programs: the 3rd nearest, on the border counts."""
    return _Named("recall_k3")


def auth_pct() -> protocols.Metric:
    """Share of generated images farther from their nearest training image than that one is from its own nearest.

    Reference: How Faithful is your Synthetic Data? (Alaa et al., 2022).
    """
    return _Named("auth_pct")


def copy_rate() -> protocols.Metric:
    """Share of generated images nearer to a training image than all but 1 % of the test images are; 0.01 if all is
    well.
    """
    return _Named("copy_rate")


def nearest_train_z() -> protocols.Metric:
    """Mann-Whitney z of the distances to the nearest training image, generated against test; well below 0 is copying.

    Reference: A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan et al., 2020).
    """
    return _Named("nearest_train_z")


def exact_duplicates() -> protocols.Metric:
    """Number of generated images that equal a training image byte for byte."""
    return _Named("exact_duplicates")


def unique() -> protocols.Metric:
    """Share of distinct images among the generated."""
    return _Named("unique")


def vendi() -> protocols.Metric:
    """Effective number of distinct images: exp of the entropy of the eigenvalues of their cosine similarities / n.

    Reference: The Vendi Score: A Diversity Evaluation Metric for Machine Learning (Friedman and Dieng, 2023).
    """
    return _Named("vendi")


def class_distance() -> protocols.Metric:
    """Total variation between the classes that the extractor's classifier sees in generated and in real images."""
    return _Named("class_distance")


def class_accuracy() -> protocols.Metric:
    """Share of generated images in which the extractor's classifier sees the class that was asked for; only of a
    classifier that sees the class of at least half of the real images.

    Reference: Classification Accuracy Score for Conditional Generative Models (Ravuri and Vinyals, 2019), for judging
    conditional samples by a classifier; here it is one of real images.
    """
    return _Named("class_accuracy")


def sliced_w2() -> protocols.Metric:
    """Wasserstein-2 distance of the features along 512 fixed directions, in the mean of squares.

    Reference: Sliced and Radon Wasserstein Barycenters of Measures (Bonneel et al., 2015).
    """
    return _Named("sliced_w2")

"""Every extractor of GenZoo under its name, as a factory: what :data:`genzoo.builtin.BUILT_IN` leads to.

``weights`` of a pretrained one is its file, or a folder that holds it; without it the file is looked for at
``$GENZOO_EXTRACTOR_WEIGHTS``, then where torch keeps what it downloads, and at last fetched.
"""

from pathlib import Path

from genzoo.evaluation.extractors.built_in import cnn8, cnn28, rand28, rand32
from genzoo.evaluation.extractors.pretrained import (
    Pretrained,
    load_clip,
    load_dinov2,
    load_inception,
    load_vgg16,
)

__all__ = ["cnn8", "cnn28", "rand28", "rand32"]


def inception_v3_compat(*, weights: Path | None = None) -> Pretrained:
    """2048 features of Inception-v3 at its last pooling, resized to 299x299: the FID of the literature.

    Reference: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017).
    """
    return load_inception(weights)


def vgg16(*, weights: Path | None = None) -> Pretrained:
    """4096 features of VGG16 at its second wide layer, rectified, resized to 224x224: those of the first precision and
    recall.

    Reference: Improved Precision and Recall Metric for Assessing Generative Models (Kynkäänniemi et al., 2019).
    """
    return load_vgg16(weights)


def clip_vit_b_32(*, weights: Path | None = None) -> Pretrained:
    """512 features of CLIP's ViT-B/32, resized to 224x224.

    Reference: The Role of ImageNet Classes in Fréchet Inception Distance (Kynkäänniemi et al., 2023).
    """
    return load_clip("clip-vit-b-32", weights)


def clip_vit_b_16(*, weights: Path | None = None) -> Pretrained:
    """512 features of CLIP's ViT-B/16, resized to 224x224; see clip-vit-b-32."""
    return load_clip("clip-vit-b-16", weights)


def clip_vit_l_14(*, weights: Path | None = None) -> Pretrained:
    """768 features of CLIP's ViT-L/14, resized to 224x224; see clip-vit-b-32."""
    return load_clip("clip-vit-l-14", weights)


def clip_vit_l_14_336px(*, weights: Path | None = None) -> Pretrained:
    """768 features of CLIP's ViT-L/14, resized to 336x336; see clip-vit-b-32."""
    return load_clip("clip-vit-l-14-336px", weights)


def dinov2_vit_s_14(*, weights: Path | None = None) -> Pretrained:
    """384 features of DINOv2's ViT-S/14, resized to 224x224.

    Reference: Exposing Flaws of Generative Model Evaluation Metrics and Their Unfair Treatment of Diffusion Models
    (Stein et al., 2023).
    """
    return load_dinov2("dinov2-vit-s-14", weights)


def dinov2_vit_b_14(*, weights: Path | None = None) -> Pretrained:
    """768 features of DINOv2's ViT-B/14, resized to 224x224; see dinov2-vit-s-14."""
    return load_dinov2("dinov2-vit-b-14", weights)


def dinov2_vit_l_14(*, weights: Path | None = None) -> Pretrained:
    """1024 features of DINOv2's ViT-L/14, resized to 224x224; see dinov2-vit-s-14. Those of the paper were resized by
    another program, so that its distances do not compare.
    """
    return load_dinov2("dinov2-vit-l-14", weights)

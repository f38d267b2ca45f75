"""What GenZoo itself brings besides its plugins: feature extractors and metrics, by role and name.

Factories as in a plugin's hooks, all of them ``"module:attribute"``: reading this file imports no torch.
"""

PRETRAINED = (
    *("inception-v3-compat", "vgg16"),
    *("clip-vit-b-32", "clip-vit-b-16", "clip-vit-l-14", "clip-vit-l-14-336px"),
    *("dinov2-vit-s-14", "dinov2-vit-b-14", "dinov2-vit-l-14"),
)  # fmt: skip

_EXTRACTORS = ("cnn8", "cnn28", "rand28", "rand32", *PRETRAINED)
_METRICS = (
    *("fd", "fd_debiased", "fd_train", "fd_gap", "kid"),
    *("precision", "recall", "density", "coverage", "precision_k3", "recall_k3"),
    *("auth_pct", "copy_rate", "nearest_train_z", "exact_duplicates"),
    *("unique", "vendi", "class_distance", "class_accuracy", "sliced_w2"),
)  # fmt: skip

BUILT_IN: dict[str, dict[str, str]] = {
    "extractor": {name: f"genzoo.evaluation.extractors.by_name:{name.replace('-', '_')}" for name in _EXTRACTORS},
    "metric": {name: f"genzoo.evaluation.by_name:{name}" for name in _METRICS},
}

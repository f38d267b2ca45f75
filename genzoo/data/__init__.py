"""One door to every data set: ``load(name)``.

Every source is a ``datasets.Dataset``: the digits of the package, IDX files, folders, parquet, the Hugging Face hub,
points with exact densities. :mod:`genzoo.data.catalog` lists the names. Importing this package imports no torch.
"""

from typing import TYPE_CHECKING, Any

from genzoo.data.catalog import CATALOG, POINTS, parse
from genzoo.errors import InvalidOption

if TYPE_CHECKING:
    from genzoo.data.core import Data, Split
    from genzoo.data.rows import Rows

__all__ = ["CATALOG", "MEMORY_LIMIT", "Data", "Split", "load"]

MEMORY_LIMIT = 4 << 30
"""Bytes of decoded pixels; a data set that takes more is streamed from Arrow."""

FASHION_MNIST_OFFLINE_WAYS = (
    "install Debian's package dataset-fashion-mnist, or put its four IDX files into $GENZOO_DATA/fashion-mnist "
    "or into a folder given as fashion-mnist:PATH"
)


def load(name: str, *, size: int | None = None, memory_limit: int = MEMORY_LIMIT) -> "Data":
    """Load a data set by name; nothing is fetched that is on this machine already.

    Args:
        name: one of :data:`CATALOG`: ``digits``, ``8gaussians``, ``folder:PATH``, ``hub:ID[:CONFIG]``, ...
        size: pixels; images are cropped about the centre to a square, and resized to it with antialiasing, once.
        memory_limit: bytes of decoded pixels above which images are decoded batch by batch instead of once.

    Returns:
        Train and test splits, of images in [-1, 1] or of points at unit scale.

    Raises:
        UnknownName: nothing is called so.
        DataUnavailable: it needs the hub, which cannot be reached; the message names the ways to do without.
        DataError: it is missing, empty, unreadable, mixed in size or not finite.

    >>> data = load("digits")
    >>> len(data.train), len(data.test), data.shape, data.levels
    (1297, 500, (1, 8, 8), 17)
    """
    kind, argument = parse(name)
    if size is not None and size < 1:
        raise InvalidOption(f"size={size}: the side of the images in pixels is at least 1")
    if kind in POINTS:
        from genzoo.data.build import built_in_points

        return built_in_points(kind, size)
    rows = _open(name, kind, argument)  # a wrong path or an unreachable hub ends here, before torch is imported
    from genzoo.data.build import image_data, point_data

    return point_data(name, rows, size) if len(rows.columns) == 2 else image_data(name, rows, size, memory_limit)


def _open(name: str, kind: str, argument: str) -> "Rows":
    if kind == "hub":
        from genzoo.data.hub import hub

        repository, _, config = argument.partition(":")
        return hub(name, repository, config or None)
    if kind == "fashion-mnist":
        return _open_fashion_mnist(name, argument)
    if kind == "shapes":
        from genzoo.data.shapes import shapes

        return shapes()
    from genzoo.data import sources

    return {"digits": lambda _: sources.digits(), "folder": sources.folder, "parquet": sources.parquet}[kind](argument)


def _open_fashion_mnist(name: str, argument: str) -> "Rows":
    from genzoo.data import sources
    from genzoo.data.hub import hub

    path = argument or sources.find_fashion_mnist()
    if path:
        return sources.idx(str(path))
    return hub(name, "zalando-datasets/fashion_mnist", offline_ways=FASHION_MNIST_OFFLINE_WAYS)


def __getattr__(name: str) -> Any:
    if name not in ("Data", "Split"):
        raise AttributeError(f"module 'genzoo.data' has no attribute {name!r}")
    from genzoo.data import core

    return getattr(core, name)

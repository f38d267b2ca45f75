"""The names that :func:`genzoo.data.load` understands, without importing torch."""

from genzoo.errors import UnknownName

POINTS: dict[str, str] = {
    "8gaussians": "points: eight Gaussians on a circle (Tong et al., 2023), exact density",
    "25gaussians": "points: a 5 x 5 grid of narrow Gaussians (Gulrajani et al., 2017), exact density",
    "rings": "points: four concentric rings (Grathwohl et al., 2019), exact density",
    "moons": "points: two interleaved half circles (Grathwohl et al., 2019), exact density",
    "checkerboard": "points: uniform on eight squares (Grathwohl et al., 2019), exact density",
    "spirals": "points: two spiral arms (Grathwohl et al., 2019), exact density",
}

IMAGES: dict[str, str] = {
    "digits": "images 8x8 grey, 10 classes: 1,797 UCI optical digits, built in",
    "shapes": "images 32x32 colour, 10 classes: 15,000 generated discs, squares, crosses, ...",
    "fashion-mnist": "images 28x28 grey, 10 classes: 70,000 (IDX files of this machine, else the hub)",
}

FORMS: dict[str, str] = {
    "fashion-mnist:PATH": "the same, from a folder of its four IDX files",
    "hub:ID[:CONFIG]": "images or points of a data set on the Hugging Face hub",
    "folder:PATH": "images in a folder, perhaps train/ and test/, perhaps one subfolder a class",
    "parquet:PATH": "a parquet file or a folder of them: an image column, or two columns of numbers",
}

CATALOG: dict[str, str] = {**POINTS, **IMAGES, **FORMS}
"""One line for every name and every form of name: what ``genzoo list datasets`` prints."""


def parse(name: str) -> tuple[str, str]:
    """Split ``"kind:argument"``; the argument of a built-in name is empty.

    Raises:
        UnknownName: nothing is called so; the message says what comes nearest.
    """
    kind, colon, argument = name.partition(":")
    forms = {form.partition(":")[0] for form in FORMS}
    if (argument and kind in forms) or (not colon and kind in {**POINTS, **IMAGES}):
        return kind, argument
    raise UnknownName("data set", name, CATALOG, remedy="a folder of your own images is folder:PATH")

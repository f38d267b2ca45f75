"""Features that were extracted once, on disk, under the hashes of the images' content and of the extractor.

Other images under an old name cannot be mistaken for what was there before: the key is what they hold. Each entry has
the sha256 of its features beside them and is read only if they still have it; it is written under a temporary name and
renamed, so that processes that fill one cache at the same time leave whole entries. All entries together take at most
``limit`` bytes: those that were not read for longest go first.
"""

import os
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from genzoo.errors import StorageError
from genzoo.evaluation.features import content_hash
from genzoo.files import write_atomically

Key = tuple[str, str]
LIMIT = 2 << 30
SUFFIX = ".safetensors"


class FeatureCache(MutableMapping[Key, Tensor]):
    """Features [n, d] by (hash of the images, ``Extractor.key``), one safetensors file each in ``folder``.

    A damaged entry counts as absent, with a warning; a folder that cannot be written to costs time, never the result.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def _path(self, key: Key) -> Path:
        return self.folder / f"{'-'.join(key)}{SUFFIX}"

    def __getitem__(self, key: Key) -> Tensor:
        path = self._path(key)
        try:
            features = _read(path)
        except FileNotFoundError:
            raise KeyError(key) from None
        except (OSError, SafetensorError, ValueError) as error:
            with suppress(OSError):
                path.unlink()
            warnings.warn(f"cached features {path} are damaged ({error}): they are extracted again", stacklevel=2)
            raise KeyError(key) from error
        with suppress(OSError):
            os.utime(path)  # what is used stays
        return features

    def __setitem__(self, key: Key, features: Tensor) -> None:
        content = save({"features": features.contiguous()}, metadata={"sha256": content_hash(features)})
        try:
            write_atomically(self._path(key), content)
            self._keep_within_limit()
        except (StorageError, OSError) as error:
            warnings.warn(f"features are not kept: {error.__cause__ or error}", stacklevel=2)

    def __delitem__(self, key: Key) -> None:
        try:
            self._path(key).unlink()
        except FileNotFoundError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[Key]:
        for path in self.folder.glob(f"*{SUFFIX}"):
            images, _, extractor = path.stem.partition("-")
            yield images, extractor

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _keep_within_limit(self) -> None:
        """Another process may be tidying up as well: what is gone already is no error."""
        found = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        excess = sum(size for _, size, _ in found) - self.limit
        for _, size, path in sorted(found)[:-1]:  # the newest stays, however large it is
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size


def _read(path: Path) -> Tensor:
    with safe_open(path, framework="pt") as file:
        features, kept = file.get_tensor("features"), (file.metadata() or {}).get("sha256")
    if content_hash(features) != kept:
        raise ValueError("their sha256 is another")
    return features

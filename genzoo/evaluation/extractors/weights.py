"""Files of weights: found or fetched, and never opened before their hash is known to be right."""

import hashlib
import logging
import os
import shutil
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch

from genzoo.errors import ExtractorUnavailable

SECONDS_TO_CONNECT = 2
OFFLINE = "cnn8 (1x8x8), cnn28 (1x28x28), rand32 (3x32x32) or rand28 (any size)"
log = logging.getLogger(__name__)


def sha256_of(path: Path) -> str:
    """Of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def by(shape: tuple[int, ...]) -> str:
    """(1, 8, 8) as ``1x8x8``."""
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class WeightsFile:
    """The file that an extractor needs: its name, where it is published, and its sha256."""

    extractor: str
    name: str
    url: str
    sha256: str

    def find(self, given: Path | None) -> Path:
        """Where the file is, its hash checked: at ``given``, else at ``$GENZOO_EXTRACTOR_WEIGHTS``, each a file or a
        folder that holds it; else where torch keeps what it downloads, fetched now if it is not there yet.

        Raises:
            ExtractorUnavailable: it is not there and cannot be had, or has another hash.
        """
        named = os.environ.get("GENZOO_EXTRACTOR_WEIGHTS")
        path = given or (Path(named) if named else None)
        if path is None:
            return self._kept()
        path = path / self.name if path.is_dir() else path
        if not path.is_file():
            raise self.unavailable(f"{path} is not there")
        return self._checked(path)

    def _kept(self) -> Path:
        path = Path(torch.hub.get_dir()) / "checkpoints" / self.name
        if not path.is_file():
            self._download(path)
        return self._checked(path)

    def _checked(self, path: Path) -> Path:
        found = sha256_of(path)
        if found != self.sha256:
            raise self.unavailable(f"{path} is another file (its sha256 is {found[:8]}..., not {self.sha256[:8]}...)")
        return path

    def _download(self, path: Path) -> None:
        """Fetch the file; it appears under its name only when it is whole and has the right hash."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._fetch(temporary)
            if sha256_of(temporary) != self.sha256:
                raise self.unavailable(f"what came from there was another file; {path} was not written")
            temporary.replace(path)
        except (OSError, HTTPException) as error:
            raise self.unavailable(f"it is not at {path} and could not be fetched ({error})") from error
        finally:
            temporary.unlink(missing_ok=True)

    def _fetch(self, path: Path) -> None:
        with urllib.request.urlopen(self.url, timeout=SECONDS_TO_CONNECT) as answer:
            log.warning("fetching %s for %s", self.url, self.extractor)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(answer, file)

    def unavailable(self, why: str) -> ExtractorUnavailable:
        """The error that says what to do."""
        return ExtractorUnavailable(
            f"{self.extractor} needs {self.name}, and {why}: get it from {self.url} and pass "
            f"--extractor-weights PATH; --extractor {OFFLINE} works now"
        )

"""Data sets of the Hugging Face hub, with or without a network; imports no torch.

Whether the hub can be reached is found out within a second, instead of by the 25 seconds of its client's retries.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from genzoo.errors import DataError, DataUnavailable

if TYPE_CHECKING:
    from datasets import Dataset

    from genzoo.data.rows import Rows

PROBE_SECONDS = 1.0
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
REPOSITORY = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
OFFLINE_WAYS = "fetch it once with a network, or give a copy as folder:PATH or parquet:PATH"


def hub(name: str, repository: str, config: str | None = None, *, offline_ways: str = OFFLINE_WAYS) -> "Rows":
    """The rows of a data set of the hub, from its client's cache where the hub cannot be reached.

    ``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, ``HF_HOME`` and proxies are honoured as the client honours them.

    Raises:
        DataUnavailable: neither the hub nor a cached copy is there; the message names the ``offline_ways``.
        DataError: the hub has no such data set or configuration, or it holds neither images nor points.
    """
    if not REPOSITORY.fullmatch(repository):
        raise DataError(f"{name}: {repository!r} is no data set's id; it is OWNER/NAME, as in hub:uoft-cs/cifar10")
    reached = _probe()
    from genzoo.data import cache  # datasets takes 0.7 s to import, meanwhile the probe is under way
    from genzoo.data.rows import find_rows

    if reached():
        splits = _fetch(name, repository, config, offline_ways)
    else:
        splits = _find_cached(name, repository, config, offline_ways)
    files = {
        f"{name}/{split}/{Path(file['filename']).name}": Path(file["filename"])
        for split, dataset in splits.items()
        for file in dataset.cache_files
    }
    return find_rows(name, splits, cache.digest_files(files))


def _probe() -> Callable[[], bool]:
    """Begin to connect to the hub (or the proxy before it); the function returned waits until a second is over.

    A thread, because no timeout bounds the look-up of a host's name.
    """
    connected = threading.Event()
    if any(os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in OFFLINE_VARIABLES):
        return connected.is_set

    def connect() -> None:
        with suppress(OSError, ValueError), socket.create_connection(_address(), timeout=PROBE_SECONDS):
            connected.set()

    thread, begin = threading.Thread(target=connect, daemon=True), time.monotonic()
    thread.start()

    def reached() -> bool:
        thread.join(max(0.0, PROBE_SECONDS - (time.monotonic() - begin)))
        return connected.is_set()

    return reached


def _address() -> tuple[str, int]:
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    proxy = getproxies().get(endpoint.scheme)
    target = urlsplit(proxy) if proxy else endpoint
    return target.hostname or "", target.port or {"http": 80}.get(target.scheme, 443)


def _fetch(name: str, repository: str, config: str | None, offline_ways: str) -> "dict[str, Dataset]":
    import datasets

    from genzoo.data.rows import first_line

    try:
        return dict(datasets.load_dataset(repository, config, keep_in_memory=False))
    except datasets.exceptions.DatasetNotFoundError:
        raise DataError(f"{name}: the hub has no data set {repository!r}, or it is not open to you") from None
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{name}: {first_line(error)}") from None
    except Exception as error:  # the client raises what its HTTP library raises
        raise DataUnavailable(f"{name} could not be fetched ({first_line(error)}): {offline_ways}") from None


def _find_cached(name: str, repository: str, config: str | None, offline_ways: str) -> "dict[str, Dataset]":
    import datasets

    from genzoo.data.rows import first_line
    from genzoo.data.sources import quiet

    try:
        with quiet(), _offline():
            return dict(datasets.load_dataset(repository, config, keep_in_memory=False))
    except Exception as error:  # whatever ails the cached copy, the remedy is the same
        why = f" ({first_line(error)})" if isinstance(error, ValueError) else ""  # which configurations there are
        raise DataUnavailable(f"{name}: the hub cannot be reached and no copy is cached{why}: {offline_ways}") from None


@contextmanager
def _offline() -> Iterator[None]:
    """Let datasets look into its cache only; it reads the environment at import and never again."""
    from datasets import config

    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before

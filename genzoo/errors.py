"""Every error a user can cause, one class per cause.

Each is one line: the bad value, what is allowed, what to do. ``status`` is the process's exit status: 2 when the
request was wrong and nothing had begun, 1 when work had begun and failed.
"""

import difflib
from collections.abc import Iterable


class GenZooError(Exception):
    """Anything that is told to the user in one line and without a traceback."""

    status = 2


class UnknownName(GenZooError):
    """A name that nobody registered. Remedy: pick one of the names the message lists."""

    def __init__(self, kind: str, name: str, allowed: Iterable[str], remedy: str = "") -> None:
        names = sorted(allowed)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        remedy = f"; {remedy}" if remedy else ""
        super().__init__(f"unknown {kind} {name!r}{hint} (allowed: {', '.join(names) or 'none'}){remedy}")


class InvalidOption(GenZooError):
    """An option of the wrong type or out of range. Remedy: ``genzoo info NAME`` prints what it takes."""


class InvalidConfig(GenZooError):
    """A suite, budget or setting that does not parse. Remedy: the message names the key and what it takes."""


class MissingCapability(GenZooError):
    """A trainer or sampler needs what the model cannot compute. Remedy: ``genzoo list --compatible``."""


class PluginError(GenZooError):
    """A plugin that could not be loaded, or two that claim one name. Remedy: fix it, or ``GENZOO_DISABLE=name``."""


class DataError(GenZooError):
    """A data set that is missing, unreadable, mixed in size, empty, unlabelled or not finite."""


class DataUnavailable(DataError):
    """A data set that needs a network that is not there. Remedy: one of the offline ways the message names."""


class ExtractorUnavailable(GenZooError):
    """A feature extractor whose weights are not on this machine. Remedy: the file and place the message names."""


class InvalidSamples(GenZooError):
    """Samples or features that no metric can be computed from: too few, not finite, of another shape or type."""


class RunError(GenZooError):
    """A folder that is not a run, is half written, or belongs to another version."""


class FolderInUse(GenZooError):
    """An output folder that already holds something. Remedy: ``--resume``, or another ``--out``."""


class TrainingFailed(GenZooError):
    """Training began and could not go on: a loss that is not finite. The message names the last good checkpoint."""

    status = 1


class SamplingFailed(GenZooError):
    """Samples were drawn and some are not finite. Remedy: train longer, or other options of the sampler."""

    status = 1


class SolverFailed(GenZooError):
    """A differential equation that the solver cannot follow. Remedy: a looser tolerance, or a smoother model."""

    status = 1


class StorageError(GenZooError):
    """The disk refused a write. What had been written before is complete; remedy: free space, then ``--resume``."""

    status = 1


class Interrupted(GenZooError):
    """Training was asked to stop and left a checkpoint. Remedy: ``--resume`` goes on from there."""

    status = 1

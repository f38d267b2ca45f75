"""Energy matching."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Conditional, Energy, as_energy, expand, labelled, supports
from genzoo.protocols import Batch
from genzoo_ebm.buffer import Walks, state_of
from genzoo_ebm.coupling import near_optimal_transport
from genzoo_ebm.gradients import slope
from genzoo_ebm.walks import fork, temperature_of


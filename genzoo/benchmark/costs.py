"""The columns of cost; the charted ones are the axes that quality is drawn against."""

from genzoo.benchmark.columns import (
    COST,
    QUALITY,
    Column,
    duration,
    megabytes,
    of_sampling,
    of_training,
    sampling_memory,
    seconds_per_thousand,
    thousands,
    weights,
)  # fmt: skip

CALLS = Column(
    "calls",
    "calls per sample",
    "Passes through the network for one sample, counted by the host: every Langevin step, every corrector and both "
    "halves of guidance count.",
    of_sampling("calls_per_sample"),
    thousands,
    drop=1,
    groups=(QUALITY, COST),
)
SAMPLE_FLOPS = Column(
    "flops_per_sample",
    "FLOPs per sample",
    "Floating-point operations of drawing one sample, measured.",
    of_sampling("flops_per_sample"),
    thousands,
    groups=(COST,),
)
SAMPLING = Column(
    "sampling_seconds",
    "time per 1000",
    "Wall time of drawing 1000 samples; seconds of different machines are never ranked together.",
    seconds_per_thousand,
    duration,
    drop=5,
    unit="seconds",
    groups=(COST,),
)
TRAINING = Column(
    "training_seconds",
    "training time",
    "Wall time of the training loop; seconds of different machines are never ranked together.",
    of_training("seconds", timed=True),
    duration,
    drop=4,
    unit="seconds",
    groups=(COST,),
)
TRAINING_FLOPS = Column(
    "training_flops",
    "training FLOPs",
    "Floating-point operations of the whole training, forward and backward, measured.",
    of_training("flops"),
    thousands,
    groups=(COST,),
)
PARAMETERS = Column(
    "parameters",
    "weights",
    "Number of weights that are needed to sample; a critic that only helps to train is not among them.",
    weights("generator"),
    thousands,
    drop=6,
    groups=(COST,),
)
_OTHER_COSTS = (
    Column(
        "training_parameters",
        "weights in training",
        "Number of weights with everything that only training needs, such as a critic.",
        weights("training"),
        thousands,
        groups=(COST,),
    ),
    Column(
        "images_seen",
        "examples seen",
        "Training examples that went through the network, repeats counted.",
        of_training("images_seen"),
        thousands,
        groups=(COST,),
    ),
    Column(
        "training_memory",
        "training memory",
        "Peak memory of the training process.",
        of_training("peak_memory_mb", timed=True),
        megabytes,
        groups=(COST,),
    ),
    Column(
        "sampling_memory",
        "sampling memory",
        "Peak memory while the samples were drawn.",
        sampling_memory,
        megabytes,
        groups=(COST,),
    ),
)
CHARTED = (CALLS, SAMPLE_FLOPS, SAMPLING, TRAINING_FLOPS, TRAINING, PARAMETERS)
COSTS = (*CHARTED, *_OTHER_COSTS)

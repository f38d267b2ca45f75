"""A finished training: sample it, measure it. And the function that makes one: train."""

import logging
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from genzoo import scoring
from genzoo.config import SampleConfig, TrainConfig, checked
from genzoo.data import Data, load
from genzoo.drawing import Drawing, Labels, asked, one_a_sample
from genzoo.errors import InvalidSamples, RunError
from genzoo.evaluation import Record
from genzoo.evaluation.parts import Likelihood, ModelPart, Parameters, ReferencePart, TrainingPart
from genzoo.jobs import execute, prepare
from genzoo.records import Drawn, Subject
from genzoo.sampling import Samples, choose_labels, draw
from genzoo.scoring import Judging
from genzoo.standards import Standard, of_data
from genzoo.trained import CONFIG, load_weights, read_cost, read_finished, weights_hash
from genzoo.training import Upkeep
from genzoo.zoo import Zoo

DEFAULT_OUT = Path("runs")
log = logging.getLogger(__name__)


class Run:
    """A finished training, opened from its folder; loads its data and weights when they are first needed."""

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.folder = folder
        self.description = description
        self.config = checked(TrainConfig, description["config"], str(folder / CONFIG))
        self._known_likelihoods: dict[Judging, tuple[Likelihood, ...]] = {}

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Raises :class:`RunError` when ``folder`` is not a run, is half written or belongs to another version."""
        folder = Path(folder)
        return cls(folder, read_finished(folder))

    @property
    def id(self) -> str:
        """Equal for equal trainings."""
        return str(self.description["id"])

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @cached_property
    def zoo(self) -> Zoo:
        """The installed plugins."""
        return Zoo.load()

    @cached_property
    def data(self) -> Data:
        """The data set it was trained on; raises :class:`RunError` where that has changed since."""
        data = load(self.config.data, size=self.config.size)
        if data.fingerprint != self.description["fingerprint"]:
            raise RunError(f"{self.folder} was trained on other data than {self.config.data} holds now: train again")
        return data

    @cached_property
    def cost(self) -> dict[str, Any]:
        """Steps, images seen, seconds, precision, peak memory, parameters and machine of the training."""
        return read_cost(self.folder)

    @cached_property
    def model(self) -> Any:
        """The model with its averaged weights, in eval mode."""
        model = self.zoo.model(self.config.model, self.data.shape, self.config.model_options)
        return load_weights(model, self.folder, self.config.model)

    def draw(self, config: SampleConfig, labels: Labels = None) -> Drawn:
        """Samples with what they cost, as many as the protocol asks for where ``config`` does not say.

        ``labels`` are those of :meth:`sample`.

        Raises:
            GenZooError: one subclass per cause, before anything is drawn.
        """
        return self._draw(scoring.resolve(self.zoo, self.model, self.config, self.data, config), labels)

    def _draw(self, drawing: Drawing, labels: Labels = None) -> Drawn:
        """In float32 where the training was asked to be."""
        n, config = drawing.config.num_samples or 0, drawing.config
        chosen = choose_labels(self.model, n, one_a_sample(labels, n), drawing.guidance)
        references = drawing.settle(self.folder)
        samples = draw(
            drawing.sampler,
            self.model,
            n,
            config.seed,
            labels=chosen,
            guidance=drawing.guidance,
            others=drawing.counted,
            precision="float32" if self.config.precision == "float32" else "auto",
        )
        return Drawn(config, samples, scoring.finish(samples.x, self.data), references)

    def sample(
        self,
        n: int = 64,
        *,
        labels: Labels = None,
        sampler: str | None = None,
        options: Mapping[str, Any] | None = None,
        guidance: float | None = None,
        classifier: str | Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Tensor:
        """``n`` uint8 images [n, h, w, c], or float32 points [n, 2] in the data's standardised units.

        Args:
            n: How many.
            labels: Of a conditional model: the class of each, or one for all; every class in turn by default.
            sampler: None is the model's own.
            options: The sampler's.
            guidance: How strongly labels are followed: w of :mod:`genzoo.guidance`; None is the conditional model.
            classifier: What guides in place of the model itself: ``run:FOLDER``, or a training of its own.
            seed: The same seed gives the same samples.

        Raises:
            GenZooError: one subclass per cause, before anything is drawn.
        """
        config = asked("genzoo.sample", sampler, options, guidance, classifier, seed, n)
        return self.draw(config, labels).finished

    def evaluate(
        self,
        *,
        sampler: str | None = None,
        options: Mapping[str, Any] | None = None,
        guidance: float | None = None,
        classifier: str | Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Record:
        """Draw as many samples as the protocol asks for, keep them in the run's folder, and measure them."""
        return self.score(asked("genzoo.evaluate", sampler, options, guidance, classifier, seed))

    def score(self, config: SampleConfig, judging: Judging | None = None, against: Standard | None = None) -> Record:
        """Draw, store and measure one sample set; the record is written beside the samples, last.

        ``against`` something else than the test split of the run's own data nothing is stored, and there is no
        likelihood: that would be one of the run's own data.
        """
        judging, standard = judging or Judging(), against or of_data(self.data)
        drawing = self._resolved(config, standard)
        config = drawing.config
        panel = judging.panel(self.zoo, config.extractor)
        log.info("drawing %d samples with %s", config.num_samples, config.sampler)
        drawn = self._draw(drawing)
        findings = scoring.measure(drawn, standard, panel)
        found = () if against else self._likelihoods(judging)
        findings = findings.extended(scoring.divergence(found, self.data))
        subject = Subject("model", self._model_part(drawn.samples), self._training_part(), drawn.samples.precision)
        folder = None if against else scoring.folder_of(self.zoo, self.folder, self.id, config, judging)
        return scoring.record(subject, drawn, findings, likelihood=found, folder=folder)

    def _resolved(self, config: SampleConfig, standard: Standard) -> Drawing:
        """Raises where what the run makes cannot be measured against ``standard``, or cannot be made."""
        shape, own = standard.wanted.shape, self.data.shape
        if shape not in (None, own):
            raise InvalidSamples(
                f"{self.folder.absolute().name} makes samples of shape {own}, {standard.name} has {shape}"
            )
        config = config.model_copy(update={"num_samples": config.num_samples or standard.num_samples})
        return scoring.resolve(self.zoo, self.model, self.config, self.data, config)

    def _likelihoods(self, judging: Judging) -> tuple[Likelihood, ...]:
        """They belong to the model: computed once, however many samplers are tried on it."""
        if judging not in self._known_likelihoods:
            log.info("likelihood of the test split")
            self._known_likelihoods[judging] = judging.likelihoods(self.model, self.data)
        return self._known_likelihoods[judging]

    def _model_part(self, samples: Samples) -> ModelPart:
        owner, own = self.zoo.owner("model", self.config.model), self.cost["parameters"]
        needed = sum(part.parameters for part in self._trained_first)
        return ModelPart(
            name=self.config.model,
            plugin=owner.name,
            plugin_version=owner.version,
            options=self.config.model_options,
            parameters=Parameters(generator=samples.parameters, total=own["total"], training=own["training"] + needed),
            checkpoint=weights_hash(self.folder),
            seed=self.config.seed,
        )

    @cached_property
    def _references(self) -> dict[str, ReferencePart]:
        return {key: ReferencePart(**part) for key, part in self.cost.get("references", {}).items()}

    @property
    def _trained_first(self) -> Iterable[ReferencePart]:
        """The trained models that the training needed, and that these needed in turn, each once."""
        return {part.training: part for part in self._references.values()}.values()

    def _training_part(self) -> TrainingPart:
        config, cost = self.config, self.cost
        flops = [cost.get("flops"), *(part.flops for part in self._trained_first)]
        return TrainingPart(
            trainer=str(config.trainer),
            options=config.trainer_options,
            budget=str(config.budget),
            batch_size=config.batch_size,
            images_seen=cost["images_seen"],
            steps=cost["steps"],
            seconds=cost["seconds"] + sum(part.seconds for part in self._trained_first),
            flops=None if None in flops else sum(filter(None, flops)),
            peak_memory_mb=cost["peak_memory_mb"],
            precision=cost["precision"],
            references=self._references or None,
            **{fact: cost.get(fact) for fact in ("cpu", "gpu", "threads")},
        )


def start(
    config: TrainConfig,
    out: Path | None = None,
    *,
    data: Data | None = None,
    resume: bool = False,
    track: str | None = None,
    progress: bool = True,
    checkpoint_seconds: float = Upkeep.checkpoint_seconds,
) -> Run:
    """Train what ``config`` says into ``out`` (``runs/<id>`` by default); raises before any work on a wrong request.

    ``data`` is the data set that ``config`` names, where it is loaded already.
    """
    job = prepare(Zoo.load(), config, data)
    folder = out or DEFAULT_OUT / job.id
    execute(job, folder, Upkeep(resume, checkpoint_seconds, progress, track))
    return Run.open(folder)


def train(
    model: str,
    *,
    data: str,
    budget: str = "60s",
    seed: int = 0,
    trainer: str | None = None,
    options: Mapping[str, Any] | None = None,
    trainer_options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Run:
    """Train one model and return its :class:`Run`.

    Args:
        model: A name from ``genzoo list models``.
        data: A name from ``genzoo list datasets``.
        budget: ``60s``, ``20000img`` or ``500steps``.
        seed: Everything random follows from it.
        trainer: A name from ``genzoo list trainers``; the model's own by default.
        options: The model's options (``genzoo info MODEL``).
        trainer_options: The trainer's options.
        settings: Of the loop: ``batch_size``, ``ema``, ``clip``, ``warmup``, ``precision``, ``size``.
        out: The run's folder; ``runs/<id>`` by default.
        resume: Go on with the run in ``out``, or return it if it is finished.
        progress: Show a progress bar.

    Raises:
        GenZooError: one subclass per cause, before any work where it can be known.
    """
    values = {
        "model": model,
        "data": data,
        "budget": budget,
        "seed": seed,
        "trainer": trainer,
        "model_options": dict(options or {}),
        "trainer_options": dict(trainer_options or {}),
        **(settings or {}),
    }
    config = checked(TrainConfig, values, "genzoo.train")
    return start(config, Path(out) if out else None, resume=resume, progress=progress)

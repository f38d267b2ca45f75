"""Check by check, the kit catches what is not sound in a trainer."""

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam
from toys import Likelihood, fails, run, zoo_with


class UnknownOptimizer(Likelihood):
    def losses(self, model, batches):
        for _, loss in super().losses(model, batches):
            yield "critic", loss


class NoLoss(Likelihood):
    def losses(self, model, batches):
        yield from ()


class VectorLoss(Likelihood):
    def losses(self, model, batches):
        yield "model", -model.log_prob(next(batches).x)


class DetachedLoss(Likelihood):
    def losses(self, model, batches):
        for name, loss in super().losses(model, batches):
            yield name, loss.detach()


class NotFiniteLoss(Likelihood):
    def losses(self, model, batches):
        for name, loss in super().losses(model, batches):
            yield name, loss * math.nan


class Endless(Likelihood):
    def losses(self, model, batches):
        while True:
            yield from super().losses(model, batches)


class NoGradAcrossAYield(Likelihood):
    def losses(self, model, batches):
        for name, loss in super().losses(model, batches):
            with torch.no_grad():
                yield name, loss


class AutocastAcrossAYield(Likelihood):
    def losses(self, model, batches):
        with torch.autocast("cpu", torch.bfloat16):
            yield from super().losses(model, batches)


class LeavesGradientsOff(Likelihood):
    def losses(self, model, batches):
        yield from super().losses(model, batches)
        torch.set_grad_enabled(False)


class WritesIntoBatches(Likelihood):
    def losses(self, model, batches):
        x = next(batches).x
        x += 0.1
        yield "model", -model.log_prob(x).mean()


class Forgetful(Likelihood):
    """A running mean of the batches that no checkpoint knows of."""

    def __init__(self):
        self.seen = torch.zeros(())

    def losses(self, model, batches):
        x = next(batches).x
        self.seen = 0.9 * self.seen + x.mean()
        yield "model", -model.log_prob(x - self.seen).mean()


class Remembers(Forgetful):
    """The same with the two methods that make it part of the checkpoint: sound."""

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


class RemembersNumbers(Remembers):
    def state_dict(self):
        return {"seen": self.seen.item()}


class Idle(Likelihood):
    def optimizers(self, model):
        return {"model": SGD(model.parameters(), lr=0.0)}


class HalfTheStd(Likelihood):
    def losses(self, model, batches):
        x = next(batches).x
        yield "model", -model.log_prob(0.5 * x + 0.5 * x.mean(0)).mean()


TRAINER_FAULTS = [
    (UnknownOptimizer, "yields_finite_losses_of_its_optimizers", "a loss of 'critic'; its optimizers are model"),
    (NoLoss, "yields_finite_losses_of_its_optimizers", "a step without a loss"),
    (VectorLoss, "yields_finite_losses_of_its_optimizers", r"has shape \(128,\)"),
    (DetachedLoss, "yields_finite_losses_of_its_optimizers", "has no gradient"),
    (NotFiniteLoss, "yields_finite_losses_of_its_optimizers", "is nan"),
    (Endless, "yields_finite_losses_of_its_optimizers", "more than 1000 losses"),
    (NoGradAcrossAYield, "holds_no_mode_across_a_yield", "turns gradients off across a yield"),
    (AutocastAcrossAYield, "holds_no_mode_across_a_yield", "holds autocast across a yield"),
    (LeavesGradientsOff, "holds_no_mode_across_a_yield", "turns gradients off after a step"),
    (WritesIntoBatches, "leaves_batches_as_they_are", "writes into the batches"),
    (Forgetful, "resumes_exactly", "2 of 2 tensors differ"),
    (RemembersNumbers, "resumes_exactly", "only tensors can be saved"),
    (NotFiniteLoss, "trains_on_images", "not finite"),
    (Idle, "trains_on_images", "no parameter moves"),
    (Idle, "learns_a_known_target", "the mean of what it learned is"),
    (HalfTheStd, "learns_a_known_target", "it learned the standard deviations 0.2"),
]


@pytest.mark.parametrize(("trainer", "check_name", "reason"), TRAINER_FAULTS)
def test_a_trainer_s_fault_is_caught(trainer, check_name, reason):
    with fails(reason):
        run("trainer", "likelihood", check_name, zoo_with(trainer=trainer))
    assert torch.is_grad_enabled()  # and the fault does not reach the next check


def test_a_trainer_with_state_resumes_where_it_saves_it():
    run("trainer", "likelihood", "resumes_exactly", zoo_with(trainer=Remembers))


def test_networks_of_the_trainer_s_own_are_part_of_the_checkpoint():
    class WithNetwork(Likelihood):
        def __init__(self):
            self.shift = nn.Linear(1, 1)

        def optimizers(self, model):
            return {"model": Adam([*model.parameters(), *self.shift.parameters()], lr=0.02)}

        def losses(self, model, batches):
            x = next(batches).x
            yield "model", (self.shift(x.new_ones(1, 1)) - model.log_prob(x)).square().mean()

    class SavedNetwork(WithNetwork):
        def networks(self):
            return self.shift

    run("trainer", "likelihood", "resumes_exactly", zoo_with(trainer=SavedNetwork))
    with fails("tensors differ"):
        run("trainer", "likelihood", "resumes_exactly", zoo_with(trainer=WithNetwork))


def test_data_dependent_initialisation_does_not_do_the_learning():
    class CopiesMoments(Idle):
        def initialize(self, model, batch):
            with torch.no_grad():
                model.mean.copy_(batch.x.mean(0))
                model.log_std.copy_(batch.x.std(0).log())

    with fails("the mean of what it learned is"):
        run("trainer", "likelihood", "learns_a_known_target", zoo_with(trainer=CopiesMoments))

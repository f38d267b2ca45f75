"""Every likelihood of a record is shown, each kind a list of its own."""

from collections.abc import Callable

from genzoo.benchmark.markdown import to_markdown
from genzoo.benchmark.table import build
from genzoo.evaluation.parts import Likelihood
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Seeds = Callable[..., list[Record]]


def of(kind: str, value: float, calls: float = 1, se: float = 0.01) -> Likelihood:
    return Likelihood(value=value, unit="bits/dim", kind=kind, se=se, n=256, calls=calls)


def test_all_likelihoods_of_a_record_are_listed_by_kind_best_first(records: Records) -> None:
    (table,) = build(
        [
            records("vae", "decode", likelihood=(of("lower bound", 3.6), of("importance-weighted bound", 3.4, 64))),
            records("ddpm", "ddim", likelihood=(of("lower bound", 3.1, 32), of("estimate", 3.0, 240))),
            records("realnvp", "decode", likelihood=(of("exact", 3.3),)),
        ]
    )
    assert [(a.kind, a.model, a.cell.text, a.n, a.calls, a.cell.best) for a in table.likelihoods] == [
        ("estimate", "ddpm", "≈ 3.00 ± 0.01", "256", "240", False),
        ("exact", "realnvp", "3.30 ± 0.01", "256", "1", False),
        ("importance-weighted bound", "vae", "≤ 3.40 ± 0.01", "256", "64", False),
        ("lower bound", "ddpm", "≤ 3.10 ± 0.01", "256", "32", True),
        ("lower bound", "vae", "≤ 3.60 ± 0.01", "256", "1", False),
    ]


def test_the_first_of_a_record_stands_in_its_row(records: Records) -> None:
    (table,) = build([records("vae", "decode", likelihood=(of("lower bound", 3.6), of("exact", 1.0)))])
    assert table.rows[0].cells["likelihood"].text == "≤ 3.60 ± 0.01"


def test_a_model_without_one_says_why(records: Records) -> None:
    (table,) = build([records("gan", "decode")])
    assert [(a.kind, a.reason) for a in table.likelihoods] == [("none", "a GAN has none")]
    assert "| none | gan | a GAN has none |  |  |  |" in to_markdown([table])


def test_samplings_of_one_model_share_its_likelihood(records: Records) -> None:
    bound = (of("lower bound", 3.1),)
    samplings = [records("ddpm", "ddim", likelihood=bound, sampling__options={"num_steps": n}) for n in (10, 50)]
    (table,) = build(samplings)
    assert len(table.rows) == 2 and len(table.likelihoods) == 1


def test_over_seeds_it_is_their_mean(records: Records) -> None:
    made = [records("vae", "decode", model__seed=s, likelihood=(of("lower bound", 3.0 + s / 10),)) for s in (0, 1, 2)]
    (table,) = build(made)
    (answer,) = table.likelihoods
    assert answer.cell.text == "≤ 3.1 ± 0.2 (3 seeds)"


def test_the_ends_of_an_annealed_estimate_rank_nobody(records: Records) -> None:
    for kind in ("estimate (AIS, forward)", "estimate (AIS, reverse)"):
        (table,) = build(
            [records(name, "walk", likelihood=(of(kind, value),)) for name, value in (("a", 1.0), ("b", 5.0))]
        )
        assert not any(answer.cell.best for answer in table.likelihoods)
        assert not any(row.cells["likelihood"].best for row in table.rows)


def ends(forward: float, reverse: float, se: float = 0.01) -> tuple[Likelihood, Likelihood]:
    return of("estimate (AIS, forward)", forward, se=se), of("estimate (AIS, reverse)", reverse, se=se)


def test_ends_of_an_annealed_estimate_that_do_not_meet_are_told_and_are_no_headline(records: Records) -> None:
    def told(*likelihood: Likelihood) -> tuple[list[str], bool]:
        (table,) = build([records("ebm", "langevin", likelihood=likelihood), records("vae", "decode")])
        shown = any(column.key == "likelihood" for column in table.columns)
        return [note for note in table.notes if "annealed" in note], shown

    assert told(*ends(3.03, 3.02)) == told(*ends(3.0, 3.2, se=0.1)) == ([], True)
    assert told(of("quadrature", 1.5, se=0.01), *ends(1441.0, 2453.0)) == ([], True)
    notes, known = told(*ends(1441.0, 2453.0))
    assert not known
    assert notes == [
        "ebm · langevin: the two ends of annealed importance sampling lie 1,012.00 bits/dim apart: the "
        "normaliser, and so the likelihood, is not known"
    ]

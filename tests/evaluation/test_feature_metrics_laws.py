"""The laws that feature metrics must keep: of copies, disjoint sets, dropped modes, memorisers and order."""

import pytest
import torch
from feature_sets import measure, normal, values


class TestLaws:
    def test_a_copy_of_the_real_set(self) -> None:
        x = normal(200, 6, 0)
        metrics = values(measure(x, x))
        for name in ("precision", "recall", "density", "coverage", "precision_k3", "recall_k3"):
            assert metrics[name] == 1, name
        assert metrics["fd"] < 1e-5
        assert metrics["sliced_w2"] == metrics["class_distance"] == 0

    def test_disjoint_sets(self) -> None:
        metrics = values(measure(normal(200, 6, 0) + 100, normal(200, 6, 1)))
        for name in ("precision", "recall", "density", "coverage", "precision_k3", "recall_k3"):
            assert metrics[name] == 0, name
        assert metrics["sliced_w2"] > 50

    def test_a_dropped_mode_lowers_recall_and_not_precision(self) -> None:
        real, whole = normal(300, 4, 0), normal(300, 4, 1)
        real[:100, 0] += 50
        whole[:100, 0] += 50
        dropped = torch.cat([whole[100:], normal(100, 4, 2)])
        before, after = values(measure(whole, real)), values(measure(dropped, real))
        assert after["precision"] > before["precision"] - 0.05
        for name in ("recall", "coverage"):
            assert after[name] == pytest.approx(before[name] * 2 / 3, abs=0.06), name
        assert after["class_distance"] > before["class_distance"]

    def test_a_collapsed_set_is_not_diverse(self) -> None:
        real = normal(200, 6, 1)
        metrics = measure(real[:2].repeat(100, 1), real)
        assert metrics["precision"].value == 1
        assert metrics["vendi"].value < 2.01 < metrics["vendi"].expected
        assert metrics["coverage"].value < 0.1
        assert metrics["unique"].value == 0.01

    def test_a_memoriser_is_caught_by_every_measure_of_copies(self) -> None:
        train, real = normal(400, 6, 0), normal(200, 6, 1)
        honest, thief = (measure(fake, real, train) for fake in (normal(200, 6, 2), train[:200]))
        assert honest["exact_duplicates"].value == 0
        assert thief["exact_duplicates"].value == 200
        assert thief["auth_pct"].value == 0 < honest["auth_pct"].value
        assert thief["copy_rate"].value == 1
        assert honest["copy_rate"].value < 0.06
        assert thief["nearest_train_z"].value < -10 < -4 < honest["nearest_train_z"].value
        assert thief["fd_gap"].value > max(0, honest["fd_gap"].value)
        assert thief["fd_train"].value < honest["fd_train"].value

    def test_a_memoriser_of_all_training_images_has_no_distance_to_them(self) -> None:
        """As many training as generated images: fd to the former is 0, and the gap is fd itself."""
        train, real = normal(100, 4, 0), normal(100, 4, 1)
        metrics = measure(train, real, train)
        assert metrics["fd_train"].value < 1e-5
        assert metrics["fd_gap"].value == pytest.approx(metrics["fd"].value, abs=1e-5)


def test_copies_within_and_of_the_real_set_are_counted() -> None:
    train, real, fake = normal(60, 4, 0), normal(50, 4, 1), normal(50, 4, 2)
    real[:3], fake[:7], fake[7:9] = train[0], train[10:17], fake[20]
    metrics = measure(fake, real, train)
    assert (metrics["exact_duplicates"].value, metrics["exact_duplicates"].floor) == (7, 3)
    assert metrics["unique"].value == 48 / 50


def test_order_and_threads_change_nothing() -> None:
    fake, real, train = normal(120, 6, 0), normal(120, 6, 1), normal(300, 6, 2)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = values(measure(fake, real, train))
        torch.set_num_threads(2)
        two = values(measure(fake, real, train))
    finally:
        torch.set_num_threads(threads)
    shuffled = values(measure(fake.flip(0), real.roll(7, 0), train))
    for name in one:
        assert two[name] == pytest.approx(one[name], rel=1e-9, abs=1e-12), name
        if name != "fd_debiased":  # whose halves go by row number
            assert shuffled[name] == pytest.approx(one[name], rel=1e-6 if name == "kid" else 1e-9, abs=1e-12), name

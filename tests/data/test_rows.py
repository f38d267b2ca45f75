"""Labels and splits of rows, before a pixel is decoded."""

from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.data.rows import find_classes, hold_out


@settings(max_examples=30, deadline=None)
@given(labels=st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=60))
def test_a_fifth_of_every_class_is_held_out_and_nothing_is_lost(labels: list[str]) -> None:
    rows = Dataset.from_dict({"row": range(len(labels)), "label": labels})
    train, test = hold_out("rows", rows)
    assert sorted([*train["row"], *test["row"]]) == list(range(len(labels)))
    shares = {label: round(labels.count(label) / 5) for label in set(labels)}
    if any(shares.values()):
        assert {label: test["label"][:].count(label) for label in shares} == shares
    else:
        assert len(test) == 1
    assert hold_out("rows", rows)[1]["row"][:] == test["row"][:]


@settings(max_examples=30, deadline=None)
@given(
    train=st.lists(st.integers(0, 1000), min_size=1, max_size=20),
    test=st.lists(st.integers(0, 1000), min_size=1, max_size=20),
)
def test_class_indices_are_dense_and_mean_the_same_in_both_splits(train: list[int], test: list[int]) -> None:
    classes = find_classes(*(Dataset.from_dict({"label": labels}) for labels in (train, test)))
    assert classes is not None
    names = sorted({*train, *test})
    assert classes.num == len(names)
    assert [[names[i] for i in indices] for indices in classes.indices] == [train, test]


def test_numbers_that_are_no_classes_are_no_labels() -> None:
    assert find_classes(Dataset.from_dict({"label": [0.5, 1.5]})) is None
    assert find_classes(Dataset.from_dict({"label": [[0, 1], [1, 0]]})) is None
    assert find_classes(Dataset.from_dict({"other": [0, 1]})) is None

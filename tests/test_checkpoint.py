"""Checkpoints: any tree there and back bit for bit, always complete, and never a pickle."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mishaps import full_disk, killed, write_half_a_checkpoint
from small import names

from genzoo.checkpoint import LATEST, load_checkpoint, pack, read_tree, save_checkpoint, unpack, write_tree
from genzoo.errors import RunError, StorageError

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
tensors = st.builds(
    lambda dtype, shape, seed: torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)).to(dtype),
    st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3), st.integers(0, 99),
)  # fmt: skip
leaves = tensors | st.integers() | st.floats(allow_nan=False) | st.text() | st.none() | st.booleans()
keys = st.integers(0, 9) | st.sampled_from(["a", "b", "a/b", "0", ""]) | st.text(max_size=3)
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def save(folder: Path, tree: Any, step: int) -> None:
    save_checkpoint(folder, tree, step, 0, lambda: None)


@given(tree=trees)
@settings(max_examples=100, deadline=None)
def test_any_tree_comes_back_from_json_and_named_tensors(tree: Any) -> None:
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(pack(tree, tensors))
    assert same(unpack(json.loads(text), tensors.__getitem__), tree)


def test_a_tree_comes_back_from_a_file(tmp_path: Path) -> None:
    shared = torch.randn(3, 4)
    tree = {"views": [shared, shared.T, shared[::2, 1:]], "scalar": torch.tensor(2.5), 0: {"betas": (0.9, 0.99)}}
    write_tree(tmp_path / "tree.safetensors", tree)
    assert same(read_tree(tmp_path / "tree.safetensors"), {**tree, 0: {"betas": [0.9, 0.99]}})


def test_an_optimizer_goes_on_from_a_file_exactly(tmp_path: Path) -> None:
    def descend(weight: torch.Tensor, adam: torch.optim.Adam, steps: int) -> None:
        for _ in range(steps):
            weight.grad = weight.detach() - 1
            adam.step()

    weight = torch.nn.Parameter(torch.randn(3))
    adam = torch.optim.Adam([weight], lr=0.1)
    descend(weight, adam, 3)
    write_tree(tmp_path / "adam", {"weight": weight, "adam": adam.state_dict()})
    saved = read_tree(tmp_path / "adam")
    other = torch.nn.Parameter(saved["weight"])
    resumed = torch.optim.Adam([other])
    resumed.load_state_dict(saved["adam"])
    descend(weight, adam, 3)
    descend(other, resumed, 3)
    assert torch.equal(weight, other)


def test_a_file_is_json_and_numbers_and_no_pickle(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree", {"weight": torch.zeros(3), "lr": 0.1})
    content = (tmp_path / "tree").read_bytes()
    size = int.from_bytes(content[:8], "little")  # safetensors: the size of a JSON header, the header, the numbers
    assert set(json.loads(content[8 : 8 + size])) == {"__metadata__", "0/weight"}
    assert content[8 + size :] == bytes(12)


def test_the_newest_checkpoint_is_kept_and_the_older_go(tmp_path: Path) -> None:
    for step in (5, 10):
        save(tmp_path, {"step": step}, step)
    assert load_checkpoint(tmp_path, 0) == {"step": 10}
    assert names(tmp_path) == ["10", LATEST]


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint", 0) is None


def test_every_process_writes_before_one_says_that_it_is_complete(tmp_path: Path) -> None:
    at_barrier = []
    save(tmp_path, "old", 1)
    for rank in (1, 0):  # one after another: a barrier that only looks
        barrier = lambda: at_barrier.append(json.loads((tmp_path / LATEST).read_text())["step"])  # noqa: E731
        save_checkpoint(tmp_path, f"of {rank}", 2, rank, barrier)
    assert at_barrier == [1, 1]
    assert [load_checkpoint(tmp_path, rank) for rank in (0, 1)] == ["of 0", "of 1"]


def test_whatever_kills_the_process_a_complete_checkpoint_stays(tmp_path: Path) -> None:
    save(tmp_path, "old", 1)
    assert killed(write_half_a_checkpoint, tmp_path)
    assert (tmp_path / "2").exists() and load_checkpoint(tmp_path, 0) == "old"


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, {"weight": torch.zeros(10)}, 1)
    with full_disk(500), pytest.raises(StorageError, match="cannot write"):
        save(tmp_path, {"weight": torch.zeros(1000)}, 2)
    assert torch.equal(load_checkpoint(tmp_path, 0)["weight"], torch.zeros(10))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"stop": 1}', b"\xff\xfe"])
def test_a_damaged_index_is_one_line(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, "old", 1)
    (tmp_path / LATEST).write_bytes(content)
    with pytest.raises(RunError, match=r"latest\.json is damaged: train again with another --out"):
        load_checkpoint(tmp_path, 0)


@given(cut=st.integers(0, 200), noise=st.binary(max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_damaged_part_is_one_line(tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("part") / "rank0.safetensors"
    write_tree(path, {"weight": torch.arange(10.0), "lr": 0.1})
    whole = path.read_bytes()
    assume(cut + len(noise) != len(whole))  # of that length it is another checkpoint, not a damaged one
    path.write_bytes(whole[:cut] + noise)
    with pytest.raises(RunError, match=r"rank0.safetensors is not a readable checkpoint \(") as caught:
        read_tree(path)
    assert "\n" not in str(caught.value)


def test_a_missing_part_tells_how_many_processes_there_were(tmp_path: Path) -> None:
    save(tmp_path, "old", 1)
    with pytest.raises(RunError, match=r"rank1.safetensors is missing: resume with as many processes"):
        load_checkpoint(tmp_path, 1)


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_tree(tmp_path / "tree", {"function": print})
    assert names(tmp_path) == []

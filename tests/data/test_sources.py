"""Folders, IDX files and parquet: what is found in them, and what is told when it is not."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from genzoo.data import load, sources
from genzoo.errors import DataError

SaveImages = Callable[..., np.ndarray]


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wb") as file:
        file.write(header + array.tobytes())


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """Twenty training and five test images, 4 x 3, of three classes; half the files gzipped."""
    folder = tmp_path / "idx"
    folder.mkdir()
    random = np.random.RandomState(0)
    for split, n in {"train": 20, "t10k": 5}.items():
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", random.randint(0, 256, (n, 4, 3)).astype(np.uint8))
        write_idx(folder / f"{split}-labels-idx1-ubyte", (np.arange(n) % 3).astype(np.uint8))
    return folder


class TestFolder:
    def test_subfolders_are_classes_in_alphabetical_order(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "set" / "zebra", 10, 4, 4)
        ant = save_images(tmp_path / "set" / "ant", 5, 4, 4, seed=1)
        data = load(f"folder:{tmp_path / 'set'}")
        assert (data.num_classes, len(data.train), len(data.test)) == (2, 12, 3)
        assert data.test.labels is not None and torch.bincount(data.test.labels).tolist() == [1, 2]
        ants = data.test.images()[data.test.labels == 0].numpy()
        assert bytes(ants) in set(map(bytes, ant))

    def test_train_and_test_subfolders_are_the_splits(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "set" / "train" / "a", 3, 4, 4)
        save_images(tmp_path / "set" / "train" / "b", 3, 4, 4)
        tests = save_images(tmp_path / "set" / "test" / "b", 2, 4, 4, seed=1)
        data = load(f"folder:{tmp_path / 'set'}")
        assert np.array_equal(data.test.images()[..., 0].numpy(), tests)
        assert data.test.labels is not None and data.test.labels.tolist() == [1, 1]

    def test_a_split_without_classes_has_no_labels(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "set" / "a", 5, 4, 4)
        save_images(tmp_path / "set", 1, 4, 4)
        assert load(f"folder:{tmp_path / 'set'}").num_classes is None

    def test_hidden_files_and_other_files_are_left_out(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "set", 5, 4, 4)
        save_images(tmp_path / "set" / ".thumbnails", 5, 2, 2)
        (tmp_path / "set" / "readme.txt").write_text("words")
        data = load(f"folder:{tmp_path / 'set'}")
        assert len(data.train) + len(data.test) == 5

    def test_the_split_is_the_same_every_time(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "set", 40, 4, 4)
        name = f"folder:{tmp_path / 'set'}"
        assert torch.equal(load(name).test.images(), load(name).test.images())
        assert len(load(name).test) == 8

    def test_one_image_cannot_be_split(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "set", 1, 4, 4)
        with pytest.raises(DataError, match="has 1 row: it takes at least two"):
            load(f"folder:{tmp_path / 'set'}")

    def test_a_rare_class_stays_in_training(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "set" / "common", 10, 4, 4)
        save_images(tmp_path / "set" / "rare", 1, 4, 4)
        data = load(f"folder:{tmp_path / 'set'}")
        assert data.train.labels is not None and data.train.labels.sum() == 1 and len(data.test) == 2

    def test_an_empty_folder_holds_no_images(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"holds no images \(.*\.png"):
            load(f"folder:{tmp_path}")

    def test_an_empty_test_folder_is_named(self, tmp_path: Path, save_images: SaveImages) -> None:
        save_images(tmp_path / "train", 3, 4, 4)
        (tmp_path / "test").mkdir()
        with pytest.raises(DataError, match="test/ holds no images"):
            load(f"folder:{tmp_path}")

    def test_a_missing_folder_and_a_file_are_told_apart(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="is not there: give the path"):
            load(f"folder:{tmp_path / 'nowhere'}")
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="is a file: it takes a folder of images"):
            load(f"folder:{tmp_path / 'file'}")


class TestIdx:
    def test_plain_and_gzipped_files_are_read(self, idx_folder: Path) -> None:
        data = load(f"fashion-mnist:{idx_folder}")
        assert (data.shape, data.levels, data.num_classes) == ((1, 4, 3), 256, 3)
        assert data.train.labels is not None and data.train.labels.tolist() == [i % 3 for i in range(20)]
        first = np.random.RandomState(0).randint(0, 256, (20, 4, 3))[0]
        assert np.array_equal(data.train.images()[0, ..., 0].numpy(), first)

    def test_the_variable_comes_before_the_package(self, idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        idx_folder.rename(idx_folder.with_name("fashion-mnist"))
        monkeypatch.setenv("GENZOO_DATA", str(idx_folder.parent))
        assert len(load("fashion-mnist").train) == 20

    @pytest.mark.skipif(not sources.DEBIAN_FASHION_MNIST.is_dir(), reason="dataset-fashion-mnist is not installed")
    def test_the_package_of_debian_is_found(self) -> None:
        data = load("fashion-mnist")
        assert (len(data.train), len(data.test), data.shape, data.num_classes) == (60_000, 10_000, (1, 28, 28), 10)
        assert data.train.labels is not None and torch.bincount(data.train.labels).unique().tolist() == [6_000]

    def test_a_missing_file_is_named(self, idx_folder: Path) -> None:
        (idx_folder / "t10k-labels-idx1-ubyte").unlink()
        with pytest.raises(DataError, match=r"has no t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte\.gz"):
            load(f"fashion-mnist:{idx_folder}")

    @pytest.mark.parametrize("keep", [0, 3, 10, 40])
    @pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"])
    def test_a_cut_file_is_named(self, idx_folder: Path, name: str, keep: int) -> None:
        content = (idx_folder / name).read_bytes()
        (idx_folder / name).write_bytes(content[: min(keep, len(content) - 1)])
        with pytest.raises(DataError, match=f"{name} is not a whole IDX file"):
            load(f"fashion-mnist:{idx_folder}")

    def test_images_and_labels_must_agree(self, idx_folder: Path) -> None:
        write_idx(idx_folder / "train-labels-idx1-ubyte", np.zeros(19, dtype=np.uint8))
        with pytest.raises(DataError, match=r"images of shape \(20, 4, 3\) and labels of shape \(19,\)"):
            load(f"fashion-mnist:{idx_folder}")

    def test_both_splits_must_have_one_size(self, idx_folder: Path) -> None:
        write_idx(idx_folder / "t10k-images-idx3-ubyte.gz", np.zeros((5, 4, 4), dtype=np.uint8))
        with pytest.raises(DataError, match=r"images of \(4, 3\) to train on and of \(4, 4\) to test on"):
            load(f"fashion-mnist:{idx_folder}")

    def test_the_same_pictures_as_parquet_have_the_same_fingerprint(self, idx_folder: Path, tmp_path: Path) -> None:
        data = load(f"fashion-mnist:{idx_folder}")
        (tmp_path / "parquet").mkdir()
        for name, split in {"train": data.train, "test": data.test}.items():
            assert split.labels is not None
            pictures = [Image.fromarray(picture[..., 0]) for picture in split.images().numpy()]
            features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["a", "b", "c"]))
            rows = datasets.Dataset.from_dict({"image": pictures, "label": split.labels.tolist()}, features=features)
            rows.to_parquet(tmp_path / "parquet" / f"{name}-00000-of-00001.parquet")
        assert load(f"parquet:{tmp_path / 'parquet'}").fingerprint == data.fingerprint


class TestParquet:
    @staticmethod
    def write(path: Path, **columns: object) -> str:
        pq.write_table(pa.table(columns), path)
        return f"parquet:{path}"

    @staticmethod
    def encoded(save_images: SaveImages, folder: Path, n: int) -> list[bytes]:
        save_images(folder, n, 4, 4, 3)
        return [path.read_bytes() for path in sorted(folder.iterdir())]

    def test_a_column_of_files_is_images_and_words_are_classes(self, tmp_path: Path, save_images: SaveImages) -> None:
        files = self.encoded(save_images, tmp_path / "images", 10)
        data = load(self.write(tmp_path / "set.parquet", number=range(10), picture=files, label=["b", "a"] * 5))
        assert (data.shape, data.num_classes, len(data.train), len(data.test)) == ((3, 4, 4), 2, 8, 2)
        assert data.test.labels is not None and sorted(data.test.labels.tolist()) == [0, 1]

    def test_a_row_without_a_label_leaves_all_unlabelled(self, tmp_path: Path, save_images: SaveImages) -> None:
        files = self.encoded(save_images, tmp_path / "images", 4)
        for labels in ([0, 1, None, 0], [0, 1, -1, 0]):
            assert load(self.write(tmp_path / "set.parquet", image=files, label=labels)).num_classes is None

    def test_any_integers_become_class_indices(self, tmp_path: Path, save_images: SaveImages) -> None:
        files = self.encoded(save_images, tmp_path / "images", 10)
        data = load(self.write(tmp_path / "set.parquet", image=files, label=[700, 3] * 5))
        assert data.num_classes == 2 and data.train.labels is not None and set(data.train.labels.tolist()) == {0, 1}

    def test_a_row_without_an_image_is_counted(self, tmp_path: Path, save_images: SaveImages) -> None:
        files = [*self.encoded(save_images, tmp_path / "images", 4), None, b"junk"]
        with pytest.raises(DataError, match=r"2 of 6 images cannot be read: row . \((empty|not an image)\), row "):
            load(self.write(tmp_path / "set.parquet", image=files))

    def test_two_columns_of_numbers_are_points_at_unit_scale(self, tmp_path: Path) -> None:
        raw = np.random.RandomState(0).normal([10, -3], [2, 4], (1000, 2))
        labels = (raw[:, 0] > 10).astype(int)
        data = load(self.write(tmp_path / "set.parquet", a=raw[:, 0], b=raw[:, 1], label=labels))
        x = data.train.points().double()
        assert (data.shape, data.levels, data.density, data.num_classes, len(x)) == ((2,), None, None, 2, 800)
        assert x.mean(0).abs().max() < 1e-6 and x.var(0, correction=0).mean().item() == pytest.approx(1)
        back = x * data.scale + torch.tensor(data.shift)
        assert (torch.cdist(back, torch.tensor(raw)).amin(1) < 1e-5).all()
        assert data.fingerprint == load(data.name).fingerprint

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
    def test_points_that_are_not_finite_are_counted(self, tmp_path: Path, bad: float | None) -> None:
        column = [float(i) for i in range(40)]
        with pytest.raises(DataError, match=r"40 of 40 points of the train split are NaN or infinite|1 of \d+ points"):
            load(self.write(tmp_path / "set.parquet", x=column, y=[*column[:-1], bad]))

    def test_points_that_are_all_the_same_have_no_scale(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="all 8 training points are the same"):
            load(self.write(tmp_path / "set.parquet", x=[1.0] * 10, y=[2.0] * 10))

    def test_the_columns_are_named_when_none_will_do(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="has the columns x, words: it needs one of images"):
            load(self.write(tmp_path / "set.parquet", x=[1.0, 2.0], words=["a", "b"]))

    def test_a_folder_without_a_training_split_is_refused(self, tmp_path: Path) -> None:
        for split in ("test", "val"):
            self.write(tmp_path / f"{split}.parquet", x=[1.0, 2.0], y=[1.0, 3.0])
        with pytest.raises(DataError, match="has the splits test, val: one must be called train"):
            load(f"parquet:{tmp_path}")

    @pytest.mark.parametrize("content", [b"", b"PAR1 and nothing after"])
    def test_a_broken_file_is_told_in_one_line(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "set.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"set\.parquet cannot be read: ") as caught:
            load(f"parquet:{tmp_path / 'set.parquet'}")
        assert "\n" not in str(caught.value)

    def test_no_rows_are_too_few(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"has 0 rows|cannot be read"):
            load(self.write(tmp_path / "set.parquet", x=pa.array([], pa.float64()), y=pa.array([], pa.float64())))

    def test_a_folder_without_parquet_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"holds no \.parquet files"):
            load(f"parquet:{tmp_path}")

    def test_a_file_that_was_replaced_is_read_again(self, tmp_path: Path) -> None:
        name = self.write(tmp_path / "set.parquet", x=[0.0, 1.0, 2.0], y=[0.0, 1.0, 2.0])
        first = load(name)
        self.write(tmp_path / "set.parquet", x=[0.0, 1.0, 2.0], y=[0.0, 1.0, 5.0])
        assert load(name).fingerprint != first.fingerprint

"""Make genzoo/data/digits.parquet of the UCI optical digits as scikit-learn ships them.

``python benchmarks/make_digits.py sklearn/datasets/data/digits.csv.gz genzoo/data/digits.parquet``
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUM_TEST = 500


def held_out(labels: np.ndarray) -> np.ndarray:
    """Whether each row is one of the test rows: drawn class by class, in proportion (largest remainders)."""
    quota = np.bincount(labels) * NUM_TEST / len(labels)
    take = quota.astype(int)
    take[np.argsort(take - quota, kind="stable")[: NUM_TEST - take.sum()]] += 1
    random = np.random.RandomState(0)  # its streams are frozen across numpy versions
    test = np.zeros(len(labels), dtype=bool)
    for label, n in enumerate(take):
        test[random.permutation(np.flatnonzero(labels == label))[:n]] = True
    return test


def main(source: str, target: str) -> None:
    table = np.loadtxt(source, delimiter=",").astype(np.int64)
    levels, labels = table[:, :64].astype(np.uint8), table[:, 64]
    columns = {
        "image": pa.FixedSizeListArray.from_arrays(pa.array(levels.reshape(-1)), 64),
        "label": pa.array(labels),
        "split": pa.array(np.where(held_out(labels), "test", "train")),
    }
    pq.write_table(pa.table(columns), target, compression="zstd")


if __name__ == "__main__":
    main(*sys.argv[1:])

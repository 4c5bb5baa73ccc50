"""Examples to compare on: kept on disk for the process that needs them, or drawn there."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlflow_tfconv.arguments import in_short
from mlflow_tfconv.artifacts import Dataset, TensorSpec
from mlflow_tfconv.errors import ConfigError

if TYPE_CHECKING:  # whoever gives arrays has imported it
    import numpy as np

    Batch = Mapping[str, np.ndarray[Any, Any]]

#: A stream without an end is cut here; the report says how many examples were compared.
MOST_BATCHES = 1000
#: Examples of a dataset in a batch, where the model leaves it open.
_BATCH_SIZE = 32


class SampleSource(Protocol):
    """Who gives the examples."""

    @property
    def named(self) -> str:
        """What they are, in words."""

    def batches(self, inputs: Sequence[TensorSpec]) -> Iterable[Batch]:
        """Batches for a model's inputs, checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSamples:
    """What a caller gave, in a file.

    Attributes:
        path: Pickles one after the other: whether it was a single value, then each value.
    """

    path: Path

    @property
    def named(self) -> str:
        """In words."""
        return "given samples"

    def batches(self, inputs: Sequence[TensorSpec]) -> Iterable[Batch]:
        """As `batches_of` gives them."""
        from mlflow_tfconv.runtimes.batches_of import batches_of

        return batches_of(self._values(), inputs)

    def _values(self) -> Any:
        # The file is our own, written by the caller's process.
        with self.path.open("rb") as file:
            alone = pickle.load(file)  # noqa: S301
            return pickle.load(file) if alone else _stream(self.path)  # noqa: S301


def _stream(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        pickle.load(file)  # noqa: S301
        while file.peek(1):
            yield pickle.load(file)  # noqa: S301


def stored_samples(samples: Any, path: Path) -> StoredSamples:
    """Writes what a caller gave: arrays, a dict of them, or any iterable of such batches.

    Raises:
        ConfigError: They hold what can't be written.
    """
    try:
        _write(samples, path)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigError(
            "The samples are no batches.",
            received=f"{in_short(samples)}: {error}",
            expected="an iterable of {input_name: array of shape (batch, ...)}, or one such dict",
        ) from error
    return StoredSamples(path=path)


def _write(samples: Any, path: Path) -> None:
    with path.open("wb") as file:
        if isinstance(samples, Mapping | str | bytes | list | tuple) or not _is_stream(samples):
            pickle.dump(True, file)
            pickle.dump(_plain(samples), file)
        else:
            pickle.dump(False, file)
            for number, item in enumerate(_features(samples)):
                if number == MOST_BATCHES:
                    break
                pickle.dump(_plain(item), file, protocol=5)


def _is_stream(samples: Any) -> bool:
    return isinstance(samples, Iterable) and not hasattr(samples, "__array__")


def _features(samples: Any) -> Iterable[Any]:
    """Of a tf.data.Dataset of (features, label) the features."""
    if isinstance(getattr(samples, "element_spec", None), tuple):
        return (item[0] for item in samples)
    return samples  # type: ignore[no-any-return]  # an iterable, see above


def _plain(value: Any) -> Any:
    """The same with numpy arrays for the tensors of any library."""
    import numpy as np  # only for samples

    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__array__") and not isinstance(value, np.generic):
        return np.asarray(value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSamples:
    """Examples of a recipe's own data.

    Attributes:
        dataset: The data.
        split: Where they are drawn from.
        limit: How many.
        input_map: Model input to feature, where names differ.
    """

    dataset: Dataset
    split: str
    limit: int
    input_map: Mapping[str, str] | None = None

    @property
    def named(self) -> str:
        """In words."""
        return f"examples of the split {self.split!r}"

    def batches(self, inputs: Sequence[TensorSpec]) -> Iterable[Batch]:
        """As `feature_batches` gives them."""
        from mlflow_tfconv.data.batches import feature_batches

        fixed = {spec.shape[0] for spec in inputs if spec.shape and spec.shape[0] is not None}
        fixed_size = fixed.pop() if len(fixed) == 1 else None
        size = fixed_size or _BATCH_SIZE
        found = feature_batches(
            self.dataset,
            self.split,
            batch_size=size,
            inputs=[replace(spec, shape=(None, *spec.shape[1:])) for spec in inputs],
            limit=max(self.limit, size) if fixed_size else self.limit,
            seed=0,
            input_map=self.input_map,
        )
        return (b for b in found if fixed_size is None or _length(b) == size)


def _length(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def dataset_samples(
    dataset: Dataset | None, limit: int, input_map: Mapping[str, str] | None
) -> DatasetSamples | None:
    """The test split's, or those of what there is; None when there are no data."""
    if dataset is None:
        return None
    split = next((s for s in ("test", "validation", "train") if dataset.counts.get(s)), None)
    if split is None:
        return None
    return DatasetSamples(dataset=dataset, split=split, limit=limit, input_map=input_map)

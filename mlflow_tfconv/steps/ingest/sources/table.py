"""Which class reads which kind of source; a kind's libraries are imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_tfconv.engine.events import Emit

if TYPE_CHECKING:
    from mlflow_tfconv.steps.ingest.config import IngestConfig
    from mlflow_tfconv.steps.ingest.sources.source import Source

_HERE = "mlflow_tfconv.steps.ingest.sources"

#: Kind to `module:class`; the class has a method `open(config, root, emit)`.
TABLE = {
    "csv": f"{_HERE}.csv_source:CsvSource",
    "custom": f"{_HERE}.custom_source:CustomSource",
    "image_folder": f"{_HERE}.image_folder_source:ImageFolderSource",
    "image_list": f"{_HERE}.image_list_source:ImageListSource",
    "npy": f"{_HERE}.npy_source:NpySource",
    "parquet": f"{_HERE}.parquet_source:ParquetSource",
    "text": f"{_HERE}.text_source:TextSource",
    "tfrecord": f"{_HERE}.tfrecord_source:TfrecordSource",
    "video": f"{_HERE}.video_source:VideoSource",
}


def open_source(config: IngestConfig, root: Path, emit: Emit) -> Source:
    """The source that a config names.

    Args:
        config: `using` is one of the table.
        root: Where relative locations start: the recipe's folder.
        emit: Takes what is worth saying, such as what was inferred.

    Raises:
        ConfigError: An option can't be used.
        DataError: There is nothing at its location, or it can't be read.
        MissingLibraryError: The kind needs a library that is not installed.
    """
    module, _, name = TABLE[config.using].partition(":")
    source: Source = getattr(import_module(module), name).open(config, root, emit)
    return source

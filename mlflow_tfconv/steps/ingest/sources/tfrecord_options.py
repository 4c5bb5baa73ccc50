"""What may be asked of a source of the kind `tfrecord`."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlflow_tfconv.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TfrecordOptions:
    """How existing TFRecord files are read.

    Attributes:
        sample_files: From how many files, spread over all of them, it is learned what the features
            are, where `ingest.features` does not say it.
        sample_records: Records looked at in a row at the beginning of each of these files; as many
            again are spread over what follows. Small data are looked at whole.
        defaults: Feature to what a record gets that lacks it. Without, a list of varying length is
            empty there, and a feature of fixed shape is an error.
        in_place: Whether files whose names or folders say train, validation or test stay where they
            are and are only described; otherwise their records are written into new shards.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by pydantic off the class)

    sample_files: int = 10
    sample_records: int = 1000
    defaults: dict[str, int | float | str] = field(default_factory=dict)
    in_place: bool = True

    def __post_init__(self) -> None:
        for name in ("sample_files", "sample_records"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"ingest.tfrecord.{name} is no number of things to look at.",
                    received=getattr(self, name),
                    expected="1 or more",
                    fix="Leave it out.",
                )

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from mlflow_tfconv.data.inference import SchemaInference
from mlflow_tfconv.data.manifest import Manifest, Shard
from mlflow_tfconv.engine.card_html import card_html
from mlflow_tfconv.engine.card_text import print_card
from mlflow_tfconv.engine.cards import Card, Picture, Table, Text
from mlflow_tfconv.errors import DataError
from mlflow_tfconv.steps.ingest.card import card_of
from mlflow_tfconv.steps.ingest.skipped import Skipped
from mlflow_tfconv.steps.ingest.statistics import Statistics

SPLITS = ("train", "validation", "test")


def card_for(folder: Path, examples: dict[str, list[Any]], names: Any = None, **more: Any) -> Card:
    """The card of examples, given by split; `label` is the label where they have one."""
    first = next(iter(itertools.chain.from_iterable(examples.values())))
    labels = ("label",) if "label" in first else ()
    inference, statistics = SchemaInference(labels), Statistics(labels)
    for split, found in examples.items():
        for number, example in enumerate(found):
            statistics.add(split, inference.check(example, "here"), hash((split, number)))
    shards = {
        split: (Shard(path="x", count=len(examples[split]), size_bytes=10, sha256="", content="0"),)
        for split in SPLITS
    }
    given = {"label": names} if names else statistics.text_classes()
    return card_of(
        Manifest(schema=inference.schema(given), splits=shards), statistics, folder, **more
    )


def texts(card: Card) -> str:
    return "\n".join(part.text for part in card.parts if isinstance(part, Text))


def table(card: Card, caption: str) -> Table:
    return next(p for p in card.parts if isinstance(p, Table) and p.caption.startswith(caption))


def of_classes(*labels: Any) -> list[Any]:
    return [{"x": 1.0, "label": label} for label in labels]


def test_classes_that_a_split_lacks_or_that_are_rare_are_told(tmp_path: Path) -> None:
    examples = {
        "train": of_classes(*["cat"] * 40, *["dog"] * 3, "Owl"),
        "validation": of_classes("cat", "dog"),
        "test": of_classes("cat"),
    }
    said = texts(card_for(tmp_path, examples))
    assert "⚠ validation lacks the class 'Owl' of 'label'." in said
    assert "⚠ test lacks 2 classes ('Owl', 'dog') of 'label'." in said
    assert "⚠ There is only one example of the class 'Owl' of 'label'." in said
    assert "the largest has 42 times as many examples as the smallest" in said


def test_balanced_data_give_no_warnings(tmp_path: Path) -> None:
    examples = {split: of_classes("a", "b", "a", "b") for split in SPLITS}
    assert "⚠" not in texts(card_for(tmp_path, examples))


def test_an_empty_split_is_told_once(tmp_path: Path) -> None:
    examples = {"train": of_classes("a", "a"), "validation": [], "test": []}
    said = texts(card_for(tmp_path, examples))
    assert "⚠ No examples in validation and test." in said
    assert "lacks" not in said


def test_classes_without_any_example_are_in_the_table(tmp_path: Path) -> None:
    examples = {split: of_classes(0, 2, 0, 2) for split in SPLITS}
    balance = table(card_for(tmp_path, examples, names=("no", "never", "yes")), "Examples of each")
    assert balance.rows[1] == ("never", "0", "0", "0")


@pytest.mark.parametrize("count", [3, 200])
def test_classes_are_drawn(tmp_path: Path, count: int) -> None:
    labels = [f"$class_{number} 猫" for number in range(count)] * 2
    card = card_for(tmp_path, {split: of_classes(*labels) for split in SPLITS})
    picture = next(part for part in card.parts if isinstance(part, Picture))
    assert picture.path.read_bytes().startswith(b"\x89PNG")
    assert picture.text == f"Examples of each of {count} classes of 'label', by split"


def test_features_tell_what_is_missing(tmp_path: Path) -> None:
    rows = [
        {"age": float("nan"), "name": "", "size": float("inf")},
        {"age": 3.0, "name": "Ann", "size": 1.0},
    ]
    features = table(
        card_for(tmp_path, {"train": rows, "validation": rows, "test": []}), "Features"
    )
    assert features.columns[-2:] == ("missing (NaN, empty)", "with infinity")
    by_name = {row[0]: row for row in features.rows}
    assert by_name["age"][4:] == ("3 to 3", "2 (50.0%)", "")
    assert by_name["name"][5] == "2 (50.0%)"
    assert by_name["size"][6] == "2 (50.0%)"


def test_sizes_of_images_are_told_and_what_helps(tmp_path: Path) -> None:
    images = [{"image": np.zeros((10 + n, 20, 3), np.uint8)} for n in range(5)]
    card = card_for(tmp_path, {"train": images, "validation": images, "test": images})
    sizes = table(card, "Sizes of images")
    assert sizes.rows[0] == ("image: height", "10", "10", "12", "14", "14")
    assert "Give images one size: `ingest.image.size: [224, 224]`, or where" in texts(card)


def test_a_frame_of_each_clip_is_drawn(tmp_path: Path) -> None:
    clips = [{"clip": np.full((5, 8, 8, 3), n, np.uint8)} for n in range(5)]
    card = card_for(tmp_path, {"train": clips, "validation": clips, "test": clips})
    assert (tmp_path / "sample_grid.png").exists()
    assert table(card, "Sizes of images").rows[0][0] == "clip: frames"


def test_texts_and_rows_are_shown_as_a_table(tmp_path: Path) -> None:
    rows = [{"words": "a\n" + "b" * 200, "row": np.arange(200.0), "label": n % 2} for n in range(9)]
    card = card_for(tmp_path, dict.fromkeys(SPLITS, rows))
    samples = table(card, "8 examples")
    assert samples.columns == ("label", "words", "row")
    assert samples.rows[0][1].startswith("a bbb")
    assert len(samples.rows[0][1]) == 60
    assert samples.rows[0][2] == "[0, 1, 2, 3, …] (200)"
    assert table(card, "Lengths").rows[0][0] == "words, bytes of text"


def test_what_was_left_out_is_listed(tmp_path: Path) -> None:
    skipped = Skipped()
    for number in range(30):
        skipped.add(DataError(f"a/{number}.png is no image.", received="x"))
    examples = {split: [{"x": 1.0}] for split in SPLITS}
    listed = table(card_for(tmp_path, examples, skipped=skipped), "⚠ 30 examples")
    assert listed.caption.endswith(", the first 20")
    assert listed.rows[4] == ("5", "a/4.png is no image. Received: x.")


def test_hundreds_of_features_do_not_flood_the_card(tmp_path: Path) -> None:
    example = {f"f{number}": float(number) for number in range(300)}
    card = card_for(tmp_path, {split: [example] * 2 for split in SPLITS})
    assert table(card, "Features").caption == "Features, the first 60 of 300"
    assert len(table(card, "Features").rows) == 60


def test_the_card_can_be_shown_in_a_page_and_in_a_terminal(tmp_path: Path) -> None:
    rows = [{"text": "<b>[red]</b>", "label": "[/x] <i>"}] * 3
    card = card_for(tmp_path, dict.fromkeys(SPLITS, rows))
    assert "&lt;b&gt;[red]" in card_html(card, "ingest")
    console = Console(width=100, record=True)
    print_card(card, "ingest", console)
    assert "<b>[red]</b>" in console.export_text()

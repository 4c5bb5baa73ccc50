from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_tfconv.errors import ConversionError
from mlflow_tfconv.sources.darknet.cfg_text import looks_like_cfg, sections_from_text
from mlflow_tfconv.sources.darknet.network import Network
from mlflow_tfconv.sources.darknet.network_from_cfg import network_from_cfg

NET = "[net]\nchannels=3\nheight=8\nwidth=8\n"


def network(layers: str) -> Network:
    return network_from_cfg(sections_from_text(NET + layers, Path("net.cfg")))


def test_blanks_and_comments_mean_nothing_and_the_first_of_a_key_counts() -> None:
    section = sections_from_text(
        "# a network\n[net]\n width = 8 \n;height=3\nheight=4\nheight=5", Path("a.cfg")
    )[0]
    assert (section.whole("width", 0), section.whole("height", 0)) == (8, 4)
    assert section.settings["height"][1] == 5


def test_second_names_of_sections_are_known() -> None:
    layers = network(
        "[conv]\nfilters=2\n[max]\nsize=2\nstride=2\n[conn]\noutput=3\n[soft]\n"
    ).layers
    kinds = [layer.section.kind for layer in layers]
    assert kinds == ["convolutional", "maxpool", "connected", "softmax"]


def test_weights_are_counted_before_anything_is_built() -> None:
    found = network("[convolutional]\nfilters=1000000\nsize=3\npad=1\nbatch_normalize=1\n")
    assert sum(slot.size for slot in found.slots) == 4_000_000 + 27_000_000


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ("[gru]\noutput=3\n", r"line 5: \[gru\] is a layer that is not supported"),
        ("[convolutional]\nfilter=3\n", r"line 6: \[convolutional\] has a key that is not known"),
        ("[convolutional]\nfilters=three\n", "line 6: .* whole number"),
        ("[convolutional]\nfilters=-3\n", "line 6: .* whole number of 1 or more"),
        ("[convolutional]\nxnor=1\n", "line 6: .*'xnor', which is not supported"),
        ("[convolutional]\nfilters\n", "line 6: this is no `key=value`"),
        ("[convolutional]\nsize=9\n", "line 6: .* larger than its image of 8 x 8"),
        ("[convolutional]\nfilters=4\ngroups=2\n", "line 7: .* can't divide 3 channels"),
        ("[route]\nlayers=-1\n", "line 6: .* names a layer that is not before it"),
        ("[route]\n", "line 5: .* lacks 'layers'"),
        ("[maxpool]\nsize=2\nstride=0\n", "line 7: .* whole number of 1 or more"),
        ("[upsample]\nstride=100000\n", "line 5: .* would give an image of 3 x 800000 x 800000"),
        ("[reorg]\nstride=3\n", "line 5: .* can't divide an image of 3 x 8 x 8"),
        ("[connected]\noutput=4\n[maxpool]\n", "line 7: .* needs an image before it"),
        ("[convolutional]\nfilters=5\n[yolo]\nmask=0\nclasses=3\n", "line 9: .* doesn't fit"),
    ],
)
def test_what_can_not_be_is_told_with_its_line(layers: str, says: str) -> None:
    with pytest.raises(ConversionError, match=f"net.cfg, {says}"):
        network(layers)


@pytest.mark.parametrize("text", ["", "width=3", "[convolutional]\nfilters=3", "[net]\nwidth=3"])
def test_a_text_that_is_no_network_is_told(text: str) -> None:
    with pytest.raises(ConversionError, match=r"no architecture of darknet|how large the input"):
        network_from_cfg(sections_from_text(text, Path("net.cfg")))


def test_an_unknown_key_gets_the_nearest_one() -> None:
    with pytest.raises(ConversionError) as error:
        network("[convolutional]\nbatch_normalise=1\n")
    assert error.value.fix == "Did you mean 'batch_normalize'?"


def test_a_cfg_is_known_by_its_first_words(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("# comment\n\n[net]\nwidth=3")
    (tmp_path / "b").write_bytes(b"[net]\0\0")
    assert looks_like_cfg(tmp_path / "a")
    assert not looks_like_cfg(tmp_path / "b")
    assert not looks_like_cfg(tmp_path / "missing")

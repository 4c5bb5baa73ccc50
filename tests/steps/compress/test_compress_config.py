"""What may be asked of compress."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mlflow_tfconv.errors import ConfigError
from mlflow_tfconv.steps.compress.config import (
    CompressConfig,
    PruneConfig,
    QuantizeConfig,
    VariantConfig,
)


def read(*variants: Any) -> CompressConfig:
    text = json.dumps({"variants": variants})
    return TypeAdapter(CompressConfig).validate_json(text, strict=True)


def test_the_variants_of_the_design_are_read() -> None:
    config = read(
        {"name": "int8", "quantize": "static_int8"},
        {"name": "pruned50", "prune": {"sparsity": 0.5, "epochs": 2}},
        {"name": "both", "prune": {"sparsity": 0.5}, "quantize": {"method": "float16"}},
    )
    assert [v.technique for v in config.variants] == ["static", "prune", "prune+float16"]
    assert [v.precision for v in config.variants] == ["int8", "float32", "float16"]


@pytest.mark.parametrize("short", ["float16", "dynamic", "dynamic_int8", "static_int8"])
def test_a_shorthand_stands_for_settings_in_full(short: Any) -> None:
    settings = VariantConfig(name="v", quantize=short).quantization
    assert isinstance(settings, QuantizeConfig)
    assert settings.method == short.removesuffix("_int8")
    assert settings.dtype == (None if short == "float16" else "int8")


@pytest.mark.parametrize(
    "variant",
    [
        {"name": "v", "quantize": "static_int4"},
        {"name": "v", "quantize": {"metod": "static"}},
        {"name": "v", "quantize": {"method": "float16", "dtype": "int8"}},
        {"name": "v", "quantize": {"method": "static", "samples": 0}},
        {"name": "v", "prune": {"sparsity": "0.5"}},
        {"name": "v", "prune": {"sparsity": 1.2}},
        {"name": "v", "prune": {"sparsity": 0}},
        {"name": "v", "prune": {"sparsity": 0.5, "schedule": "cubic"}},
        {"name": "v", "prune": {"sparsity": 0.5, "learning_rate": 0}},
        {"name": "v"},
        {"name": "base", "quantize": "float16"},
        {"name": "a/b", "quantize": "float16"},
        {"name": "..", "quantize": "float16"},
    ],
)
def test_what_can_not_be_made_is_refused_before_anything_runs(variant: Any) -> None:
    with pytest.raises((ValidationError, ConfigError)):
        read(variant)


def test_two_variants_of_one_name_are_refused() -> None:
    with pytest.raises((ValidationError, ConfigError), match="same name"):
        read({"name": "a", "quantize": "float16"}, {"name": "A", "quantize": "dynamic"})


def test_the_message_about_sparsity_says_how_to_mend_it() -> None:
    with pytest.raises(ConfigError) as caught:
        PruneConfig(sparsity=50)
    assert "Received: 50" in str(caught.value)
    assert "Write 0.5" in str(caught.value)

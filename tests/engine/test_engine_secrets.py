from __future__ import annotations

import pytest

from mlflow_tfconv.engine.secrets import masked, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://bucket/a b/c.csv", "s3://bucket/a b/c.csv"),
        ("https://me:pass@host/a?version=3", "https://***@host/a?version=3"),
        ("GET https://h/a?X-Amz-Signature=abc&x=1 failed", "GET https://h/a?X-Amz-Signature=***&x=1 failed"),
        ("https://h/a?sig=ab%2F&se=2030", "https://h/a?sig=***&se=2030"),
        ("write to me@example.org", "write to me@example.org"),
    ],
)  # fmt: skip
def test_users_tokens_and_signatures_are_taken_out_of_urls(text, shown):
    assert without_secrets(text) == shown


def test_secret_options_are_masked_wherever_they_stand():
    options = {
        "key": "AKIA1",
        "anon": False,
        "token": "anon",
        "endpoint_url": "http://me:pw@host",
        "client_kwargs": {"aws_session_token": "abc", "region_name": "eu"},
    }
    assert masked({"key": "id", "storage_options": options}) == {
        "key": "id",
        "storage_options": {
            "key": "***",
            "anon": False,
            "token": "anon",
            "endpoint_url": "http://***@host",
            "client_kwargs": {"aws_session_token": "***", "region_name": "eu"},
        },
    }
    assert without_secrets("AKIA1 is refused", options) == "*** is refused"


def test_masking_keeps_shapes():
    assert masked([("a", 1), {"b": None}]) == [("a", 1), {"b": None}]

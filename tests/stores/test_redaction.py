from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import InputError
from hexgate.stores.redaction import shown
from hexgate.stores.secret import secret

ENV = {
    "AWS_SECRET_ACCESS_KEY": "sentinel/one+two",
    "AWS_SESSION_TOKEN": "sentinel/one+two/longer",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=acct;AccountKey=c2VudGluZWw=;BlobEndpoint=https://a.example.com",
    "AZURE_STORAGE_SAS_TOKEN": "?sv=2024-11-04&sig=sentinel%2Bsig",
    "OSS_ACCESS_KEY_ID": "abc",
    "HOME": "/home/someone",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("refused sentinel/one+two", "refused ***"),
        ("refused sentinel/one+two/longer", "refused ***"),
        ("key c2VudGluZWw= is wrong", "key *** is wrong"),
        ("signature sentinel%2Bsig", "signature ***"),
        ("GET https://a.example.net/b?sig=other&se=1: refused", "GET https://a.example.net/b?*** refused"),
        ("proxy http://user:word@proxy:8080 refused", "proxy http://***@proxy:8080 refused"),
        ("abc in /home/someone\n  stays", "abc in /home/someone stays"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_secrets_queries_and_users_are_not_shown(text: str, expected: str) -> None:
    assert shown(text, ENV) == expected


@settings(deadline=None)
@given(
    st.text(),
    st.text(),
    st.text(st.characters(codec="ascii", exclude_characters=" ;&?="), min_size=6, max_size=40),
)
def test_no_secret_is_shown_wherever_it_stands(before: str, after: str, secret: str) -> None:
    if "".join(secret.split()) == secret and "*" not in secret:
        assert secret not in shown(f"{before} {secret} {after}", {"SOME_TOKEN": secret})


@pytest.mark.parametrize(
    "value", ["sentinel-one\n", " sentinel-one", "sentinel-one\r\nsentinel-two\n", "sentinél-öne\t"]
)
@pytest.mark.parametrize(
    "written", [str, repr, ascii, json.dumps, lambda each: repr(each.encode()), str.strip]
)
def test_a_secret_with_a_line_end_is_hidden_however_it_is_written(
    value: str, written: Callable[[str], str]
) -> None:
    text = shown(f"Invalid header value {written(value)} was refused", {"AWS_SESSION_TOKEN": value})
    assert "sentin" not in text
    assert text.startswith("Invalid header value")


def test_white_space_around_a_secret_is_not_part_of_it() -> None:
    assert secret({"A_TOKEN": " sentinel\r\n"}, "A_TOKEN") == "sentinel"
    assert secret({"A_TOKEN": "\n"}, "A_TOKEN") is None
    assert secret({}, "A_TOKEN") is None


@pytest.mark.parametrize("value", ["sentinel\none", "sentinél", "sentinel\x7f", "sentinel\ud800"])
def test_what_no_header_holds_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(InputError, match="A_TOKEN") as failed:
        secret({"A_TOKEN": value}, "A_TOKEN")
    assert "sentin" not in str(failed.value)

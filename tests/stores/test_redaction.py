from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.stores.redaction import shown

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

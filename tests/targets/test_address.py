from __future__ import annotations

from pathlib import Path

import pytest

from hexgate.errors import InputError
from hexgate.targets.address import read_address

CASES = [
    ("http://h:8000/v1", "http://h:8000/v1", "openai-chat", ""),
    ("http://h:8000/v1/", "http://h:8000/v1", "openai-chat", ""),
    ("https://h/compatible-mode/v1", "https://h/compatible-mode/v1", "openai-chat", ""),
    ("https://h/api/v3", "https://h/api/v3", "openai-chat", ""),
    ("http://h/v1/chat/completions", "http://h/v1", "openai-chat", ""),
    ("http://h/v1/completions", "http://h/v1", "openai-completions", ""),
    ("http://h/v1/responses", "http://h/v1", "openai-responses", ""),
    ("http://h/v1/embeddings", "http://h/v1", "openai-embeddings", ""),
    ("http://h/api/chat", "http://h", "ollama-chat", ""),
    ("http://h/pre/api/embed/", "http://h/pre", "ollama-embed", ""),
    ("http://h:3000/generate", "http://h:3000", "tgi", ""),
    ("http://h/pre/generate_stream", "http://h/pre", "tgi", ""),
    ("http://h/v2/models/net/generate", "http://h", "triton-generate", "net"),
    ("http://h/pre/v2/models/a%2Fb/generate_stream", "http://h/pre", "triton-generate", "a/b"),
    ("http://h:1/v2/models/net", "http://h:1", "kserve-v2", "net"),
    ("http://h:1/pre/v2/models/my%20net/infer", "http://h:1/pre", "kserve-v2", "my net"),
    ("http://h/predict", "http://h/predict", "predict", ""),
    ("http://h/score/v7x", "http://h/score/v7x", "predict", ""),
    ("http://h/api/generate", "http://h", "ollama-generate", ""),
    ("ollama://h/llama3:8b", "http://h:11434", "ollama-generate", "llama3:8b"),
    ("ollama://h:99/lib/name", "http://h:99", "ollama-generate", "lib/name"),
    ("ollama://h", "http://h:11434", "ollama-generate", ""),
    ("http://[::1]:80/v1", "http://[::1]:80/v1", "openai-chat", ""),
    ("HTTP://Host/predict", "http://host/predict", "predict", ""),
]


@pytest.mark.parametrize(("uri", "base", "dialect", "model"), CASES)
def test_addresses(uri: str, base: str, dialect: str, model: str) -> None:
    found = read_address(uri, None)
    assert (found.base_url, found.dialect, found.model) == (base, dialect, model)


def test_a_named_dialect_wins() -> None:
    assert read_address("http://h/generate", "openai-completions").dialect == "openai-completions"
    assert read_address("http://h/predict", "kserve-v2").dialect == "kserve-v2"
    assert read_address("http://h/v1", "openai-responses").base_url == "http://h/v1"
    assert read_address("http://h/v2/models/m", "triton-generate").model == "m"
    assert read_address("ollama://h/m", "ollama-chat").dialect == "ollama-chat"
    assert read_address("http://h", "tgi").base_url == "http://h"


def test_a_path_is_taken_off_for_its_own_family_alone() -> None:
    assert read_address("http://h/v1/completions", "openai-chat").base_url == "http://h/v1"
    assert read_address("http://h/api/generate", "ollama-chat").base_url == "http://h"
    assert read_address("http://h/generate", "predict").base_url == "http://h/generate"
    assert read_address("http://h/v1/embeddings", "predict").base_url == "http://h/v1/embeddings"


def test_a_template_takes_the_address_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    file.write_text('{"path": "/x", "body": "{prompt}", "text": "reply"}', encoding="utf-8")
    for url in ("http://h", "http://h/v1", "http://h/generate", "http://h/v2/models/m"):
        found = read_address(url, f"template:{file}")
        assert (found.base_url, found.dialect, found.model) == (url, f"template:{file}", "")
    with pytest.raises(InputError, match="cannot be read"):
        read_address("http://h", f"template:{file}x")


def test_credentials_are_taken_out() -> None:
    found = read_address("http://user:p%40ss@h:1/v1", None)
    assert found.userinfo == ("user", "p@ss")
    assert found.uri == "http://h:1/v1"
    assert "p@ss" not in repr(found)
    assert "user" not in repr(found)


WRONG = [
    ("http://h:8000", "http://h:8000/v1"),
    ("http://h/v2", "which API"),
    ("http:///v1", "no host"),
    ("http://h:99999/v1", "not a URL"),
    ("http://h/v1?key=secret", "a query"),
    ("http://user:secret@h", "which API"),
    ("http://user:secret@h:x/v1", "not a URL"),
]


@pytest.mark.parametrize(("uri", "message"), WRONG)
def test_wrong_addresses(uri: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_address(uri, None)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_unknown_dialect() -> None:
    with pytest.raises(InputError, match="did you mean openai-chat"):
        read_address("http://h/v1", "openai-chats")

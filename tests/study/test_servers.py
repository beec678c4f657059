"""What a study does with a server beside its runs: load, let go, ask what it is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, TargetFailed
from hexgate.study.configuration import quantization_in, quantization_stated
from hexgate.study.opening import Opened, endpoint_of, is_here, open_model
from hexgate.study.spec import Cold, ModelSpec
from hexgate.study.spec_file import read_spec
from support.routed_server import RoutedServer
from support.studies import ScriptedOllama, write_study


def opened(folder: Path, target: str, **changes: Any) -> tuple[Opened, ModelSpec]:
    model = {"target": target, **changes.pop("model", {})}
    spec = read_spec(write_study(folder, models=[model], **changes))
    return open_model(spec.models[0], spec), spec.models[0]


class TestOllama:
    """Over its own API, section by section of what its source says."""

    def test_the_configuration_is_what_the_server_states(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            found, model = opened(tmp_path, ollama.target)
            with found:
                found.server.preload()
                block = found.configuration(model).to_json()
        assert block["server"] == "ollama"
        assert block["server_version"] == "0.12.3"
        assert block["digest"] == "sha256:ab12"
        assert (block["family"], block["quantization"]) == ("llama", "Q4_K_M")
        assert block["parameters"] == 1_235_814_432
        assert (block["context_length"], block["num_ctx"]) == (131_072, 2048)
        assert block["offload_ratio"] == 0.75
        assert block["missing"] == {}

    def test_a_number_in_words_is_read_where_there_is_no_other(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            ollama.server.routes["POST /api/show"] = lambda _: {
                "details": {"family": "llama", "parameter_size": "1.2B", "quantization_level": "Q4_K_M"}
            }
            found, model = opened(tmp_path, ollama.target)
            with found:
                assert found.configuration(model).parameters == pytest.approx(1.2e9)

    def test_what_it_does_not_state_is_null_with_a_reason_or_declared(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            for gone in ("POST /api/show", "GET /api/ps"):
                del ollama.server.routes[gone]
            found, model = opened(tmp_path, ollama.target, model={"quantization": "Q8_0"})
            with found:
                block = found.configuration(model).to_json()
        assert block["quantization"] == "Q8_0"
        assert block["declared"] == ["quantization"]
        assert block["parameters"] is None
        assert "/api/show: http_404" in block["missing"]["parameters"]
        assert "2048 was asked for" in block["missing"]["num_ctx"]
        assert "offload_ratio" in block["missing"]

    def test_a_model_is_let_go_and_waited_for(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            found, _ = opened(tmp_path, ollama.target)
            with found:
                found.server.preload()
                assert ollama.loaded
                ollama.looks_until_gone = 3
                assert found.server.unload(lambda _: None) is None
                assert not ollama.loaded
            asked = [route for route, _ in ollama.server.asked]
        assert asked.count("GET /api/ps") == 3
        assert ollama.server.bodies("POST /api/generate")[-1] == {
            "model": "tiny:1b",
            "keep_alive": 0,
            "stream": False,
        }

    def test_where_loaded_models_are_not_listed_the_reason_is_told(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            del ollama.server.routes["GET /api/ps"]
            found, _ = opened(tmp_path, ollama.target)
            with found:
                why = found.server.unload(time.sleep)
        assert why is not None
        assert "/api/ps" in why

    def test_a_model_is_loaded_with_the_options_of_the_runs(self, tmp_path: Path) -> None:
        request = {"max_tokens": 16, "num_ctx": 2048, "options": {"options": {"num_gpu": 0}}}
        own = {"options": {"options": {"num_thread": 2}}}
        with ScriptedOllama() as ollama:
            found, _ = opened(tmp_path, ollama.target, request=request, model=own)
            with found:
                found.server.preload()
                options = found.server.options(Cold.NONCE)
            loading = ollama.server.bodies("POST /api/generate")[0]
        assert loading["options"] == options["options"] == {"num_ctx": 2048, "num_gpu": 0, "num_thread": 2}
        assert "prompt" not in loading
        assert options["think"] is False
        assert options["keep_alive"] == loading["keep_alive"]

    def test_think_is_left_unsaid_where_the_study_says_default(self, tmp_path: Path) -> None:
        with ScriptedOllama() as ollama:
            found, _ = opened(tmp_path, ollama.target, request={"think": "default"})
            with found:
                assert "think" not in found.server.options(Cold.NONE)

    def test_a_model_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with (
            ScriptedOllama() as ollama,
            pytest.raises(InputError, match=r"^huge:70b at .*does not serve") as caught,
        ):
            opened(tmp_path, ollama.target.replace("tiny:1b", "huge:70b"))
        # A study has no option for it.
        assert "--model-name" not in str(caught.value)


LLAMA = {
    "GET /props": lambda _: {
        "default_generation_settings": {"n_ctx": 4096},
        "model_path": "/models/tiny-Q6_K.gguf",
        "build_info": "b6000-abc",
    },
    "GET /v1/models": lambda _: {
        "data": [{"id": "tiny", "meta": {"n_params": 1_000_000, "n_ctx_train": 8192, "size": 700_000}}]
    },
}


class TestOthers:
    """llama.cpp's server, and any that speaks OpenAI's API."""

    def test_llama_cpp_is_known_by_its_props(self, tmp_path: Path) -> None:
        with RoutedServer(LLAMA) as server:
            found, model = opened(tmp_path, f"{server.origin}/v1", model={"name": "t", "model": "tiny"})
            with found:
                block = found.configuration(model).to_json()
                assert found.server.options(Cold.NONCE) == {"cache_prompt": False}
                assert found.server.options(Cold.NONE) == {}
        assert block["server"] == "llama.cpp"
        assert block["server_version"] == "b6000-abc"
        assert (block["quantization"], block["parameters"]) == ("Q6_K", 1_000_000)
        assert (block["num_ctx"], block["context_length"]) == (4096, 8192)
        assert set(block["missing"]) == {"digest", "family", "size_vram_bytes", "offload_ratio"}

    def test_llama_cpp_says_what_its_file_is_and_answers_to_any_name(self, tmp_path: Path) -> None:
        routes = {
            **LLAMA,
            "GET /props": lambda _: {**LLAMA["GET /props"]({}), "model_ftype": "Q4_K - Medium"},
            "POST /v1/chat/completions": lambda _: {"choices": [{"message": {"content": "Hi"}}]},
        }
        with RoutedServer(routes) as server:
            model = {"name": "t", "model": "as-i-call-it"}
            found, spec = opened(tmp_path, f"{server.origin}/v1", model=model)
            with found:
                block = found.configuration(spec).to_json()
        # Its own word counts, and not the name of the file.
        assert block["quantization"] == "Q4_K_M"
        assert (block["parameters"], block["context_length"]) == (1_000_000, 8192)

    def test_of_any_other_server_little_is_known_and_the_rest_declared(self, tmp_path: Path) -> None:
        routes = {"GET /v1/models": lambda _: {"data": [{"id": "m", "max_model_len": 4096}]}}
        with RoutedServer(routes) as server:
            own = {"name": "m", "parameters": 4e9, "quantization": "AWQ", "context_length": 32768}
            found, model = opened(tmp_path, f"{server.origin}/v1", model=own)
            with found:
                block = found.configuration(model).to_json()
                assert found.server.unload(time.sleep) is not None
        assert block["server"] == "openai"
        assert block["num_ctx"] == 4096
        assert block["declared"] == ["context_length", "parameters", "quantization"]
        assert "server_version" in block["missing"]

    def test_a_server_that_cannot_unload_cannot_be_asked_to_before_each_run(self, tmp_path: Path) -> None:
        with RoutedServer(LLAMA) as server, pytest.raises(InputError, match="cannot be unloaded"):
            opened(tmp_path, f"{server.origin}/v1", model={"name": "t", "model": "tiny"}, cold="unload")

    def test_nobody_there_is_told_before_anything_is_measured(self, tmp_path: Path) -> None:
        with pytest.raises(TargetFailed):
            opened(tmp_path, "http://127.0.0.1:9/v1", model={"name": "m"})


def test_models_of_one_server_share_an_endpoint() -> None:
    one = ModelSpec("a", "http://127.0.0.1:8000/v1")
    other = ModelSpec("b", "ollama://127.0.0.1:8000/tiny")
    assert endpoint_of(one) == endpoint_of(other) == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1"),
        ("http://127.0.0.1:8000/v1", "ollama://LocalHost:8000/tiny"),
        ("http://[::1]:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://Box.example/v1", "http://box.example:80/v1"),
        ("https://box.example/v1", "https://BOX.example:443/v1"),
        ("http://box.example./v1", "http://box.example/v1"),
    ],
)
def test_an_endpoint_is_one_however_its_address_is_written(one: str, other: str) -> None:
    assert endpoint_of(ModelSpec("a", one)) == endpoint_of(ModelSpec("b", other))


def test_other_ports_and_hosts_are_other_endpoints() -> None:
    targets = ("http://a.example/v1", "http://a.example:81/v1", "https://a.example/v1", "http://b.example/v1")
    assert len({endpoint_of(ModelSpec("m", target)) for target in targets}) == 4


def test_a_server_is_here_by_its_address_or_as_declared() -> None:
    assert is_here(ModelSpec("a", "http://localhost:8000/v1"))
    assert not is_here(ModelSpec("a", "http://10.0.0.5:8000/v1"))
    assert is_here(ModelSpec("a", "http://10.0.0.5:8000/v1", here=True))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("qwen1_5-1_8b-chat-q6_k.gguf", "Q6_K"),
        ("Qwen3-4B-Q4_K_M.gguf", "Q4_K_M"),
        ("tiny-IQ2_XXS.gguf", "IQ2_XXS"),
        ("tiny-f16.gguf", "F16"),
        ("q4b-model.gguf", None),
    ],
)
def test_the_name_of_a_file_may_tell_its_quantisation(name: str, found: str | None) -> None:
    assert quantization_in(name) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Q4_K - Medium", "Q4_K_M"),
        ("Q3_K - Large", "Q3_K_L"),
        ("Q6_K", "Q6_K"),
        ("Q8_0", "Q8_0"),
        ("IQ2_XXS - 2.0625 bpw", "IQ2_XXS"),
        ("(guessed) all F32", "F32"),
        ("IQ3_S mix - 3.66 bpw", None),
        ("unknown, may not work", None),
    ],
)
def test_words_of_llama_cpp_for_a_quantisation(words: str, found: str | None) -> None:
    assert quantization_stated(words) == found

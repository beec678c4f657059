"""Each indicator on every kind of target that can be measured with it, as the artifact's readers find it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.indicators import INDICATORS
from hexgate.reference.endpoint import RunningServer
from support.load_running import until_undisturbed
from support.measuring import DIGITS, HELD_OUT, check, measured
from support.scripted import ScriptedServer

SCORES = ("accuracy_f1", "latency_p99", "throughput_rps", "robustness_adv", "power_efficiency")
TEXT = ("accuracy_f1", "latency_p99", "throughput_rps", "toxicity", "power_efficiency")
PLACES = {
    "demo:": ("demo:", INDICATORS),
    "onnx": (str(DIGITS), INDICATORS),
    "predict": ("{url}/predict", SCORES),
    "kserve": ("{url}/v2/models/hexgate-demo-digits", SCORES),
    "openai": ("{url}/v1", TEXT),
    "completions": ("{url}/v1/completions", ("latency_p99",)),
    "ollama": ("{ollama}/hexgate-demo-lm", TEXT),
}


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "sentences.jsonl"
    texts = [("good", "what a fine day"), ("bad", "the soup was cold"), ("good", "all went well")] * 3
    lines = [
        json.dumps({"id": str(n), "text": text, "label": label}) for n, (label, text) in enumerate(texts)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place, (_, names) in PLACES.items() for name in names]
)
def test_an_artifact_keeps_its_contract_and_is_what_its_evidence_says(
    place: str, name: str, reference: RunningServer, sentences: Path, tmp_path: Path
) -> None:
    url = PLACES[place][0].format(url=reference.url, ollama=reference.url.replace("http://", "ollama://"))
    gives_text = place in {"openai", "completions", "ollama"}
    data = str(sentences) if gives_text else str(HELD_OUT) if place != "demo:" else None

    done, out = until_undisturbed(
        lambda folder: measured(name, url, folder, data=data, limit=9), tmp_path, lambda done: str(done.error)
    )

    assert done.error is None
    artifact = check(out / f"{name}.json").data
    assert artifact["status"] == "complete"
    assert artifact["counts"]["succeeded"] > 0
    assert artifact["counts"]["errored"] == artifact["counts"]["skipped"] == 0
    # The limit is said, and what it left.
    assert artifact["dataset"]["limit"] == 9
    assert artifact["dataset"]["used"] == 9
    assert artifact["dataset"]["items"] >= 9
    assert artifact["dataset"]["sha256"] is not None
    assert artifact["subject"]["kind"] == {"demo:": "demo", "onnx": "onnx"}.get(place, "endpoint")
    assert (artifact["subject"]["sha256"] is None) == (artifact["subject"]["kind"] == "endpoint")
    assert artifact["resources"]["memory_used_bytes"]["mean"] > 0
    if name in {"latency_p99", "throughput_rps", "power_efficiency"}:
        assert artifact["method"]["mode"] == ("text" if gives_text else "scores")
        assert artifact["provenance"]["plan_sha256"] == artifact["evidence"]["plan"]["sha256"]
    if name == "latency_p99":
        # What streams has a first token and a pace; what does not has neither, and says why.
        figures = [
            artifact[f"{what}_{share}_ms"] for what in ("ttft", "tpot") for share in ("p50", "p95", "p99")
        ]
        assert all(figure is not None for figure in figures) == gives_text
        assert ("ttft_p50_ms" in artifact["missing"]) != gives_text
    if name == "power_efficiency" and artifact["measurement"] == "not_measured":
        assert artifact["energy_j"] is None
        assert "no power meter" in artifact["missing"]["energy_j"]


def test_the_names_in_the_registry_are_those_of_the_indicators() -> None:
    from hexgate.contract.schema import indicators
    from hexgate.indicators import indicator

    assert set(INDICATORS) == set(indicators())
    assert all(indicator(name).name == name for name in INDICATORS)


@pytest.mark.parametrize("name", SCORES)
def test_a_tensor_has_the_name_that_the_server_gives_it(
    name: str, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    def predict(inputs: list[list[float]]) -> list[list[float]]:
        # Always the first class, by scores that an attack can move: one that moves nothing is no measurement.
        return [[100.0 - sum(pixels)] + [0.0] * 9 for pixels in inputs]

    server = scripted(kserve=("pixels", [8, 8]), predict=predict)
    further = {"attack": "square", "queries": 4} if name == "robustness_adv" else {}

    done = measured(name, f"{server.origin}/v2/models/m", tmp_path, data=str(HELD_OUT), limit=12, **further)

    assert done.error is None
    check(tmp_path / f"{name}.json")
    tensors = [body["inputs"][0] for body in server.bodies]
    assert {tensor["name"] for tensor in tensors} == {"pixels"}
    assert {tuple(tensor["shape"][1:]) for tensor in tensors} == {(8, 8)}

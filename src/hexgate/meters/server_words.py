"""What the series of the known servers mean, in words that are the same for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["KNOWN", "PREFIXES", "Meaning", "ServerWord", "meaning_of"]


class ServerWord(str, Enum):
    """What a server says of itself."""

    RUNNING = "requests_running"
    """Requests that are being worked on."""
    WAITING = "requests_waiting"
    """Requests that wait for a place."""
    KV_CACHE = "kv_cache_ratio"
    """Share of the KV cache that is in use."""
    PREEMPTIONS = "preemptions"
    """Requests that lost their place before they were finished, and have to begin again."""
    PROMPT_TOKENS = "prompt_tokens"
    """Tokens of prompts that were worked on."""
    GENERATION_TOKENS = "generation_tokens"
    """Tokens that were generated."""


@dataclass(frozen=True)
class Meaning:
    """What one series means."""

    word: ServerWord
    """The common word."""
    counter: bool = False
    """Whether it is a total that grows; else a momentary value."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that the series must have."""


PREFIXES = ("vllm:", "sglang:", "tgi_", "llamacpp:", "nv_")
"""How the names of the series of known servers begin."""

_RUNNING, _WAITING, _CACHE = (
    Meaning(word) for word in (ServerWord.RUNNING, ServerWord.WAITING, ServerWord.KV_CACHE)
)
_PREEMPTED, _PROMPT, _GENERATED = (
    Meaning(word, counter=True)
    for word in (ServerWord.PREEMPTIONS, ServerWord.PROMPT_TOKENS, ServerWord.GENERATION_TOKENS)
)

KNOWN: Mapping[str, Meaning] = {
    # vLLM: docs.vllm.ai, "Production Metrics"; gpu_cache_usage_perc is the name of kv_cache_usage_perc before 0.10.
    "vllm:num_requests_running": _RUNNING,
    "vllm:num_requests_waiting": _WAITING,
    "vllm:kv_cache_usage_perc": _CACHE,
    "vllm:gpu_cache_usage_perc": _CACHE,
    "vllm:num_preemptions_total": _PREEMPTED,
    "vllm:prompt_tokens_total": _PROMPT,
    "vllm:generation_tokens_total": _GENERATED,
    # SGLang (--enable-metrics): docs.sglang.io, "Production Metrics"; num_retracted_requests_total is the running
    # total, num_retracted_reqs only that of the latest batch.
    "sglang:num_running_reqs": _RUNNING,
    "sglang:num_queue_reqs": _WAITING,
    "sglang:token_usage": _CACHE,
    "sglang:num_retracted_requests_total": _PREEMPTED,
    "sglang:prompt_tokens_total": _PROMPT,
    "sglang:generation_tokens_total": _GENERATED,
    # Text Generation Inference: huggingface.co/docs/text-generation-inference/reference/metrics. It counts tokens in
    # histograms of one value a request, so their sums grow when a request ends.
    "tgi_batch_current_size": _RUNNING,
    "tgi_queue_size": _WAITING,
    "tgi_request_input_length_sum": _PROMPT,
    "tgi_request_generated_tokens_sum": _GENERATED,
    # llama.cpp (--metrics): tools/server/README.md, "GET /metrics".
    "llamacpp:requests_processing": _RUNNING,
    "llamacpp:requests_deferred": _WAITING,
    "llamacpp:kv_cache_usage_ratio": _CACHE,
    "llamacpp:prompt_tokens_total": _PROMPT,
    "llamacpp:tokens_predicted_total": _GENERATED,
    # Triton: its user guide, "Metrics": requests that a backend has not begun. With TensorRT-LLM: the README of
    # tensorrtllm_backend, "Triton Metrics".
    "nv_inference_pending_request_count": _WAITING,
    "nv_trt_llm_request_metrics": Meaning(ServerWord.RUNNING, labels={"request_type": "scheduled"}),
    "nv_trt_llm_kv_cache_block_metrics": Meaning(
        ServerWord.KV_CACHE, labels={"kv_cache_block_type": "fraction"}
    ),
}
"""The meaning of each series that has a common word, by its name."""


def meaning_of(name: str, labels: Mapping[str, str]) -> Meaning | None:
    """What a series means, or None where there is no common word for it."""
    meaning = KNOWN.get(name)
    return meaning if meaning is not None and meaning.labels.items() <= labels.items() else None

"""Other load generators, each in an environment of its own, installed for the comparison only."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadbench.results import Contender, Figures, Skip
from loadbench.setup import Command, Measured, Setup

__all__ = ["PEERS", "Load", "Peer", "command", "contender", "measure", "tokenizer", "versions"]

INSTALL_S = 900.0
"""The longest wait for one peer's packages."""


@dataclass(frozen=True)
class Load:
    """What a peer is asked to send: chat completions, to so many connections or at a rate."""

    requests: int
    concurrency: int = 64
    rate: float | None = None
    """Poisson arrivals at this rate, with at most `concurrency` in flight."""
    streamed: bool = True
    tokens: int = 64
    """What a reply is said to hold; the server decides."""


@dataclass(frozen=True)
class Peer:
    """One other load generator."""

    requirement: str
    """What pip installs."""
    arguments: Callable[[Path, str, Load, Path, Path], Sequence[str]]
    """The command for an environment's `bin`, a server, a load, a folder for results, and a tokenizer."""
    dependencies: bool = True
    """Whether its dependencies are needed for what we run of it."""
    env: Mapping[str, str] | None = None
    """Variables of its own."""


# The wheel carries the Rust client as an extension module. Loaded by itself it starts in milliseconds, and needs
# none of the package's dependencies, which are those of an inference server.
_RUST = """
import glob, importlib.util, os, sys
pattern = os.path.join(sys.prefix, "lib*", "python*", "site-packages", "sglang", "srt", "rust_extensions", "_bench.*")
spec = importlib.util.spec_from_file_location("_bench", glob.glob(pattern)[0])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.run_argv(["sglang-bench", *sys.argv[1:]])
"""


def _sglang(binaries: Path, url: str, load: Load, folder: Path, words: Path) -> list[str]:
    made = [
        str(binaries / "python"),
        "-c",
        _RUST,
        "--backend",
        "vllm-chat",
        "--base-url",
        url,
        "--model",
        "m",
    ]
    made += ["--tokenizer", str(words), "--dataset-name", "random-ids", "--random-input-len", "16"]
    made += [
        "--random-output-len",
        str(load.tokens),
        "--num-prompts",
        str(load.requests),
        "--warmup-requests",
        "0",
    ]
    made += [
        "--max-concurrency",
        str(load.concurrency),
        "--disable-tqdm",
        "--output-file",
        str(folder / "result.json"),
    ]
    made += [] if load.rate is None else ["--request-rate", str(load.rate)]
    return made + ([] if load.streamed else ["--disable-stream"])


def _vllm(binaries: Path, url: str, load: Load, folder: Path, words: Path) -> list[str]:
    made = [
        str(binaries / "vllm"),
        "bench",
        "serve",
        "--backend",
        "openai-chat",
        "--base-url",
        url,
        "--model",
        "m",
    ]
    made += ["--endpoint", "/v1/chat/completions", "--tokenizer", str(words), "--dataset-name", "random"]
    made += [
        "--random-input-len",
        "16",
        "--random-output-len",
        str(load.tokens),
        "--num-prompts",
        str(load.requests),
    ]
    made += ["--max-concurrency", str(load.concurrency), "--ready-check-timeout-sec", "0", "--disable-tqdm"]
    made += ["--percentile-metrics", "ttft,tpot,itl,e2el"]
    made += [
        "--save-result",
        "--save-detailed",
        "--result-dir",
        str(folder),
        "--result-filename",
        "result.json",
    ]
    return made + ([] if load.rate is None else ["--request-rate", str(load.rate)])


def _aiperf(binaries: Path, url: str, load: Load, folder: Path, words: Path) -> list[str]:
    made = [str(binaries / "aiperf"), "profile", "--model", "m", "--url", url, "--endpoint-type", "chat"]
    made += [
        "--tokenizer",
        str(words),
        "--isl",
        "16",
        "--osl",
        str(load.tokens),
        "--request-count",
        str(load.requests),
    ]
    made += ["--concurrency", str(load.concurrency), "--ui", "none", "--artifact-dir", str(folder / "result")]
    made += ["--no-gpu-telemetry", "--no-server-metrics", "--num-dataset-entries", "1000"]
    made += [] if load.rate is None else ["--request-rate", str(load.rate), "--arrival-pattern", "poisson"]
    return made + (["--streaming"] if load.streamed else [])


def _guidellm(binaries: Path, url: str, load: Load, folder: Path, words: Path) -> list[str]:
    profile = f"kind=concurrent,streams={load.concurrency}"
    if load.rate is not None:
        profile = f"kind=poisson,rate={load.rate}"
    made = [str(binaries / "guidellm"), "run", "--backend", f"kind=openai_http,target={url},model=m"]
    made += ["--profile", profile, "--constraint", f"kind=max_requests,count={load.requests}"]
    made += [
        "--data",
        f"kind=synthetic_text,prompt_tokens=16,output_tokens={load.tokens}",
        "--disable-console",
    ]
    return [
        *made,
        "--tokenizer",
        f"kind=hf_auto,model={words}",
        "--output",
        f"kind=json,path={folder / 'result.json'}",
    ]


def _evalscope(binaries: Path, url: str, load: Load, folder: Path, words: Path) -> list[str]:
    made = [
        str(binaries / "evalscope"),
        "perf",
        "--model",
        "m",
        "--url",
        f"{url}/v1/chat/completions",
        "--api",
        "openai",
    ]
    made += [
        "--dataset",
        "random",
        "--tokenizer-path",
        str(words),
        "--min-prompt-length",
        "16",
        "--max-prompt-length",
        "16",
    ]
    made += ["--max-tokens", str(load.tokens), "--number", str(load.requests), "--no-test-connection"]
    made += ["--outputs-dir", str(folder / "result"), "--stream" if load.streamed else "--no-stream"]
    if load.rate is not None:
        return [*made, "--open-loop", "--rate", str(load.rate)]
    return [*made, "--parallel", str(load.concurrency)]


_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
}

PEERS: dict[str, Peer] = {
    "sglang-rust": Peer("sglang", _sglang, dependencies=False, env=_OFFLINE),
    "vllm": Peer("vllm", _vllm, env={**_OFFLINE, "CUDA_VISIBLE_DEVICES": ""}),
    # Told to be offline, it takes no tokenizer from a folder.
    "aiperf": Peer("aiperf", _aiperf),
    "guidellm": Peer("guidellm", _guidellm, env={**_OFFLINE, "CUDA_VISIBLE_DEVICES": ""}),
    "evalscope": Peer("evalscope[perf]", _evalscope, env=_OFFLINE),
}


def contender(setup: Setup, name: str, server: Sequence[str], load: Load) -> Contender:
    """A peer as a contender: the figures that every client has."""

    def once(_: int) -> Figures:
        return measure(setup, name, server, load).figures()

    return once


def measure(setup: Setup, name: str, server: Sequence[str], load: Load) -> Measured:
    """Run a peer once.

    Raises:
        Skip: as `command`.
    """
    return setup.measure(name, server, command(setup, name, load), env=dict(PEERS[name].env or {}))


def command(setup: Setup, name: str, load: Load) -> Command:
    """The command of a peer, installed first where it is not.

    Raises:
        Skip: if it may not take part, or cannot be installed.
    """
    peer = PEERS[name]
    if setup.peers is not None and name not in setup.peers:
        raise Skip("left out by --peers")
    binaries = _installed(setup, name)
    words = tokenizer(setup.scratch)
    return lambda server, folder: peer.arguments(binaries, server.url, load, folder, words)


def _installed(setup: Setup, name: str) -> Path:
    peer = PEERS[name]
    folder = setup.cache / name
    done = folder / "installed"
    failed = folder / "failed"
    if failed.exists():
        raise Skip(failed.read_text(encoding="utf-8"))
    if not done.exists():
        uv = shutil.which("uv")
        if uv is None:
            raise Skip("uv is needed to install peers")
        setup.say(f"  installing {peer.requirement} into {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        python = folder / "bin" / "python"
        pip = [uv, "pip", "install", "--quiet", "--python", str(python)]
        pip += [peer.requirement] if peer.dependencies else ["--no-deps", peer.requirement]
        try:
            subprocess.run(
                [uv, "venv", "--quiet", "--python", "3.11", str(folder)], check=True, capture_output=True
            )
            subprocess.run(pip, check=True, capture_output=True, timeout=INSTALL_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            last = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()[-1:]
            reason = f"not installed: {last[0] if last else type(error).__name__}"
            folder.mkdir(parents=True, exist_ok=True)
            failed.write_text(reason, encoding="utf-8")
            raise Skip(reason) from None
        done.touch()
    return folder / "bin"


def versions(setup: Setup) -> dict[str, str]:
    """The versions of the peers that are installed."""
    found = {}
    for name, peer in PEERS.items():
        package = peer.requirement.partition("[")[0]
        for path in (setup.cache / name).glob(f"lib/python*/site-packages/{package}-*.dist-info"):
            found[name] = path.name.removeprefix(f"{package}-").removesuffix(".dist-info")
    return found


def tokenizer(scratch: Path) -> Path:
    """A tokenizer of 1,000 words, one token each, in the form that the peers load from a folder."""
    folder = scratch / "tokenizer"
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    words = ["<unk>", "<s>", "</s>", *(f"w{n}" for n in range(997))]
    document = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": n,
                "content": word,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
            }
            | {"normalized": False}
            for n, word in enumerate(words[:3])
        ],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {
            "type": "WordLevel",
            "vocab": {word: n for n, word in enumerate(words)},
            "unk_token": "<unk>",
        },
    }
    template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    config |= {"pad_token": "</s>", "chat_template": template, "model_max_length": 100_000}
    (folder / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder

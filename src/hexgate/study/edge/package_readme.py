"""The README of a package: what it holds, what the device needs, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Contents", "readme"]


@dataclass(frozen=True)
class Contents:
    """What a README tells of a package."""

    name: str
    """Name of the study."""
    tasks: tuple[str, ...]
    """Its tasks."""
    gguf: tuple[str, ...]
    """The GGUF files that it names."""
    has_models: bool
    """Whether they are in the package."""
    has_wheel: bool
    """Whether hexgate is."""
    key_envs: tuple[str, ...]
    """Environment variables with keys."""


def readme(contents: Contents, language: str) -> str:
    """The text, in English or Chinese (``zh``)."""
    zh = language == "zh"
    parts = [_HEAD_ZH if zh else _HEAD]
    if contents.gguf:
        parts.append(_LLAMA_ZH if zh else _LLAMA)
        if not contents.has_models:
            parts.append(_MODELS_ZH if zh else _MODELS)
    if not contents.has_wheel:
        parts.append(_NO_WHEEL_ZH if zh else _NO_WHEEL)
    if contents.key_envs:
        parts.append(_KEYS_ZH if zh else _KEYS)
    parts.append(_RUN_ZH if zh else _RUN)
    return "\n".join(parts).format(
        name=contents.name,
        task=contents.tasks[0],
        tasks=", ".join(contents.tasks),
        models="\n".join(f"- {name}" for name in contents.gguf),
        keys=" ".join(contents.key_envs),
    )


_HEAD = """# {name}

A study of hexgate, packed for a device. `study.yaml` is the study, `items/` what is asked, `run_benchmark.sh` carries
it out from the check of the device to the report. `SHA256SUMS` has the digest of every other file:

    sha256sum -c SHA256SUMS

## What the device needs

Linux, bash 4.4 or newer, and Python 3.10 or newer:

    python3 -m venv .venv
    .venv/bin/pip install -r requirements.txt

`run_benchmark.sh` takes the hexgate of this `.venv` before any other.
"""
_HEAD_ZH = """# {name}

hexgate 研究的设备运行包。`study.yaml` 是研究描述，`items/` 是题目，`run_benchmark.sh` 完成从环境检查到报告的全过程。
`SHA256SUMS` 列出其余每个文件的摘要：

    sha256sum -c SHA256SUMS

## 设备要求

Linux、bash 4.4 以上、Python 3.10 以上：

    python3 -m venv .venv
    .venv/bin/pip install -r requirements.txt

`run_benchmark.sh` 优先使用此 `.venv` 中的 hexgate。
"""
_LLAMA = """The models are served by llama.cpp. For the GPU build its `llama-server` on the device with CUDA, and
put it on the path or name it:

    export HEXGATE_LLAMA_SERVER=/path/to/llama-server

Without it hexgate takes xllamacpp (`.venv/bin/pip install xllamacpp`), whose package from PyPI computes on the CPU
alone.
"""
_LLAMA_ZH = """模型由 llama.cpp 提供服务。要使用 GPU，请在设备上以 CUDA 编译 `llama-server`，放入 PATH，或指定其位置：

    export HEXGATE_LLAMA_SERVER=/path/to/llama-server

没有它时使用 xllamacpp（`.venv/bin/pip install xllamacpp`），其 PyPI 软件包只用 CPU 计算。
"""
_MODELS = """The models are not in this package. Put them here, under these names:

{models}
"""
_MODELS_ZH = """本包不含模型文件。请以下列名称放到此处：

{models}
"""
_NO_WHEEL = """hexgate itself is not in this package: `requirements.txt` names its version. Where no index has it,
build a wheel in its checkout (`pip wheel --no-deps .`), and pack again with `--wheel FILE`.
"""
_NO_WHEEL_ZH = """本包不含 hexgate：`requirements.txt` 只写明版本。若软件源中没有，请在其源码目录执行
`pip wheel --no-deps .`，再用 `--wheel 文件` 重新打包。
"""
_KEYS = """Keys come from the environment and from nowhere else. Set before the run: {keys}
"""
_KEYS_ZH = """密钥只来自环境变量。运行前请设置：{keys}
"""
_RUN = """## How it is run

    bash run_benchmark.sh check         what this device is and lacks; nothing is measured
    bash run_benchmark.sh full {task}
    bash run_benchmark.sh full all      every task: {tasks}

Everything goes to `results/`. Stopped by Ctrl-C, by an error or by a power cut, the same command goes on where it
stopped: no run is lost or made twice. `bash run_benchmark.sh --help` tells the rest.
"""
_RUN_ZH = """## 运行

    bash run_benchmark.sh check         检查设备，不做测量
    bash run_benchmark.sh full {task}
    bash run_benchmark.sh full all      全部任务：{tasks}

结果都在 `results/`。无论因 Ctrl-C、出错还是断电停止，再次执行同一命令即从停止处继续：不丢失、不重复任何一次运行。
其余用法见 `bash run_benchmark.sh --lang zh --help`。
"""

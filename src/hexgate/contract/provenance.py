"""Where and by what a measurement was made: the artifact's blocks `environment` and `provenance`."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import secrets
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hexgate import __version__
from hexgate.errors import InputError

__all__ = ["current_run_id", "environment", "new_run_id", "provenance", "redacted", "utc_now"]

_PACKAGES = ("hexgate", "numpy", "onnxruntime", "httpx", "httptools", "uvloop", "torch", "transformers")
_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_SECRET_NAME = re.compile(r"key|token|secret|password|passwd|credential|authorization", re.IGNORECASE)
_URL_USER = re.compile(r"(?<=://)[^/@\s]+@")
_URL_QUERY = re.compile(r"([?&][^=&\s]*(?:key|token|secret|password|sig)[^=&\s]*=)[^&\s]+", re.IGNORECASE)


def utc_now() -> str:
    """The time now, UTC, to the second, as artifacts state it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_run_id() -> str:
    """An identifier that is new, and sorts by time."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def current_run_id() -> str:
    """The run that this process works for: HEXGATE_RUN_ID, as a job sets it, or else a new one.

    Raises:
        InputError: if HEXGATE_RUN_ID is not an identifier of a run.
    """
    given = os.environ.get("HEXGATE_RUN_ID")
    if not given:
        return new_run_id()
    if not _RUN_ID.fullmatch(given):
        raise InputError(
            "not the identifier of a run",
            where="HEXGATE_RUN_ID",
            got=repr(given),
            expected="the form 20260131T120000Z-0123abcd",
        )
    return given


def redacted(arguments: Sequence[str]) -> list[str]:
    """A command line without its secrets: values of flags that sound secret, and credentials in URLs."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, value = argument.partition("=")
        is_flag = argument.startswith("-")
        # --api-key-env NAME says where the key is, not what it is.
        secret = is_flag and bool(_SECRET_NAME.search(name)) and not name.endswith(("-env", "-tokens"))
        if hide_next and not is_flag:
            shown.append("***")
        elif secret and equals and value:
            shown.append(f"{name}=***")
        else:
            shown.append(_URL_QUERY.sub(r"\1***", _URL_USER.sub("***@", argument)))
        hide_next = secret and not equals
    return shown


def provenance(command: Sequence[str], *, plan_sha256: str | None = None) -> dict[str, Any]:
    """The block `provenance`: tool, commit, command without secrets, plan, job."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain") if commit else None
    return {
        "tool": f"hexgate {__version__}",
        "git_commit": commit,
        "git_dirty": None if status is None else bool(status),
        "command": redacted(command),
        "plan_sha256": plan_sha256,
        "platform_job_id": os.environ.get("HEXGATE_JOB_ID"),
        "parents": [],
    }


def environment(host_class: str | None = None) -> dict[str, Any]:
    """The block `environment`: what this machine is, as far as it tells."""
    import psutil

    accelerators, driver = _nvidia()
    cpu = _cpu_model()
    cores = _usable_cores()
    derived = ", ".join(accelerators) if accelerators else f"{cpu or platform.machine()} x{cores}"
    return {
        "host_class": host_class or os.environ.get("HEXGATE_HOST_CLASS") or derived,
        "os": f"{platform.system()} {platform.release()}",
        "arch": platform.machine(),
        "python": platform.python_version(),
        "cpu": cpu,
        "cores": cores,
        "memory_bytes": int(psutil.virtual_memory().total),
        "accelerators": accelerators,
        "driver": driver,
        "container_image": os.environ.get("HEXGATE_IMAGE"),
        "power_mode": _first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()[0].strip() or None
    except (OSError, IndexError):
        return None


def _cpu_model() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.processor() or None


def _usable_cores() -> int | None:
    affinity = getattr(os, "sched_getaffinity", None)
    return os.cpu_count() if affinity is None else len(affinity(0))


def _has_nvml() -> bool:
    """Whether there is the driver's library: the binding, which takes 0.03 s to import, can say nothing without it."""
    if sys.platform == "win32" or "pynvml" in sys.modules:
        return True
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _nvidia() -> tuple[list[str], str | None]:
    if not _has_nvml():
        return [], None
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return [], None
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles], str(
            pynvml.nvmlSystemGetDriverVersion()
        )
    except pynvml.NVMLError:
        return [], None
    finally:
        pynvml.nvmlShutdown()

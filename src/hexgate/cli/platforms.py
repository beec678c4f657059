"""`hexgate platforms`: jobs, from a spec to collected artifacts."""

from __future__ import annotations

from hexgate.cli.language import text
from hexgate.cli.lazy import LazyGroup

__all__ = ["command"]

_COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("The platforms, and what each needs.", "列出平台及其所需。"),
    "render": ("Write the native files of a job spec.", "由作业描述生成平台原生文件。"),
    "validate": ("Check a job spec or native files, in four layers.", "分四层校验作业描述或原生文件。"),
    "upload": ("Put a model where a job will find it.", "把模型存到作业能找到的地方。"),
    "submit": ("Submit a job, once, however often you ask.", "提交作业；重复执行也只提交一次。"),
    "status": ("How a job is, or wait for its end.", "查看作业状态，或等待其结束。"),
    "logs": ("What a job printed.", "查看作业输出。"),
    "cancel": ("Stop a job.", "停止作业。"),
    "collect": ("Bring a run's artifacts here, with digests checked.", "收集一次运行的结果并核对摘要。"),
    "run": ("Inside a job: run a command and publish its part.", "在作业内部：运行命令并发布其结果。"),
}
_MODULES = {
    "list": "files",
    "render": "files",
    "validate": "files",
    "upload": "upload",
    "submit": "jobs",
    "status": "jobs",
    "logs": "jobs",
    "cancel": "jobs",
    "collect": "collect",
    "run": "run",
}

command = LazyGroup(
    _COMMANDS,
    lambda name: f"hexgate.cli.platforms_{_MODULES[name]}:{name}_command",
    "platforms",
    help=text(
        "Jobs on platforms. A handle is the file that submit wrote, or hexgate://<platform>/<id>.",
        "平台作业。句柄是 submit 写下的文件，或 hexgate://<平台>/<编号>。",
    ),
)

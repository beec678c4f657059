"""moto's S3 server, as a process of its own on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support import needs

KEY_ID = "AKIDTESTONLY00000001"
SECRET = "secret-of-the-test-only-000000000001"
_READY = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


@contextmanager
def s3_server(*, unsigned_calls: int | None = None) -> Iterator[str]:
    """Start it and give its URL.

    Args:
        unsigned_calls: after so many calls it checks signatures and permissions; None for never.
    """
    needs.module("moto")
    needs.module("flask")
    env = dict(os.environ)
    if unsigned_calls is not None:
        env["INITIAL_NO_AUTH_ACTION_COUNT"] = str(unsigned_calls)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
        )
        try:
            yield _url(process, log)
        finally:
            process.terminate()
            process.wait(20)


def admin(url: str, service: str = "s3") -> Any:
    """A client that makes buckets and looks into them, beside the store under test."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="admin",
        aws_secret_access_key="admin",
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


def _url(process: subprocess.Popen[bytes], log: Any) -> str:
    while True:
        log.seek(0)
        text = log.read()
        if found := _READY.search(text):
            return found[1]
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"moto did not start:\n{text}")

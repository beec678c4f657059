"""A store in a bucket: S3 and what speaks it, Alibaba OSS and Volcano Engine TOS among them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from hexgate.errors import InputError, MissingExtra
from hexgate.stores.address import Address
from hexgate.stores.base import Entry
from hexgate.stores.keys import arriving, checked_key
from hexgate.stores.redaction import shown
from hexgate.stores.retry import MOST_ATTEMPTS, with_retries
from hexgate.stores.role_credentials import provider
from hexgate.stores.s3_faults import is_missing, store_failed
from hexgate.stores.s3_service import Service, service_of

__all__ = ["S3Store", "open_s3"]

_PIECE = 1 << 20
_PART_BYTES = 16 << 20
_PARTS_AT_ONCE = 4
_CONNECT_S = 10
_READ_S = 60


def open_s3(address: Address) -> S3Store:
    """A bucket as a store; nothing is asked of it yet.

    Raises:
        MissingExtra: if boto3 is not installed.
        InputError: if the bucket cannot be one, or the environment lacks the region or the credentials.
    """
    service = service_of(address, os.environ)
    return S3Store(service, _client(service))


class S3Store:
    """Files in a bucket under a prefix. Plain puts only: OSS answers 501 to conditional ones, so keys must be new."""

    def __init__(self, service: Service, client: Any) -> None:
        self.uri = service.uri
        self._service = service
        self._client = client
        self._errors = _errors()

    def put(self, key: str, path: Path) -> None:
        """Upload a file whole, a large one in parts, with at most some 64 MiB of it in memory.

        Raises:
            StoreFailed: if the service refuses it or does not answer, or the file cannot be read.
        """
        from boto3.s3.transfer import TransferConfig, create_transfer_manager

        config = TransferConfig(
            multipart_threshold=2 * _PART_BYTES,
            multipart_chunksize=_PART_BYTES,
            max_concurrency=_PARTS_AT_ONCE,
        )
        name = self._name(key)
        try:
            with create_transfer_manager(self._client, config) as transfers:
                transfers.upload(str(path), self._service.bucket, name).result()
        except self._errors as error:
            raise store_failed(error, self._service, "put", key) from None

    def put_bytes(self, key: str, data: bytes) -> None:
        """Upload bytes whole.

        Raises:
            StoreFailed: likewise.
        """
        try:
            self._client.put_object(Bucket=self._service.bucket, Key=self._name(key), Body=data)
        except self._errors as error:
            raise store_failed(error, self._service, "put", key) from None

    def get(self, key: str, path: Path) -> None:
        """Download a file; `path` appears only once it is whole. An answer that was cut off is asked for again.

        Raises:
            StoreFailed: if there is no such key, or the service refuses or does not answer.
            InputError: if `path` cannot be written.
        """

        def once() -> None:
            with arriving(path) as file:
                self._download(key, file)

        try:
            with_retries(once, transient=_was_cut_off)
        except self._errors as error:
            raise store_failed(error, self._service, "get", key) from None

    def get_bytes(self, key: str) -> bytes | None:
        """A small file's content, or None where there is none.

        Raises:
            StoreFailed: if the service refuses or does not answer.
        """

        def once() -> bytes:
            file = BytesIO()
            self._download(key, file)
            return file.getvalue()

        try:
            return with_retries(once, transient=_was_cut_off)
        except self._errors as error:
            if is_missing(error):
                return None
            raise store_failed(error, self._service, "get", key) from None

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every file whose key begins with `prefix`, in order of key.

        Raises:
            StoreFailed: if the service refuses or does not answer, or there is no such bucket.
        """
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._service.bucket, Prefix=self._service.prefix + prefix
        )
        try:
            for page in pages:
                for item in page.get("Contents", ()):
                    # Consoles mark a folder with an empty object whose key ends in a slash.
                    if not item["Key"].endswith("/"):
                        yield Entry(item["Key"].removeprefix(self._service.prefix), int(item["Size"]))
        except self._errors as error:
            raise store_failed(error, self._service, "list", prefix) from None

    def _name(self, key: str) -> str:
        return self._service.prefix + checked_key(key, self.uri)

    def _download(self, key: str, file: BinaryIO) -> None:
        answer = self._client.get_object(Bucket=self._service.bucket, Key=self._name(key))
        # The body checks its own length and raises where it was cut off; what its own `with` gives does not.
        with closing(answer["Body"]) as body:
            while piece := body.read(_PIECE):
                file.write(piece)


def _client(service: Service) -> Any:
    try:
        import boto3
        import botocore.session
        from botocore.config import Config
    except ImportError:
        raise MissingExtra("s3", f"a store on {service.name}") from None
    config = Config(
        # The mode that tries again after any 429 in every release: "standard" long knew AWS's own error codes only.
        retries={"mode": "legacy", "total_max_attempts": MOST_ATTEMPTS},
        signature_version="s3v4",
        s3={"addressing_style": "path" if service.holds_bucket else service.addressing},
        # Checksums in a trailer make a body that OSS and TOS do not take.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
    )
    keys = service.keys
    base = botocore.session.Session()
    if keys is not None:
        base.set_credentials(keys.key_id, keys.secret, keys.token)
    elif service.credentials_url is not None:
        base.register_component("credential_provider", provider(service.credentials_url))
    try:
        session = boto3.session.Session(botocore_session=base, region_name=service.region)
        client = session.client("s3", endpoint_url=service.endpoint, config=config)
    except ValueError:
        # What it says could repeat an address with credentials in it.
        raise InputError(
            f"the client of {service.name} cannot be made",
            where=service.uri,
            hint="check AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and the AWS configuration file",
        ) from None
    except _errors() as error:
        raise InputError(
            f"the client of {service.name} cannot be made ({type(error).__name__}: {shown(str(error))})",
            where=service.uri,
        ) from None
    if service.holds_bucket:
        client.meta.events.register("before-sign.s3", _without_bucket(service.bucket))
    return client


def _errors() -> tuple[type[Exception], ...]:
    """Everything that boto3 raises on purpose, and what reading a file raises."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return (BotoCoreError, ClientError, Boto3Error, OSError)


def _without_bucket(bucket: str) -> Any:
    """A handler that takes the bucket out of the path, where the host is the bucket's own domain."""

    def handler(request: Any, **_: object) -> None:
        start, separator, rest = request.url.partition(f"/{bucket}")
        if separator and (not rest or rest[0] in "/?"):
            request.url = start + (rest if rest.startswith("/") else f"/{rest}")

    return handler


def _was_cut_off(error: Exception) -> bool:
    """Whether an answer broke off in its body, which boto3 itself does not ask for again."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

    return isinstance(error, (IncompleteReadError, ReadTimeoutError, ResponseStreamingError))

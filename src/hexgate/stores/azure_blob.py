"""A store in an Azure Blob container."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from hexgate.errors import InputError, MissingExtra, StoreFailed
from hexgate.stores.address import Address
from hexgate.stores.base import Entry
from hexgate.stores.keys import arriving, checked_key
from hexgate.stores.redaction import shown
from hexgate.stores.retry import MOST_ATTEMPTS, with_retries
from hexgate.stores.secret import secret

__all__ = ["AzureBlobStore", "open_azure_blob"]

_T = TypeVar("_T")

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_HOST = re.compile(
    r"([a-z0-9]{3,24})\.(?:z\d+\.)?blob\."
    r"(?:core\.windows\.net|core\.chinacloudapi\.cn|core\.usgovcloudapi\.net|storage\.azure\.net)"
)
_ENDPOINT = "HEXGATE_AZURE_BLOB_ENDPOINT"
_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_PARTS_AT_ONCE = 4
_CONNECT_S = 10
_READ_S = 60
_PAGE = 5000
_THERE_ALREADY = {"BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite"}


def open_azure_blob(address: Address) -> AzureBlobStore:
    """A container as a store; nothing is asked of it yet.

    Credentials, the first that is there: AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN,
    and else what `DefaultAzureCredential` finds: OIDC, a managed identity, ``az login``.

    Raises:
        MissingExtra: if azure-storage-blob or azure-identity is not installed.
        InputError: if the address does not name an account and a container, or the environment another account.
    """
    container, _, prefix = address.path.partition("/")
    named = _HOST.fullmatch(address.host)
    account = named[1] if named else address.host
    if not _CONTAINER.fullmatch(container) or not (named or _is_account(address)):
        raise InputError(
            "not a container of Azure Blob",
            where=address.uri,
            expected="azblob://account/container/prefix, or https://account.blob.core.windows.net/container/prefix",
        )
    endpoint = f"https://{address.host}" if named else os.environ.get(_ENDPOINT)
    service = _client(account, endpoint or f"https://{account}.blob.core.windows.net", os.environ)
    uri = f"azblob://{account}/{container}/{prefix}".rstrip("/")
    return AzureBlobStore(uri, service.get_container_client(container), f"{prefix}/" if prefix else "")


class AzureBlobStore:
    """Blobs in a container under a prefix. Azure itself refuses to overwrite them."""

    def __init__(self, uri: str, container: Any, prefix: str) -> None:
        self.uri = uri
        self._container = container
        self._prefix = prefix

    def put(self, key: str, path: Path) -> None:
        """Upload a file whole, a large one in blocks.

        Raises:
            StoreFailed: if there is such a key with other content, or the service refuses or does not answer.
        """
        try:
            with path.open("rb") as file:
                self._upload(key, file)
        except OSError as error:
            raise StoreFailed(f"the file cannot be read ({error.strerror})", where=str(path)) from None

    def put_bytes(self, key: str, data: bytes) -> None:
        """Upload bytes whole.

        Raises:
            StoreFailed: likewise.
        """
        self._upload(key, BytesIO(data))

    def get(self, key: str, path: Path) -> None:
        """Download a file; `path` appears only once it is whole.

        Raises:
            StoreFailed: if there is no such key, or the service refuses or does not answer.
            InputError: if `path` cannot be written.
        """

        def once() -> None:
            with arriving(path) as file:
                self._download(key, file)

        self._call(once, "get", key)

    def get_bytes(self, key: str) -> bytes | None:
        """A small file's content, or None where there is none.

        Raises:
            StoreFailed: if the service refuses or does not answer, or there is no such container.
        """

        def once() -> bytes | None:
            from azure.core.exceptions import ResourceNotFoundError

            file = BytesIO()
            try:
                self._download(key, file)
            except ResourceNotFoundError as error:
                if error.error_code == "BlobNotFound":
                    return None
                raise
            return file.getvalue()

        return self._call(once, "get", key)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every file whose key begins with `prefix`, in order of key.

        Raises:
            StoreFailed: if the service refuses or does not answer, or there is no such container.
        """
        token: str | None = None

        def page() -> tuple[list[Any], str | None]:
            # The client's own iterator ends as if all were listed when it is asked again after an error.
            found = self._container.list_blobs(
                name_starts_with=self._prefix + prefix, include=["metadata"], results_per_page=_PAGE
            ).by_page(token)
            return list(next(found)), found.continuation_token

        while True:
            blobs, token = self._call(page, "list", prefix)
            for blob in blobs:
                # Accounts with real folders list them as empty blobs, which their metadata tell apart.
                if not blob.name.endswith("/") and (blob.metadata or {}).get("hdi_isfolder") != "true":
                    yield Entry(blob.name.removeprefix(self._prefix), int(blob.size))
            if not token:
                return

    def _blob(self, key: str) -> Any:
        return self._container.get_blob_client(self._prefix + checked_key(key, self.uri))

    def _upload(self, key: str, file: BinaryIO) -> None:
        from azure.core.exceptions import HttpResponseError

        def once() -> None:
            file.seek(0)
            try:
                self._blob(key).upload_blob(file, overwrite=False, max_concurrency=_PARTS_AT_ONCE)
            except HttpResponseError as error:
                # An upload whose answer was lost is tried again, and then meets itself.
                if error.error_code not in _THERE_ALREADY or self._digest(key) != _digest(file):
                    raise

        self._call(once, "put", key)

    def _download(self, key: str, file: BinaryIO) -> None:
        found = self._blob(key).download_blob()
        found.readinto(file)
        # What it returns is the size that was announced.
        if file.tell() != found.size:
            raise StoreFailed("the download came short", where=f"{self.uri}/{key}", hint="try again")

    def _digest(self, key: str) -> str:
        digest = hashlib.sha256()
        for piece in self._blob(key).download_blob().chunks():
            digest.update(piece)
        return digest.hexdigest()

    def _call(self, call: Callable[[], _T], doing: str, key: str) -> _T:
        from azure.core.exceptions import AzureError

        try:
            # The client itself tries again after a cut connection and a 5xx, and leaves out the 429.
            return with_retries(call, transient=lambda error: getattr(error, "status_code", None) == 429)
        except AzureError as error:
            raise self._failed(error, doing, key) from None

    def _failed(self, error: Exception, doing: str, key: str) -> StoreFailed:
        where = f"{self.uri}/{key}".rstrip("/")
        status = getattr(error, "status_code", None)
        if status is None:
            return StoreFailed(
                "Azure Blob does not answer, or there are no credentials for it",
                where=where,
                got=f"{type(error).__name__}: {shown(str(error))}",
                hint=f"check the network; give {_CONNECTION}, AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, "
                "OIDC, a managed identity or az login",
            )
        named = getattr(error, "error_code", None)
        # Codes that the client knows are members of an enum of texts.
        code = str(getattr(named, "value", named) or type(error).__name__)
        return StoreFailed(
            "there is no such key" if code == "BlobNotFound" else f"Azure Blob refused to {doing}",
            where=where,
            got=f"HTTP {status} {shown(code)}",
            hint=_hint(code, status),
        )


def _hint(code: str, status: int) -> str | None:
    hints = (
        (code == "ContainerNotFound", "make the container, or mend its name"),
        (code in _THERE_ALREADY, "nothing is ever overwritten; use a new run id"),
        (
            code in {"AuthenticationFailed", "InvalidAuthenticationInfo"},
            "the credentials are not taken, or the clock is wrong",
        ),
        (
            status in {401, 403},
            "the role Storage Blob Data Contributor on the container allows it; a SAS needs c, r and l",
        ),
        (status == 429 or status >= 500, f"it was tried {MOST_ATTEMPTS} times; try again later"),
    )
    return next((hint for holds, hint in hints if holds), None)


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _is_account(address: Address) -> bool:
    return address.scheme == "azblob" and _ACCOUNT.fullmatch(address.host) is not None


def _client(account: str, endpoint: str, env: Mapping[str, str]) -> Any:
    try:
        from azure.storage.blob import BlobServiceClient, ExponentialRetry
    except ImportError:
        raise MissingExtra("azure", "a store on Azure Blob") from None
    retries = MOST_ATTEMPTS - 1
    options = {
        "retry_policy": ExponentialRetry(
            initial_backoff=0,
            increment_base=2,
            random_jitter_range=1,
            retry_total=retries,
            retry_connect=retries,
            retry_read=retries,
            retry_status=retries,
        ),
        "connection_timeout": _CONNECT_S,
        "read_timeout": _READ_S,
    }
    connection = secret(env, _CONNECTION)
    where = _CONNECTION if connection else _ENDPOINT
    try:
        if connection:
            client = BlobServiceClient.from_connection_string(connection, **options)
        else:
            client = BlobServiceClient(endpoint, credential=_credential(account, endpoint, env), **options)
    except ValueError:
        # What it says could repeat the connection string.
        raise InputError("the client of Azure Blob cannot be made of it", where=where) from None
    if client.account_name not in {account, None}:
        raise InputError(
            "the environment names another account than the store's URI",
            where=where,
            got=client.account_name,
            expected=account,
        )
    return client


def _credential(account: str, endpoint: str, env: Mapping[str, str]) -> Any:
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

    if key := secret(env, "AZURE_STORAGE_KEY"):
        return AzureNamedKeyCredential(account, key)
    if signature := secret(env, "AZURE_STORAGE_SAS_TOKEN"):
        return AzureSasCredential(signature.lstrip("?"))
    if not endpoint.startswith("https://"):
        raise InputError(
            "a token is not sent to an endpoint without TLS",
            where=_ENDPOINT,
            expected="https://…, or AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
        )
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise MissingExtra("azure", "a store on Azure Blob without a key") from None
    # It logs at length why each of its ways failed, and then raises the same.
    logging.getLogger("azure.identity").setLevel(logging.CRITICAL + 1)
    return DefaultAzureCredential()

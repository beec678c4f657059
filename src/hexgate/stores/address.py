"""The URI of a store, taken apart. One that holds credentials is refused, and not repeated in the refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from hexgate.errors import InputError
from hexgate.stores.keys import is_key

__all__ = ["Address", "address_of"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_NATIVE_MOUNT = re.compile(r"azureml:", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """A store's URI without credentials, or the path of a folder."""

    scheme: str
    """In lower case; ``file`` for a folder."""
    host: str
    """Bucket, account or host name; empty for a folder."""
    path: str
    """The folder, or what stands behind the host, without slashes around it."""
    uri: str
    """The address as given."""


def address_of(uri: str) -> Address:
    """Take a store's URI apart.

    Raises:
        InputError: if it is none, or holds credentials or a query.
    """
    if _NATIVE_MOUNT.match(uri):
        raise InputError(
            "azureml: addresses exist only where Azure Machine Learning mounts them",
            where="store",
            expected="the folder it is mounted at, or azblob://<account>/<container>/<prefix>",
            hint="in a job, give the output a path; to collect, give the container behind the datastore",
        )
    found = _SCHEME.match(uri)
    if found is None:
        if not uri or "\0" in uri:
            raise InputError("not the path of a folder", where="store", got=repr(uri))
        return Address("file", "", uri, uri)
    scheme = found[1].lower()
    try:
        parts = urlsplit(uri)
        # A secret may hold a slash, which ends the host for the parser: an @ anywhere is refused.
        secret = scheme != "file" and "@" in uri
        odd = bool(parts.query or parts.fragment or (parts.port is not None and scheme != "https"))
    except ValueError:
        raise InputError("not a URI", where=f"{scheme}://…", hint="check its brackets and its port") from None
    if secret or odd:
        # What stands in the URI may be a key, so that none of it is repeated.
        raise InputError(
            "the store's URI holds credentials, a port or a query"
            if odd
            else "the store's URI holds credentials",
            where=f"{scheme}://…",
            expected=f"{scheme}://, the place, and a prefix",
            hint="credentials come from the environment or an instance role; see docs/stores.md",
        )
    path = parts.path
    if scheme == "file":
        if parts.netloc not in {"", "localhost"} or not path.strip("/"):
            raise InputError("not a folder of this machine", where=uri, expected="file:///path")
        return Address("file", "", unquote(path), uri)
    if scheme == "https":
        path = unquote(path)
    path = path.strip("/")
    if path and not is_key(path):
        raise InputError(
            "not a prefix of a store", where=uri, expected="names with / between them, without '..'"
        )
    return Address(scheme, parts.netloc.lower() if scheme == "https" else parts.netloc, path, uri)

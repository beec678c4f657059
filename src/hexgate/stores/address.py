"""The URI of a store, taken apart. One that holds credentials is refused, and not repeated in the refusal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from hexgate.errors import InputError
from hexgate.stores.keys import is_key

__all__ = ["Address", "address_of", "unsafe"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# Two characters at least: C:/runs is a folder.
_ALMOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?!//)")
_SIGNATURE = re.compile(
    r"[?&](?:sig|signature|x-amz-[a-z-]+|token)=|(?:AccountKey|SharedAccessSignature|SharedAccessKey)=",
    re.IGNORECASE,
)
_CONTAINER_BEFORE_HOST = {"abfs", "abfss", "wasb", "wasbs"}
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


def unsafe(uri: str) -> str | None:
    """What a URI holds that it must not, in words that repeat none of it; None where it holds nothing of the kind."""
    if _SIGNATURE.search(uri):
        return "a key or a signature"
    found = _SCHEME.match(uri)
    if found is None:
        return None
    scheme = found[1].lower()
    # A secret may hold a slash, which ends the host for a parser: an @ anywhere is refused. Azure's data lake names
    # the container there, before the host.
    named = scheme in _CONTAINER_BEFORE_HOST and re.fullmatch(
        r"[^/:@]+@[^/:@]+(?:/[^@]*)?", uri[found.end() :]
    )
    if "@" in uri and scheme != "file" and not named:
        return "credentials"
    return "a query or a fragment" if re.search(r"[?#]", uri) else None


def address_of(uri: str) -> Address:
    """Take a store's URI apart.

    Raises:
        InputError: if it is none, or holds credentials or a query.
    """
    found = _SCHEME.match(uri)
    shown = f"{found[1].lower()}://…" if found else "store"
    if problem := unsafe(uri):
        # What stands in the URI may be a key, so that none of it is repeated.
        raise InputError(
            f"the store's address holds {problem}",
            where=shown,
            expected="<scheme>://, the place, and a prefix" if found else "the path of a folder",
            hint="credentials come from the environment or an instance role; see docs/stores.md",
        )
    if _NATIVE_MOUNT.match(uri):
        raise InputError(
            "azureml: addresses exist only where Azure Machine Learning mounts them",
            where="store",
            expected="the folder it is mounted at, or azblob://<account>/<container>/<prefix>",
            hint="in a job, give the output a path; to collect, give the container behind the datastore",
        )
    if found is None:
        if almost := _ALMOST.match(uri):
            raise InputError(
                "neither a store's URI nor plainly a folder",
                where=f"{almost[1]}:…",
                expected="<scheme>://, the place, and a prefix",
                hint="for a folder of that name, put ./ before it",
            )
        if not uri or "\0" in uri:
            raise InputError("not the path of a folder", where="store", got=repr(uri))
        return Address("file", "", uri, uri)
    scheme = found[1].lower()
    try:
        parts = urlsplit(uri)
        odd = parts.port is not None and scheme != "https"
    except ValueError:
        raise InputError("not a URI", where=shown, hint="check its brackets and its port") from None
    if odd:
        raise InputError(
            "the store's URI holds a port",
            where=shown,
            expected=f"{scheme}://, the place, and a prefix",
            hint="an endpoint is given in the environment; see docs/stores.md",
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

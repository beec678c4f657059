"""The Python client of Kubernetes: which cluster, as whom, and which of its failures may pass."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hexgate.errors import InputError, MissingExtra, PlatformFailed
from hexgate.stores.retry import with_retries

__all__ = ["CONTEXT_VARIABLE", "NAMESPACE_VARIABLE", "Cluster", "connect", "problem_of"]

CONTEXT_VARIABLE = "HEXGATE_KUBE_CONTEXT"
"""Environment variable with the context of the kubeconfig; its current one without it."""

NAMESPACE_VARIABLE = "HEXGATE_KUBE_NAMESPACE"
"""Environment variable with the namespace, where neither the spec nor a native file names one."""

_KUBECONFIG = "~/.kube/config"
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TIMEOUTS_S = (5, 60)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Cluster:
    """One cluster's API, and the namespace that jobs go to."""

    api: Any
    """An ``ApiClient`` of the package kubernetes."""
    namespace: str
    """The namespace, where nothing names another."""

    @property
    def batch(self) -> Any:
        """The API of jobs."""
        from kubernetes import client

        return client.BatchV1Api(self.api)

    @property
    def core(self) -> Any:
        """The API of pods."""
        from kubernetes import client

        return client.CoreV1Api(self.api)

    def ask(self, call: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
        """Call the API, again while it fails in a way that may pass.

        Raises:
            ApiException: what the cluster answered instead, where that will not change.
            PlatformFailed: if it does not answer.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        def transient(error: Exception) -> bool:
            if isinstance(error, ApiException):
                return error.status == 429 or (error.status or 0) >= 500
            return isinstance(error, HTTPError)

        options.setdefault("_request_timeout", _TIMEOUTS_S)
        try:
            return with_retries(lambda: call(*arguments, **options), transient=transient)
        except HTTPError as error:
            raise PlatformFailed(
                f"the Kubernetes API does not answer ({type(error).__name__})",
                where=self.api.configuration.host,
                hint="is the kubeconfig's cluster reachable from here? kubectl version tells",
            ) from None
        except ApiException as error:
            if transient(error):
                raise PlatformFailed(problem_of(error), where=self.api.configuration.host) from None
            raise


def connect(namespace: str | None = None) -> Cluster:
    """The cluster that the environment names: a kubeconfig, or the service account of the pod that this runs in.

    Args:
        namespace: the namespace; None for that of the environment, the context or the pod.

    Raises:
        MissingExtra: if the package kubernetes is not installed.
        InputError: if the environment names no cluster, or no such context.
    """
    try:
        from kubernetes import client, config
    except ImportError:
        raise MissingExtra("kubernetes", "the platform kubernetes") from None
    context = os.environ.get(CONTEXT_VARIABLE) or None
    configuration = client.Configuration()
    try:
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
            config.load_incluster_config(client_configuration=configuration)
            found = _OWN_NAMESPACE.read_text("utf-8").strip()
        else:
            # Named here, as the package reads the environment only once, when it is imported.
            file = os.environ.get("KUBECONFIG") or _KUBECONFIG
            config.load_kube_config(file, context=context, client_configuration=configuration)
            contexts, current = config.list_kube_config_contexts(file)
            chosen = {entry["name"]: entry for entry in contexts}[context] if context else current
            found = chosen["context"].get("namespace", "default")
    except (config.ConfigException, OSError) as error:
        raise InputError(
            f"no Kubernetes cluster is named ({' '.join(str(error).split())})",
            where=f"KUBECONFIG, {CONTEXT_VARIABLE}",
            hint="give a kubeconfig, as kubectl takes it, or run in a pod with a service account's token",
        ) from None
    # We try again ourselves, and know which calls are safe to do twice.
    configuration.retries = False
    return Cluster(client.ApiClient(configuration), namespace or os.environ.get(NAMESPACE_VARIABLE) or found)


def problem_of(error: Any) -> str:
    """What an ``ApiException`` says, in one line."""
    try:
        said = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        said = error.reason or "no reason given"
    return f"the Kubernetes API answered {error.status}: {' '.join(str(said).split())}"

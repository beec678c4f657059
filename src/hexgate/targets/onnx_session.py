"""One ONNX Runtime session: opened, its single input understood, and every failure given a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from hexgate.errors import InputError, TargetFailed, TargetUnusable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hexgate.targets.options import OpenOptions

__all__ = ["InputSpec", "OnnxSession"]

_STATE = onnxruntime.capi.onnxruntime_pybind11_state
# The runtime's errors have no common base but Exception.
_ERRORS: tuple[type[Exception], ...] = (
    *(kind for kind in vars(_STATE).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
    ValueError,
)
_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True)
class InputSpec:
    """What the model takes."""

    name: str
    """Name of the input."""
    shape: tuple[int, ...]
    """Shape of one input, without the batch."""
    dtype: type[np.generic]
    """Type of the numbers."""
    fixed_batch: int | None
    """How many inputs every call must hold; None for any number."""


class OnnxSession:
    """A model that is loaded, and whose input is one batch of numbers.

    Raises:
        InputError: if the file is no ONNX model, or there is no such provider.
        TargetUnusable: if the runtime cannot run it, or not on the provider that was asked for,
            or it takes something else than one batch of numbers.
    """

    def __init__(self, path: Path, options: OpenOptions, stated_shape: tuple[int, ...] | None) -> None:
        self._path = path
        self._session = _open(path, options)
        self.provider = _short(self._session.get_providers()[0])
        """What the runtime says it runs on, such as ``cpu`` or ``cuda``."""
        self.input = _input_spec(path, self._session.get_inputs(), stated_shape)
        """What the model takes."""
        self.outputs: tuple[tuple[str, str], ...] = tuple(
            (o.name, o.type) for o in self._session.get_outputs()
        )
        """Name and type of everything that the model gives."""
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        """What its exporter wrote into the file."""

    def run(self, names: list[str], batch: NDArray[Any]) -> list[NDArray[Any]]:
        """The named outputs for a batch, in the model's own types.

        Raises:
            TargetFailed: if the runtime cannot compute them.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(names, {self.input.name: batch})
        except _ERRORS as error:
            raise TargetFailed(f"the model failed: {_first_line(error)}", where=str(self._path)) from None
        return found

    def cast(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """The batch in the type of the model's input.

        Raises:
            TargetUnusable: if the model takes whole numbers and these are not.
        """
        dtype = self.input.dtype
        if np.issubdtype(dtype, np.floating):
            return np.ascontiguousarray(batch, dtype=dtype)
        bounds = np.iinfo(np.dtype(dtype))
        if not (np.all(batch == np.floor(batch)) and np.all((batch >= bounds.min) & (batch <= bounds.max))):
            raise TargetUnusable(
                "the model takes whole numbers and the inputs are not",
                where=str(self._path),
                expected=f"{np.dtype(dtype).name}, {bounds.min} to {bounds.max}",
                hint="give the data as the model takes them, or export the model with a float input",
            )
        return np.ascontiguousarray(batch.astype(dtype))


def _open(path: Path, options: OpenOptions) -> Any:
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = 3
    if options.threads is not None:
        session_options.intra_op_num_threads = options.threads
    provider = _provider(options.provider or "cpu")
    try:
        session = onnxruntime.InferenceSession(str(path), session_options, providers=[provider])
    except (_STATE.InvalidProtobuf, _STATE.InvalidGraph, _STATE.NoSuchFile) as error:
        raise InputError(
            "this is not an ONNX model",
            where=str(path),
            got=_first_line(error),
            hint="was its download cut short, or is it renamed?",
        ) from None
    except _ERRORS as error:
        raise TargetUnusable(
            "ONNX Runtime cannot run this model",
            where=str(path),
            got=_first_line(error),
            hint=f"ONNX Runtime {onnxruntime.__version__}: a newer one, or an older opset, may help",
        ) from None
    # The runtime falls back to the CPU without a word; figures of another device would then be published.
    if session.get_providers()[0] != provider:
        raise TargetUnusable(
            f"the provider {_short(provider)} could not be started for this model",
            where=str(path),
            got=session.get_providers()[0],
            expected=provider,
            hint="is the device there, and are the driver and the libraries that this runtime needs?",
        )
    return session


def _provider(word: str) -> str:
    available: list[str] = onnxruntime.get_available_providers()
    for name in available:
        if _short(word) == _short(name):
            return name
    known = {_short(name) for name in onnxruntime.get_all_providers()}
    raise (TargetUnusable if _short(word) in known else InputError)(
        "no such execution provider in this ONNX Runtime",
        got=word,
        expected=", ".join(map(_short, available)),
        hint="install the runtime for that device, such as onnxruntime-gpu",
    )


def _short(provider: str) -> str:
    return provider.lower().removesuffix("executionprovider")


def _input_spec(path: Path, inputs: list[Any], stated: tuple[int, ...] | None) -> InputSpec:
    if len(inputs) != 1:
        raise TargetUnusable(
            f"the model takes {len(inputs)} inputs, one batch of numbers was expected",
            where=str(path),
            got=", ".join(one.name for one in inputs) or "none",
            hint="serve a model of several inputs behind an endpoint that takes one",
        )
    only = inputs[0]
    dtype = _DTYPES.get(only.type)
    if dtype is None:
        raise TargetUnusable(
            f"the model's input {only.name!r} is {only.type}",
            where=str(path),
            expected="numbers: " + ", ".join(_DTYPES),
        )
    if not only.shape:
        raise TargetUnusable(
            f"the model's input {only.name!r} has no batch dimension",
            where=str(path),
            got=str(only.shape),
            hint="export it with the batch as its first dimension",
        )
    sizes = [size if isinstance(size, int) and size > 0 else None for size in only.shape]
    shape = _one_input(path, only, sizes[1:], stated)
    return InputSpec(only.name, shape, dtype, sizes[0])


def _one_input(
    path: Path, only: Any, sizes: list[int | None], stated: tuple[int, ...] | None
) -> tuple[int, ...]:
    known = [size for size in sizes if size is not None]
    if stated is not None:
        fits = len(stated) == len(sizes) and all(a in {None, b} for a, b in zip(sizes, stated, strict=True))
        if not fits:
            raise InputError(
                "the stated input shape is not the model's",
                where=str(path),
                got=str(list(stated)),
                expected=str(only.shape[1:]),
            )
        return stated
    if not sizes or len(known) != len(sizes):
        raise TargetUnusable(
            f"the model does not say the shape of one input of {only.name!r}",
            where=str(path),
            got=str(only.shape),
            hint='state it in card.json beside the model, such as "input_shape": [64]',
        )
    return tuple(known)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__

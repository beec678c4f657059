"""Layer VENDOR of Azure ML: what azure-ai-ml itself checks, strictly, and its messages made short.

`load_job` refuses unknown fields and wrong types. For a value that may be of several types it names the mistakes of
every type; here only those of the type that the value says it is of. Of a pipeline's step it says little, so each step
is also loaded as a job of its own. The checks of a loaded job are private methods of the SDK: the tests run them with
the version that the lock pins.
"""

from __future__ import annotations

import ast
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import yaml

from hexgate.errors import HexgateError, extra_hint
from hexgate.platforms.azure_native import BINDING
from hexgate.platforms.base import Checked, Finding, Layer, Native

if TYPE_CHECKING:
    from hexgate.platforms.spec import JobSpec

__all__ = ["check", "dry_run"]

_Found = Iterator[tuple[str, str]]

_NO_SDK = f"azure-ai-ml is not installed; {extra_hint('azure')}"
_NOTICES = "azure.ai.ml._utils._experimental"
_SET = re.compile(r"passed is not in set (\[.*\])")
_OF_THE_VALUE = {"_schema", None}
_PLAIN = {"Unknown field.": "unknown field", "Missing data for required field.": "missing"}


def check(files: Native) -> Checked:
    """Load each file as ``az ml job create`` does, and check what is checked before a job is sent."""
    if find_spec("azure") is None or find_spec("azure.ai.ml") is None:
        return Checked(Layer.VENDOR, skipped=_NO_SDK)
    with quiet():
        found = [
            Finding(f"{name}: {path}", problem)
            for name, text in files.items()
            for path, problem in dict.fromkeys(_mistakes(text))
        ]
    return Checked(Layer.VENDOR, tuple(found))


def dry_run(files: Native, spec: JobSpec | None = None) -> Checked:
    """Ask the workspace of the spec, or else of the environment. Azure ML checks only pipelines beforehand."""
    from hexgate.platforms.azure_driver import open_client

    pipelines = {name: text for name, text in files.items() if _is_pipeline(text)}
    if not pipelines:
        return Checked(Layer.SERVER, skipped="Azure ML checks only pipeline jobs without starting them")
    try:
        client = open_client(spec)
    except HexgateError as error:
        return Checked(Layer.SERVER, skipped=str(error))
    found = []
    with quiet():
        from azure.ai.ml import load_job
        from azure.core.exceptions import AzureError
        from marshmallow import ValidationError

        for name, text in pipelines.items():
            try:
                job = load_job(io.StringIO(text))
                problems = client.jobs.validate(job).error_messages | _default_compute(client, job)
            except ValidationError:
                return Checked(Layer.SERVER, skipped=f"{name} cannot be loaded: see the layer vendor")
            except AzureError as error:
                return Checked(
                    Layer.SERVER, skipped=f"the workspace could not be asked ({type(error).__name__})"
                )
            found += [Finding(f"{name}: $.{path}", _sentence(problem)) for path, problem in problems.items()]
    return Checked(Layer.SERVER, tuple(found))


def _default_compute(client: Any, job: Any) -> dict[str, str]:
    """The compute target of all steps, which `validate` does not ask for."""
    from azure.core.exceptions import ResourceNotFoundError

    name = job.settings.default_compute
    if name is None:
        return {}
    try:
        client.compute.get(name)
    except ResourceNotFoundError:
        return {"settings.default_compute": f"the workspace has no compute target {name}"}
    return {}


@contextmanager
def quiet() -> Iterator[None]:
    """Without the SDK's notices that a class of its own is experimental, or uses what another package deprecates."""
    logger = logging.getLogger(_NOTICES)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _is_pipeline(text: str) -> bool:
    try:
        return bool(_mapping(yaml.safe_load(text)).get("type") == "pipeline")
    except yaml.YAMLError:
        return False


def _mistakes(text: str) -> _Found:
    try:
        job = yaml.safe_load(text)
    except yaml.YAMLError as error:
        yield "$", f"not YAML ({' '.join(str(error).split())})"
        return
    if not isinstance(job, dict):
        yield "$", "not a mapping"
        return
    faulty = []
    for name, step in _mapping(job.get("jobs")).items() if job.get("type") == "pipeline" else ():
        if isinstance(step, dict) and step.get("type") == "command":
            found = list(_loaded(_alone(step), f"$.jobs.{name}"))
            if found:
                faulty.append(f"$.jobs.{name}.")
            yield from found
    # The pipeline says less well what was found in a step already.
    yield from ((path, problem) for path, problem in _loaded(job, "$") if not path.startswith(tuple(faulty)))


def _alone(step: dict[str, Any]) -> dict[str, Any]:
    """A step as a job of its own: what it takes from the pipeline is some text."""
    inputs = {
        name: "text" if isinstance(value, str) and BINDING.search(value) else value
        for name, value in _mapping(step.get("inputs")).items()
    }
    return step | ({"inputs": inputs} if inputs else {})


def _loaded(job: dict[str, Any], at: str) -> _Found:
    from azure.ai.ml import load_job
    from azure.ai.ml.exceptions import MlException
    from marshmallow import ValidationError

    try:
        loaded = load_job(io.StringIO(yaml.safe_dump(job)))
    except ValidationError as error:
        yield from _reduced(_messages(error), job, at)
        return
    except MlException as error:
        yield _place(str(error), job, at), _sentence(str(error))
        return
    results = [(at, loaded._validate())]  # noqa: SLF001
    if job["type"] == "command":
        results.append((at, loaded.component._validate()))  # noqa: SLF001
    else:
        results += [
            (f"{at}.jobs.{name}", step.component._validate())  # noqa: SLF001
            for name, step in loaded.jobs.items()
        ]
    found = [
        (f"{place}.{path}", _sentence(message))
        for place, result in results
        for path, message in result.error_messages.items()
        # A component is named by the job or the step, by a rule that does not hold for either.
        if path != "name"
    ]
    yield from found
    if job["type"] == "command" and not found:
        try:
            loaded._to_job()._to_rest_object()  # noqa: SLF001
        except MlException as error:
            yield at, _sentence(str(error))


def _messages(error: BaseException | None) -> Any:
    """The messages by field, from under the text that the SDK makes of them."""
    messages: Any = None
    while error is not None:
        messages = getattr(error, "messages", messages)
        if isinstance(messages, dict):
            break
        error = error.__context__
    return messages


def _reduced(messages: Any, value: Any, at: str) -> _Found:
    """The messages of one place, with those of other types than the value's own left out."""
    if isinstance(messages, str):
        yield at, _problem(messages, value, at)
    elif isinstance(messages, list):
        texts = [message for message in messages if isinstance(message, str)]
        yield from ((at, _problem(text, value, at)) for text in texts)
        alternatives = [message for message in messages if isinstance(message, dict)]
        if alternatives:
            yield from _of_own_type(alternatives, value, at)
    elif isinstance(messages, dict):
        for key, below in messages.items():
            if key == "key" and not _holds(value, key):
                yield from _reduced(below, at.rpartition(".")[2], at)
            elif key in _OF_THE_VALUE or (key == "value" and not _holds(value, key)):
                yield from _reduced(below, value, at)
            else:
                yield from _reduced(below, _mapping(value).get(key), f"{at}.{key}")


def _of_own_type(alternatives: list[dict[str, Any]], value: Any, at: str) -> _Found:
    structured = [found for found in alternatives if not _OF_THE_VALUE & set(found)]
    if not isinstance(value, dict) or not structured:
        # A plain value: the last alternative is the type, those before it say that it is no binding.
        yield from _reduced(alternatives[-1], value, at)
        return
    own = [found for found in structured if "type" not in found]
    if own:
        yield from _reduced(own[0], value, at)
        return
    allowed = [name for found in structured for name in _allowed(found.get("type"))]
    if allowed:
        yield f"{at}.type", f"got {value.get('type')!r}, expected {', '.join(dict.fromkeys(allowed))}"
    else:
        yield from _reduced(structured[0], value, at)


def _allowed(messages: Any) -> list[str]:
    if isinstance(messages, str):
        match = _SET.search(messages)
        return [str(name) for name in ast.literal_eval(match[1])] if match else []
    parts = messages.values() if isinstance(messages, dict) else messages or []
    return [name for part in parts for name in _allowed(part)]


def _problem(text: str, value: Any, at: str) -> str:
    if text in _PLAIN:
        return _PLAIN[text]
    shown = "a value" if ".environment_variables" in at else repr(value)[:80]
    allowed = _allowed(text)
    if allowed:
        return f"got {shown}, expected {', '.join(allowed)}"
    return f"got {shown}: {_sentence(text)}"


def _place(message: str, job: dict[str, Any], at: str) -> str:
    """Where a message belongs that names no path: to the field that holds the binding which it names."""
    binding = BINDING.search(message)
    if binding is None:
        return f"{at}.type" if "job type" in message else at
    for name, step in _mapping(job.get("jobs")).items():
        for key, value in _mapping(_mapping(step).get("inputs")).items():
            if value == binding.group():
                return f"{at}.jobs.{name}.inputs.{key}"
    return at


def _sentence(message: str) -> str:
    text = " ".join(str(message).split()).rstrip(".")
    return text[:1].lower() + text[1:300]


def _holds(value: Any, key: str) -> bool:
    return isinstance(value, dict) and key in value


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}

"""Train the demonstration classifier and write every file of this folder except the README.

    python examples/digits/train.py [--out FOLDER] [--torch]

Needs scikit-learn, numpy and onnx. `--torch` writes `model.pt` too, from the `weights.npz` that lies in the
output folder, and needs torch; it trains nothing, so the two steps may run in two environments.
"""

from __future__ import annotations

import argparse
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 20
HELD_OUT_SHARE = 0.4
HIDDEN_UNITS = 128
NOISE_SIGMA = 0.25
NOISY_COPIES = 20
EPOCHS = 30
WEIGHT_DECAY = 0.01
BATCH = 128
ATTACK_EPS = 0.03
LABELS = [str(digit) for digit in range(10)]
OPSET = 17
# onnxruntime 1.17, the oldest that hexgate supports, reads up to IR version 9.
IR_VERSION = 8

Floats = NDArray[np.float32]
Weights = dict[str, Floats]


def split() -> dict[str, NDArray[Any]]:
    """The digits in [0, 1], split in strata, with the row of each held-out image in scikit-learn's data."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, digits = load_digits(return_X_y=True)
    rows = np.arange(len(digits))
    train_rows, held_rows = train_test_split(
        rows, test_size=HELD_OUT_SHARE, stratify=digits, random_state=SEED
    )
    images = (pixels / 16.0).astype(np.float32)
    return {
        "train_images": images[train_rows],
        "train_digits": digits[train_rows],
        "held_rows": held_rows,
        "held_images": images[held_rows],
        "held_digits": digits[held_rows],
    }


def fit(images: Floats, digits: NDArray[np.int64]) -> Weights:
    """Weights of the perceptron 64-128-10, trained on the images and on noisy copies of them."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(SEED)
    noisy = [
        np.clip(images + random.normal(0.0, NOISE_SIGMA, images.shape), 0.0, 1.0) for _ in range(NOISY_COPIES)
    ]
    network = MLPClassifier(
        (HIDDEN_UNITS,), alpha=WEIGHT_DECAY, batch_size=BATCH, max_iter=EPOCHS, random_state=SEED, tol=0.0
    )
    # One thread, because the order of a sum depends on the number of threads, and the last bits on the order.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is meant
        network.fit(np.concatenate([images, *noisy]), np.tile(digits, NOISY_COPIES + 1))
    (hidden, output), (hidden_bias, output_bias) = network.coefs_, network.intercepts_
    named = {
        "hidden.weight": hidden.T,
        "hidden.bias": hidden_bias,
        "output.weight": output.T,
        "output.bias": output_bias,
    }
    return {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in named.items()}


def logits(weights: Weights, images: Floats) -> Floats:
    """Scores of the ten digits: (n, 64) to (n, 10)."""
    hidden = np.maximum(images @ weights["hidden.weight"].T + weights["hidden.bias"], 0.0)
    scores: Floats = hidden @ weights["output.weight"].T + weights["output.bias"]
    return scores


def fgsm(weights: Weights, images: Floats, digits: NDArray[np.int64], eps: float, loss: str) -> Floats:
    """One signed gradient step that raises the loss (``margin`` or ``cross_entropy``), kept in [0, 1]."""
    before = images @ weights["hidden.weight"].T + weights["hidden.bias"]
    scores = logits(weights, images).astype(np.float64)
    everyone = np.arange(len(digits))
    if loss == "margin":
        others = scores.copy()
        others[everyone, digits] = -np.inf
        slope = np.zeros_like(scores)
        slope[everyone, others.argmax(axis=1)] = 1.0
    else:
        slope = np.exp(scores - scores.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
    slope[everyone, digits] -= 1.0
    gradient = ((slope @ weights["output.weight"]) * (before > 0)) @ weights["hidden.weight"]
    attacked: Floats = np.clip(images + eps * np.sign(gradient), 0.0, 1.0).astype(np.float32)
    return attacked


def figures(weights: Weights, data: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """What the card states of the held-out images."""
    from sklearn.metrics import accuracy_score, f1_score

    images, digits = data["held_images"], data["held_digits"]
    predicted = logits(weights, images).argmax(axis=1)
    clean = f1_score(digits, predicted, average="macro")
    found: dict[str, Any] = {
        "items": len(digits),
        "accuracy": round(float(accuracy_score(digits, predicted)), 4),
        "macro_f1": round(float(clean), 4),
    }
    for loss in ("margin", "cross_entropy"):
        attacked = logits(weights, fgsm(weights, images, digits, ATTACK_EPS, loss)).argmax(axis=1)
        drop = clean - f1_score(digits, attacked, average="macro")
        found[f"macro_f1_drop_fgsm_{ATTACK_EPS}_{loss}"] = round(float(drop), 4)
    return found


def write_onnx(weights: Weights, path: Path) -> None:
    """The perceptron as Gemm, Relu, Gemm: input `input` [batch, 64], output `logits` [batch, 10]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    names = {
        "hidden": ("hidden.weight", "hidden.bias"),
        "output": ("output.weight", "output.bias"),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["input", *names["hidden"]], ["hidden_sum"], name="hidden", transB=1),
            helper.make_node("Relu", ["hidden_sum"], ["hidden_out"], name="relu"),
            helper.make_node("Gemm", ["hidden_out", *names["output"]], ["logits"], name="output", transB=1),
        ],
        "hexgate-demo-digits",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(weights[name], name) for pair in names.values() for name in pair],
    )
    model = helper.make_model(
        graph, producer_name="hexgate-demo", opset_imports=[helper.make_opsetid("", OPSET)]
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_held_out(data: dict[str, NDArray[Any]], path: Path) -> None:
    """The held-out images, a JSON object a line. A pixel is k/16, which JSON holds exactly."""
    lines = []
    for row, image, digit in zip(data["held_rows"], data["held_images"], data["held_digits"], strict=True):
        pixels = [int(value) if value in (0.0, 1.0) else float(value) for value in image]
        item = {"id": f"digit-{row:04d}", "input": pixels, "label": LABELS[digit]}
        lines.append(json.dumps(item, separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_card(found: dict[str, Any], train_items: int, path: Path) -> None:
    """The model card that `hexgate` reads."""
    card = {
        "schema": "hexgate/card/1.0",
        "name": "hexgate-demo-digits",
        "revision": "1",
        "description": (
            "Demonstration only. The released system is this digit classifier (8x8 images) together with"
            " the reference language model, so that all six indicators have something to measure."
            " A passing gate over it proves that the gate works, and nothing about any other model."
        ),
        "model": "model.onnx",
        "task": "classification",
        "labels": LABELS,
        "input_shape": [64],
        "input_range": [0, 1],
        "output": "logits",
        "generator": "../lm/lm.json",
        "prompts": "../prompts/prompts.jsonl",
        "demonstration": True,
        "training": {
            "data": "scikit-learn load_digits: the 1,797 test images of UCI optdigits",
            "script": "train.py",
            "items": train_items,
            "seed": SEED,
            "hidden_units": HIDDEN_UNITS,
            "epochs": EPOCHS,
            "weight_decay": WEIGHT_DECAY,
            "noisy_copies": NOISY_COPIES,
            "noise_sigma": NOISE_SIGMA,
            "held_out": found,
        },
    }
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8", newline="\n")


def write_torchscript(weights: Weights, path: Path) -> None:
    """The same weights as a traced TorchScript file, in evaluation mode, with a variable batch."""
    import torch

    network = torch.nn.Sequential(
        torch.nn.Linear(64, HIDDEN_UNITS), torch.nn.ReLU(), torch.nn.Linear(HIDDEN_UNITS, 10)
    )
    parts = {"hidden": "0", "output": "2"}
    network.load_state_dict(
        {
            name.replace(part, position): torch.from_numpy(weights[name])
            for part, position in parts.items()
            for name in (f"{part}.weight", f"{part}.bias")
        }
    )
    network.eval()
    with warnings.catch_warnings():
        # torch announces torch.export as the successor; the traced form is what is wanted here.
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(network, torch.zeros(2, 64), _store_inputs=False)
    # The debug records hold the paths of the machine that traced it: they differ from run to run.
    saved = torch._C.PyTorchFileReader(io.BytesIO(traced.save_to_buffer()))  # noqa: SLF001
    own_records = {"version", ".data/serialization_id"}  # the writer adds these by itself
    writer = torch._C.PyTorchFileWriter(str(path))  # noqa: SLF001
    for record in sorted(saved.get_all_records()):
        if not record.endswith(".debug_pkl") and record not in own_records:
            content = saved.get_record(record)
            writer.write_record(record, content, len(content))
    writer.write_end_of_file()


def main(arguments: list[str] | None = None) -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    parser.add_argument("--torch", action="store_true", help="write only model.pt, from weights.npz")
    options = parser.parse_args(arguments)
    out: Path = options.out
    if options.torch:
        with np.load(out / "weights.npz") as stored:
            write_torchscript(dict(stored), out / "model.pt")
        print(f"wrote {out / 'model.pt'}")
        return
    data = split()
    weights = fit(data["train_images"], data["train_digits"])
    found = figures(weights, data)
    out.mkdir(parents=True, exist_ok=True)
    write_onnx(weights, out / "model.onnx")
    np.savez(out / "weights.npz", **weights)  # type: ignore[arg-type]
    write_held_out(data, out / "val.jsonl")
    write_card(found, len(data["train_digits"]), out / "card.json")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

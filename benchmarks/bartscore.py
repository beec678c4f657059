"""How fast `hexgate.scorers.bartscore` scores mixed lengths, against fixed batches in the given order.

    python benchmarks/bartscore.py [--checkpoint DIR] [--pairs N] [--rounds N] [--device D] [--batch-tokens N]

The peer does what the authors' implementation of BARTScore is described to do: four pairs at a time as they come,
padded to the longest, through the whole model with labels, log-softmax over every position, the mean over each
target's tokens. Both score the same pairs with the same weights, in turns. Without --checkpoint the weights are random,
in the shape of bart-base: speed does not depend on them. A third of the pairs is short, a third medium, a third long:
lengths of both texts are lognormal with medians of 16, 64 and 256 tokens and a sigma of 0.5, in random order.

Prints seconds, pairs/s and the ratio; exits 1 where the median ratio is below the goal of 2 or scores differ by 1e-4.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer, BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from hexgate.scorers.bartscore import BartScorer

GOAL = 2.0
AGREE = 1e-4
PEER_BATCH = 4
MOST_TOKENS = 1024
VOCABULARY = 50_265
MEDIANS = (16, 64, 256)
MARKS = {"bos": "s", "pad": "pad", "eos": "/s", "unk": "unk"}

Pairs = list[tuple[str, str]]


def write_random(folder: Path) -> None:
    """A checkpoint in the shape of bart-base, whose words are w0, w1 and so on."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = [*(f"<{mark}>" for mark in MARKS.values()), *(f"w{number}" for number in range(VOCABULARY - 4))]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{role}_token": f"<{name}>" for role, name in MARKS.items()}
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_ffn_dim": 3072}
    shape |= {"decoder_ffn_dim": 3072, "encoder_attention_heads": 12, "decoder_attention_heads": 12}
    BartForConditionalGeneration(BartConfig(vocab_size=VOCABULARY, **shape)).save_pretrained(folder)


def drawn(count: int, words: list[str]) -> Pairs:
    """Pairs of mixed lengths, the same on every machine."""
    dice = random.Random(0)

    def text(median: int) -> str:
        length = min(800, max(4, round(math.exp(dice.gauss(math.log(median), 0.5)))))
        return " ".join(dice.choice(words) for _ in range(length))

    medians = [MEDIANS[place % len(MEDIANS)] for place in range(count)]
    dice.shuffle(medians)
    return [(text(median), text(median)) for median in medians]


def fixed_batches(model: Any, tokenizer: Any, pairs: Pairs, device: str) -> list[float]:
    """The peer."""
    scores: list[float] = []
    for first in range(0, len(pairs), PEER_BATCH):
        sources, targets = zip(*pairs[first : first + PEER_BATCH], strict=True)
        how = {"padding": True, "truncation": True, "max_length": MOST_TOKENS, "return_tensors": "pt"}
        source, target = (
            tokenizer(list(sources), **how).to(device),
            tokenizer(list(targets), **how).to(device),
        )
        ids, mask = target["input_ids"], target["attention_mask"]
        with torch.no_grad():
            logits = model(
                input_ids=source["input_ids"], attention_mask=source["attention_mask"], labels=ids
            ).logits
            logs = torch.log_softmax(logits.flatten(0, 1), dim=1)
            said = logs.gather(1, ids.reshape(-1, 1)).view_as(ids) * mask
            scores += (said.sum(dim=1) / mask.sum(dim=1)).tolist()
    return scores


def timed(score: Callable[[], list[float]], device: str) -> tuple[float, list[float]]:
    """Wall-clock seconds of one scoring, and the scores."""
    begun = time.perf_counter()
    scores = score()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begun, scores


def main() -> int:
    """Measure both in turn, so that a machine whose speed drifts treats them alike."""
    parser = argparse.ArgumentParser(description="BARTScore: ours against fixed batches in the given order.")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--pairs", type=int, default=36)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.checkpoint or Path(scratch)
        if options.checkpoint is None:
            write_random(folder)
        return measured(folder, options)


def measured(folder: Path, options: argparse.Namespace) -> int:
    """The rounds and the table."""
    ours = BartScorer.open(
        folder, device=options.device, batch_tokens=options.batch_tokens, languages={"any"}
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = (
        BartForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).to(options.device).eval()
    )
    words = (
        [f"w{number}" for number in range(5000)]
        if options.checkpoint is None
        else ["the", "king", "of", "a", "mill"]
    )
    pairs = drawn(options.pairs, words)

    def peer() -> list[float]:
        return fixed_batches(model, tokenizer, pairs, options.device)

    def own() -> list[float]:
        return [score.value if score.value is not None else math.nan for score in ours.score(pairs)]

    ours.score(pairs[:4])
    fixed_batches(model, tokenizer, pairs[:4], options.device)
    spent: list[tuple[float, float]] = []
    apart = 0.0
    for _ in range(options.rounds):
        peer_s, theirs = timed(peer, options.device)
        own_s, found = timed(own, options.device)
        spent.append((peer_s, own_s))
        apart = max(apart, *(abs(a - b) for a, b in zip(theirs, found, strict=True)))
    for name, column in (("fixed batches of 4", 0), ("hexgate", 1)):
        seconds = statistics.median(one[column] for one in spent)
        print(f"{name:20} {seconds:8.2f} s  {options.pairs / seconds:8.2f} pairs/s")
    ratio = statistics.median(peer_s / own_s for peer_s, own_s in spent)
    print(f"ratio                {ratio:8.2f}    goal {GOAL}, median of {options.rounds} interleaved rounds")
    print(f"largest difference   {apart:8.1e}    limit {AGREE}")
    print(
        f"{options.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, {options.pairs} pairs"
    )
    return 0 if ratio >= GOAL and apart <= AGREE else 1


if __name__ == "__main__":
    sys.exit(main())

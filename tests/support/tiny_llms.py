"""Tiny random language models, made in a second and good for nothing but being served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
_WORDS = 64
_WIDTH = 64
_LAYERS = 2
_HEADS = 4


def write_gguf(path: Path) -> None:
    """A model for llama.cpp. It says words alone: nothing else has a weight in its last layer."""
    from gguf import GGUFWriter, TokenType

    special, inner = 3 + 256, 128
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += [f"▁w{word}" for word in range(_WORDS)]
    kinds = [
        TokenType.UNKNOWN,
        *[TokenType.CONTROL] * 2,
        *[TokenType.BYTE] * 256,
        *[TokenType.NORMAL] * _WORDS,
    ]
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    ones = np.ones(_WIDTH, dtype=np.float32)
    last = drawn(len(tokens), _WIDTH)
    last[:special] = 0.0
    tensors = {"token_embd": drawn(len(tokens), _WIDTH), "output_norm": ones, "output": last}
    for layer in range(_LAYERS):
        own = {"attn_norm": ones, "ffn_norm": ones, "attn_output": drawn(_WIDTH, _WIDTH)}
        own |= {f"attn_{part}": drawn(_WIDTH, _WIDTH) for part in "qkv"}
        own |= {
            "ffn_gate": drawn(inner, _WIDTH),
            "ffn_up": drawn(inner, _WIDTH),
            "ffn_down": drawn(_WIDTH, inner),
        }
        tensors |= {f"blk.{layer}.{name}": tensor for name, tensor in own.items()}
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_transformers(folder: Path) -> None:
    """A model for transformers, whose tokens are bytes. It says letters and spaces alone."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0, "</s>": 1, **{letter: 2 + place for place, letter in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    fast.chat_template = _TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=_WIDTH,
        intermediate_size=128,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    said = [place for letter, place in vocabulary.items() if letter.isascii() and letter.isalpha()]
    silent = sorted(set(vocabulary.values()) - set(said) - {vocabulary["Ġ"]})
    with torch.no_grad():
        model.lm_head.weight[silent] = 0.0
    model.save_pretrained(folder)

"""Tiny random models for scoring texts, made in a second, with tokenizers that were trained on a few sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# All the commonest English words are in it, so that a tokenizer trained on it has them whole.
ENGLISH = (
    "The cat is in the house and it was not on the roof of that barn, as they have said to you. "
    "We can go with him for his walk at noon, or by the river, which had an old mill from the days of the king. "
    "This is a thing to be glad of, and these are the men that they can go with: it is for you, or it was for us. "
)
CHINESE = "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年天气很好"
_WIDTH = 32


def _bytes_tokenizer(texts: list[str], words: int, ends: tuple[str, str]) -> Any:
    """Byte-level BPE, as BART's own, whose texts stand between two tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    begin, end = ends
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=[begin, "<pad>", end],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, 0), (end, 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        cls_token=begin,
        eos_token=end,
        sep_token=end,
        pad_token="<pad>",
    )


def write_bart(folder: Path, *, chinese: bool = False, positions: int = 64) -> None:
    """A BART whose weights are large enough that it likes some texts far better than others."""
    import torch
    from transformers import BartConfig, BartForConditionalGeneration

    tokenizer = _bytes_tokenizer([" ".join(CHINESE) if chinese else ENGLISH], 600, ("<s>", "</s>"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=_WIDTH,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=2 * _WIDTH,
        decoder_ffn_dim=2 * _WIDTH,
        max_position_embeddings=positions,
        init_std=0.3,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
    )
    model = BartForConditionalGeneration(config)
    model.final_logits_bias.normal_()
    model.save_pretrained(folder)


def write_bert(folder: Path, *, chinese: bool = False, roberta: bool = False) -> None:
    """A BERT or RoBERTa with three layers, which reads 64 tokens."""
    import torch
    from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

    tokenizer = _bytes_tokenizer([" ".join(CHINESE) if chinese else ENGLISH], 600, ("[CLS]", "[SEP]"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    configuration, family = (RobertaConfig, RobertaModel) if roberta else (BertConfig, BertModel)
    config = configuration(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=2 * _WIDTH,
        max_position_embeddings=66 if roberta else 64,
        initializer_range=0.3,
        pad_token_id=1,
    )
    family(config, add_pooling_layer=False).save_pretrained(folder)

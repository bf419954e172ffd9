"""Tiny cross-encoders with random weights, in the file layouts that models are published in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from colstore.encode.hub import embedded_model_path

Kind: TypeAlias = Literal["bert", "deberta-v2", "xlm-roberta", "causal"]
KINDS: tuple[Kind, ...] = ("bert", "deberta-v2", "xlm-roberta", "causal")
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 130,
}


def make_cross_encoder(folder: Path, kind: Kind, *, labels: int = 1) -> Path:
    """Write a checkpoint (config, safetensors, tokenizer) and return its folder."""
    import torch

    folder.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokenizer = _tokenizer(kind)
        model = _model(kind, tokenizer, labels)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(kind: Kind) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    bert = AutoTokenizer.from_pretrained(embedded_model_path(), model_max_length=128)
    if kind == "bert":
        return bert
    marks = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    if kind == "causal":
        marks |= {"eos_token": "[SEP]"}
    else:
        marks |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=bert.backend_tokenizer,
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
        **marks,
    )


def _model(kind: Kind, tokenizer: Any, labels: int) -> Any:
    import transformers

    t: Any = transformers  # its configurations take more than their stubs say
    sizes = {**_SIZES, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    if kind == "bert":
        return t.BertForSequenceClassification(t.BertConfig(**sizes, num_labels=labels))
    if kind == "deberta-v2":
        return t.DebertaV2ForSequenceClassification(
            t.DebertaV2Config(
                **sizes, num_labels=labels, relative_attention=True, pos_att_type=["p2c", "c2p"], type_vocab_size=0
            )
        )
    if kind == "xlm-roberta":
        return t.XLMRobertaForSequenceClassification(t.XLMRobertaConfig(**sizes, num_labels=labels))
    return t.Qwen2ForCausalLM(t.Qwen2Config(**sizes, num_key_value_heads=2, tie_word_embeddings=True))

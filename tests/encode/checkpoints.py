"""Tiny checkpoints with random weights, in exactly the file layouts that models are published in."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from colstore.encode.hub import embedded_model_path

Layout: TypeAlias = Literal["stanford", "pylate", "native", "plain"]
Body: TypeAlias = Literal["bert", "modernbert", "xlm-roberta", "distilbert"]
MakeCheckpoint: TypeAlias = Callable[..., Path]

LAYOUTS: tuple[Layout, ...] = ("stanford", "pylate", "native", "plain")
BODIES: tuple[Body, ...] = ("bert", "modernbert", "xlm-roberta", "distilbert")
HIDDEN, DIM, POSITIONS = 32, 16, 128
TEXT = (
    "bees dance in the dark hive while statins lower crp levels of many people and an old river runs to sea"
    " what do does how why is a query: passage: waggle honey sugar moon light cell virus vaccine energy wind"
)
WORDS = TEXT.split()


def make_checkpoint(folder: Path, layout: Layout, body: Body = "bert", *, seed: int = 0, **options: Any) -> Path:
    """Write a checkpoint and return its folder.

    Options: ``query_length`` (12), ``document_length`` (24), ``expand`` (True), ``attend`` (False),
    ``mask_punctuation`` (True), ``strategy`` ("fixed", native only), ``metadata`` (True: write
    ``artifact.metadata``).
    """
    import torch

    folder.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = make_tokenizer(body)
        _WRITERS[layout](folder, tokenizer, body, {**_DEFAULTS, **options})
    return folder


_DEFAULTS: dict[str, Any] = {
    "query_length": 12,
    "document_length": 24,
    "expand": True,
    "attend": False,
    "mask_punctuation": True,
    "strategy": "fixed",
    "metadata": True,
}


def make_tokenizer(body: Body) -> Any:
    """Return a tokenizer of the body's family: BERT's own vocabulary, or a small SentencePiece-like one."""
    from transformers import AutoTokenizer

    if body == "xlm-roberta":
        return _sentencepiece_tokenizer()
    source = embedded_model_path()
    tokenizer = AutoTokenizer.from_pretrained(source, model_max_length=10**9)
    if body == "bert":
        return tokenizer
    return _fast_tokenizer(
        tokenizer_object=tokenizer.backend_tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    )


def _fast_tokenizer(**arguments: Any) -> Any:
    import transformers

    make: Any = transformers.PreTrainedTokenizerFast
    return make(**arguments)


def _sentencepiece_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces += ["▁" + word for word in dict.fromkeys(WORDS)]
    pieces += ["▁", *string.ascii_lowercase, *string.digits, *string.punctuation]
    pieces += ["<mask>", "[QueryMarker]", "[DocumentMarker]"]
    backend = Tokenizer(models.Unigram([(piece, -float(rank)) for rank, piece in enumerate(pieces)], unk_id=3))
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    backend.decoder = decoders.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return _fast_tokenizer(
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        extra_special_tokens=["[QueryMarker]", "[DocumentMarker]"],
    )


def make_body(body: Body, tokenizer: Any) -> Any:
    """Return a two-layer model of the family, with random weights large enough to tell texts apart."""
    import transformers as library

    transformers: Any = library
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.2,
    }
    if body == "bert":
        config = transformers.BertConfig(**shape)
        return transformers.BertModel(config).eval()
    if body == "xlm-roberta":
        config = transformers.XLMRobertaConfig(**{**shape, "max_position_embeddings": POSITIONS + 2}, type_vocab_size=1)
        return transformers.XLMRobertaModel(config).eval()
    if body == "modernbert":
        ends = {
            "cls_token_id": tokenizer.cls_token_id,
            "sep_token_id": tokenizer.sep_token_id,
            "bos_token_id": tokenizer.cls_token_id,
            "eos_token_id": tokenizer.sep_token_id,
        }
        config = transformers.ModernBertConfig(**shape, **ends, local_attention=8)
        return transformers.ModernBertModel(config).eval()
    config = transformers.DistilBertConfig(
        vocab_size=len(tokenizer),
        dim=HIDDEN,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        max_position_embeddings=POSITIONS,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
    )
    return transformers.DistilBertModel(config).eval()


def stanford_markers(body: Body) -> tuple[str, str]:
    """Return the query's and the document's marker token in Stanford checkpoints."""
    return ("[QueryMarker]", "[DocumentMarker]") if body == "xlm-roberta" else ("[unused0]", "[unused1]")


def _write_stanford(folder: Path, tokenizer: Any, body: Body, options: dict[str, Any]) -> None:
    """``HF_ColBERT``: body and ``linear.weight`` in one file, settings in ``artifact.metadata``."""
    import torch
    from safetensors.torch import save_file

    model = make_body(body, tokenizer)
    weights = {f"{model.base_model_prefix}.{name}": tensor for name, tensor in model.state_dict().items()}
    weights["linear.weight"] = torch.randn(DIM, HIDDEN)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {**model.config.to_dict(), "architectures": ["HF_ColBERT"]}
    _write_json(folder / "config.json", config)
    tokenizer.save_pretrained(folder)
    query, document = stanford_markers(body)
    if options["metadata"]:
        metadata = {
            "query_token_id": query,
            "doc_token_id": document,
            "query_token": "[Q]",
            "doc_token": "[D]",
            "dim": DIM,
            "query_maxlen": options["query_length"],
            "doc_maxlen": options["document_length"],
            "mask_punctuation": options["mask_punctuation"],
            "attend_to_mask_tokens": options["attend"],
            "similarity": "cosine",
            "nbits": 1,
        }
        _write_json(folder / "artifact.metadata", metadata)


def _write_pylate(folder: Path, tokenizer: Any, body: Body, options: dict[str, Any]) -> None:
    """PyLate: markers ``"[Q] "`` and ``"[D] "`` added to the vocabulary, projections in their own folders."""
    tokenizer.add_tokens(["[Q] ", "[D] "])
    model = make_body(body, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = {
        "model_type": "ColBERT",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": options["query_length"],
        "document_length": options["document_length"],
        "do_query_expansion": options["expand"],
        "attend_to_expansion_tokens": options["attend"],
        "skiplist_words": list(string.punctuation) if options["mask_punctuation"] else [],
        "similarity_fn_name": "MaxSim",
        "prompts": {},
        "default_prompt_name": None,
        "__version__": {"sentence_transformers": "5.3.0", "transformers": "5.3.0", "pytorch": "2.9.0"},
    }
    _write_json(folder / "config_sentence_transformers.json", settings)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": POSITIONS - 1, "do_lower_case": False})
    _write_pylate_dense(folder / "1_Dense", HIDDEN, 24, residual=True)
    _write_pylate_dense(folder / "2_Dense", 24, DIM, residual=False)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    _write_json(folder / "modules.json", modules)


def _write_pylate_dense(folder: Path, width: int, dim: int, *, residual: bool) -> None:
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    weights = {"linear.weight": torch.randn(dim, width)}
    if residual:
        weights["residual.weight"] = torch.randn(dim, width)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings = {
        "in_features": width,
        "out_features": dim,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
        "use_residual": residual,
    }
    _write_json(folder / "config.json", settings)


def _write_native(folder: Path, tokenizer: Any, body: Body, options: dict[str, Any]) -> None:
    """sentence-transformers' own: saved by the library itself, prompts as plain text."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    source = folder / "source"
    make_body(body, tokenizer).save_pretrained(source)
    tokenizer.save_pretrained(source)
    expansion = {
        "strategy": options["strategy"],
        "attend": options["attend"],
        "length": options["query_length"],
    }
    transformer = Transformer(
        str(source),
        document_length=options["document_length"],
        query_length=None if options["expand"] else options["query_length"],
        query_expansion=expansion if options["expand"] else None,
    )
    modules = [
        transformer,
        Dense(
            HIDDEN,
            DIM,
            bias=False,
            activation_function=torch.nn.Identity(),
            module_input_name="token_embeddings",
        ),
        MultiVectorMask(skiplist_words=list(string.punctuation) if options["mask_punctuation"] else []),
        Normalize(module_input_name="token_embeddings"),
    ]
    prompts = {"query": "query: ", "document": "passage: "}
    model = MultiVectorEncoder(modules=modules, prompts=prompts, device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    for path in source.iterdir():
        path.unlink()
    source.rmdir()


def _write_plain(folder: Path, tokenizer: Any, body: Body, options: dict[str, Any]) -> None:
    """An ordinary encoder: a transformer and its tokenizer, nothing of late interaction."""
    make_body(body, tokenizer).save_pretrained(folder)
    tokenizer.model_max_length = options["document_length"]
    tokenizer.save_pretrained(folder)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


_WRITERS: dict[str, Callable[[Path, Any, Body, dict[str, Any]], None]] = {
    "stanford": _write_stanford,
    "pylate": _write_pylate,
    "native": _write_native,
    "plain": _write_plain,
}

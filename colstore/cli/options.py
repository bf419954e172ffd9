"""Options that several commands share: one name, one meaning and one help text for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from colstore.config import BACKENDS, BITS, FROZEN_DTYPES, POOLINGS, PassageConfig

if TYPE_CHECKING:
    from colstore.config import SearchParams
    from colstore.corpus import Reading
    from colstore.rerank.stage import RerankStage

_F = TypeVar("_F", bound=Callable[..., Any])

ONE_OR_MORE = click.IntRange(min=1)
_SHARE = click.FloatRange(min=0, max=1, min_open=True)


def json_option(command: _F) -> _F:
    """Add ``--json``: print the report of the command as JSON."""
    return json_option_for("the report")(command)


def json_option_for(result: str) -> Callable[[_F], _F]:
    """Add ``--json`` to a command that prints something other than a report."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {result} as JSON.")


def wait_option(command: _F) -> _F:
    """Add ``--wait``: how long to wait for another writer."""
    return click.option(
        "--wait",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        show_default=True,
        help="Time to wait while another process writes to the index.",
    )(command)


def on_error_option(command: _F) -> _F:
    """Add ``--on-error``: what to do with a document that cannot be read."""
    return click.option(
        "--on-error",
        type=click.Choice(["error", "skip"]),
        default="error",
        show_default=True,
        help="Document that is empty or cannot be read: stop, or leave it out and count it.",
    )(command)


def passage_options(command: _F) -> _F:
    """Add ``--passages``, ``--passage-tokens`` and ``--passage-overlap``; see :func:`passages_of`."""
    options = [
        click.option(
            "--passages/--no-passages",
            default=None,
            show_default="passages",
            help="Split a text beyond the model's limit into passages, of which the best one counts; or leave its end "
            "out and report it.",
        ),
        click.option(
            "--passage-tokens",
            type=ONE_OR_MORE,
            metavar="N",
            show_default="the model's limit",
            help="Largest number of tokens of a passage, with title.",
        ),
        click.option(
            "--passage-overlap",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            show_default=True,
            help="Largest number of tokens that a passage repeats of the one before, in whole sentences.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def passages_of(settings: dict[str, Any]) -> PassageConfig | bool | None:
    """Take the options of :func:`passage_options` out of the settings, and return the argument they stand for."""
    passages: bool | None = settings.pop("passages")
    tokens, overlap = settings.pop("passage_tokens"), settings.pop("passage_overlap")
    if tokens is None and not overlap:
        return passages
    if passages is False:
        raise click.UsageError("--passage-tokens and --passage-overlap need passages: leave out --no-passages")
    return PassageConfig(tokens, overlap)


_ON_DUPLICATE = {
    "error": "stop",
    "replace": "let the newest document replace the others",
    "skip": "keep the first and count the others",
}


def on_duplicate_option(*choices: str, what: str = "Id that occurs a second time") -> Callable[[_F], _F]:
    """Add ``--on-duplicate`` with some of the choices ``error``, ``replace`` and ``skip``.

    Parameters
    ----------
    choices
        The choices that the command knows.
    what
        Names the duplicate in the help text.
    """
    *first, last = [_ON_DUPLICATE[choice] for choice in choices]
    return click.option(
        "--on-duplicate",
        type=click.Choice(choices),
        default="error",
        show_default=True,
        help=f"{what}: {', '.join(first)}, or {last}.",
    )


def ignore_identical_ids_option(command: _F) -> _F:
    """Add ``--ignore-identical-ids``: leave out documents that are their own query."""
    return click.option(
        "--ignore-identical-ids",
        is_flag=True,
        help="Leave out documents whose id is that of the query, as published figures do where the queries are "
        "documents themselves (ArguAna, Quora).",
    )(command)


def layout_option(what: str) -> Callable[[_F], _F]:
    """Add ``--layout``: the format of a run that is written."""
    return click.option(
        "--layout",
        type=click.Choice(["trec", "msmarco", "jsonl"]),
        show_default="by the ending of the file: .jsonl, .tsv (MS MARCO), else TREC",
        help=f"Format of {what}. TREC has no room for ids that hold white space.",
    )


def k_option(
    default: int | None, text: str = "Number of hits to return.", *, shown: str | bool = True
) -> Callable[[_F], _F]:
    """Add ``-k``: the number of hits; ``shown`` names the default where it is no number."""
    return click.option("-k", type=ONE_OR_MORE, default=default, metavar="N", show_default=shown, help=text)


def threads_option(what: str) -> Callable[[_F], _F]:
    """Add ``--threads``."""
    return click.option("--threads", type=ONE_OR_MORE, default=1, metavar="N", show_default=True, help=what)


def seed_option(what: str) -> Callable[[_F], _F]:
    """Add ``--seed``."""
    return click.option("--seed", type=int, default=0, metavar="N", show_default=True, help=f"Seed for {what}.")


def overwrite_option(what: str) -> Callable[[_F], _F]:
    """Add ``--overwrite``."""
    return click.option("--overwrite", is_flag=True, help=what)


def queries_option(text: str, *, required: bool = False) -> Callable[[_F], _F]:
    """Add ``--queries``."""
    return click.option("--queries", required=required, type=click.Path(path_type=Path), metavar="PATH", help=text)


def qrels_option(command: _F) -> _F:
    """Add ``--qrels``."""
    return click.option(
        "--qrels",
        type=click.Path(path_type=Path),
        metavar="PATH",
        show_default="those in the folder of --queries",
        help="Relevance judgements: a file in BEIR or TREC format, or a BEIR folder with qrels/test.tsv in it.",
    )(command)


def first_stage_option(text: str) -> Callable[[_F], _F]:
    """Add ``--first-stage``."""
    return click.option("--first-stage", type=click.Choice(["bm25"]), help=text)


_READING = (
    click.option("--id-field", metavar="NAME", show_default="_id, id, docid, ...", help="Column or key of the id."),
    click.option("--text-field", metavar="NAME", show_default="text, contents, ...", help="Column or key of the text."),
    click.option("--title-field", metavar="NAME", show_default="title", help="Column or key of the title."),
    click.option(
        "--encoding",
        metavar="NAME",
        show_default="UTF-8, or what the file says",
        help="Encoding of text files, such as latin-1.",
    ),
    click.option(
        "--quoting",
        type=click.Choice(["auto", "csv", "none"]),
        default="auto",
        show_default=True,
        help="How the cells of CSV and TSV files are quoted; 'auto' decides by the file.",
    ),
    click.option(
        "--include",
        multiple=True,
        metavar="GLOB",
        help="Files of a folder to read, such as '*.md' or 'data/train-*', in the place of the rules; those with an "
        "unusual ending are read as text. Can be repeated.",
    ),
    click.option(
        "--normalize-ids",
        is_flag=True,
        help="Bring ids into Unicode's normal form NFC, so that file names from macOS and elsewhere are the same.",
    ),
)


def reading_options(command: _F) -> _F:
    """Add the options that say how a corpus is read; see :func:`reading_of`."""
    return _with_options(_READING, command)


def reading_of(
    id_field: str | None,
    text_field: str | None,
    title_field: str | None,
    encoding: str | None,
    quoting: str,
    include: tuple[str, ...],
    *,
    normalize_ids: bool,
) -> Reading:
    """Return the arguments of Python that the options of :func:`reading_options` stand for."""
    from colstore.corpus import FieldNames

    return {
        "fields": FieldNames(id_field, text_field, title_field) if id_field or text_field or title_field else None,
        "encoding": encoding,
        "quoting": quoting,  # type: ignore[typeddict-item]  # one of the choices
        "include": include,
        "normalize_ids": normalize_ids,
    }


# --- models ---------------------------------------------------------------------------------------------------------


def model_option(command: _F) -> _F:
    """Add ``--model``: the model that encodes documents and queries."""
    return click.option(
        "--model",
        default="embedded",
        show_default=True,
        metavar="MODEL",
        help="Folder or hub name of a late-interaction checkpoint or an ordinary encoder; 'embedded' is the small "
        "English model (all-MiniLM-L6-v2) that the extra 'demo' installs, for trying out without a network.",
    )(command)


def backend_option(command: _F) -> _F:
    """Add ``--backend``: what runs the model."""
    return click.option(
        "--backend",
        type=click.Choice(["auto", *BACKENDS]),
        default="auto",
        show_default=True,
        help="Library and precision that run the model over documents. 'auto' measures what is installed on a few "
        "documents and takes the fastest without loss. 'onnx-int8' is often faster and a little less accurate.",
    )(command)


def device_option(command: _F) -> _F:
    """Add ``--device``: where models run."""
    return click.option(
        "--device",
        metavar="DEVICE",
        show_default="the fastest available",
        help="Device that runs the model, such as 'cpu' or 'cuda:0'.",
    )(command)


def trust_remote_code_option(command: _F) -> _F:
    """Add ``--trust-remote-code``."""
    return click.option(
        "--trust-remote-code", is_flag=True, help="Run the Python code that a checkpoint contains. Read it first."
    )(command)


def allow_pickle_option(command: _F) -> _F:
    """Add ``--allow-pickle``."""
    return click.option(
        "--allow-pickle",
        is_flag=True,
        help="Load pickled weights (pytorch_model.bin) of a checkpoint without safetensors, as data only.",
    )(command)


# --- how hard to search ---------------------------------------------------------------------------------------------

_AS_TUNED = "as tuned, else chosen from -k"
_SEARCH_PARAMS = (
    click.option("--exact", is_flag=True, help="Score every document, whatever `colstore tune` has stored."),
    click.option(
        "--probes",
        type=ONE_OR_MORE,
        metavar="N",
        show_default=_AS_TUNED,
        help="Number of centroids to visit for each query token.",
    ),
    click.option(
        "--candidates",
        type=ONE_OR_MORE,
        metavar="N",
        show_default=_AS_TUNED,
        help="Number of documents to rank by their centroids.",
    ),
    click.option(
        "--scored",
        type=ONE_OR_MORE,
        metavar="N",
        show_default=_AS_TUNED,
        help="Number of documents to score on their stored codes.",
    ),
)


def search_params_options(command: _F) -> _F:
    """Add ``--exact``, ``--probes``, ``--candidates`` and ``--scored``; see :func:`search_params_of`."""
    return _with_options(_SEARCH_PARAMS, command)


def search_params_of(
    *, exact: bool, probes: int | None, candidates: int | None, scored: int | None
) -> SearchParams | None:
    """Return the search parameters that the options describe; ``None``, which is as tuned, without any.

    Raises
    ------
    click.UsageError
        ``--exact`` together with a limit that it makes meaningless.
    """
    limits = {"--probes": probes, "--candidates": candidates, "--scored": scored}
    set_ones = [name for name, value in limits.items() if value is not None]
    if exact and set_ones:
        raise click.UsageError(f"--exact scores every document: leave out {set_ones[0]}, or leave out --exact")
    if not exact and not set_ones:
        return None
    from colstore.config import SearchParams

    return SearchParams(probes=probes, candidates=candidates, scored=scored, exact=exact)


# --- a cross-encoder stage ------------------------------------------------------------------------------------------


def reranker_option(text: str) -> Callable[[_F], _F]:
    """Add ``--reranker``."""
    return click.option("--reranker", metavar="MODEL", show_default="none", help=text)


def depth_option(command: _F) -> _F:
    """Add ``--rerank-depth``: the number of candidates that the cross-encoder may read."""
    return click.option(
        "--rerank-depth",
        type=ONE_OR_MORE,
        default=50,
        metavar="N",
        show_default=True,
        help="Number of candidates from MaxSim that the cross-encoder may read for each query.",
    )(command)


_STAGE = (
    reranker_option("Cross-encoder (folder or hub name) that reads the best candidates after MaxSim."),
    click.option(
        "--policy",
        type=click.Choice(["always", "uncertain", "missing", "never"]),
        default="always",
        show_default=True,
        help="Candidates that the cross-encoder reads: the first ones always; only those that MaxSim cannot tell "
        "apart (needs `colstore tune --reranker`); only those without stored vectors; none.",
    ),
    depth_option,
    click.option(
        "--max-pairs", type=ONE_OR_MORE, metavar="N", help="Largest number of passages to read for each query."
    ),
    click.option(
        "--max-milliseconds",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MS",
        help="Time limit of the cross-encoder for each query; candidates not read by then keep MaxSim's order.",
    ),
    click.option(
        "--rerank-fusion",
        default="replace",
        show_default=True,
        metavar="RULE",
        help="How to combine the scores of MaxSim and the cross-encoder: replace, interpolate[:WEIGHT] or "
        "reciprocal[:CONSTANT].",
    ),
    trust_remote_code_option,
    allow_pickle_option,
)
_NEEDS_RERANKER = {
    "policy": "--policy",
    "rerank_depth": "--rerank-depth",
    "max_pairs": "--max-pairs",
    "max_milliseconds": "--max-milliseconds",
    "rerank_fusion": "--rerank-fusion",
    "keep": "--keep",
    "trust_remote_code": "--trust-remote-code",
    "allow_pickle": "--allow-pickle",
}


def stage_options(command: _F) -> _F:
    """Add the options of a cross-encoder stage; see :func:`stage_of`."""
    return _with_options(_STAGE, command)


def stage_of(
    reranker: str | None,
    policy: str = "always",
    rerank_depth: int = 50,
    max_pairs: int | None = None,
    max_milliseconds: float | None = None,
    rerank_fusion: str = "replace",
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
) -> RerankStage | None:
    """Return the stage that the options describe; ``None`` without a reranker.

    Raises
    ------
    click.UsageError
        An option of the stage was given without ``--reranker``.
    """
    if reranker is None:
        _refuse_without_reranker()
        return None
    from colstore.rerank.cross_encoder import CrossEncoderReranker
    from colstore.rerank.fusion import Fusion
    from colstore.rerank.stage import RerankStage

    return RerankStage(
        CrossEncoderReranker(reranker, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle),
        policy=policy,  # type: ignore[arg-type]  # one of the choices
        depth=rerank_depth,
        max_pairs=max_pairs,
        max_milliseconds=max_milliseconds,
        fusion=Fusion.parse(rerank_fusion),
    )


def _refuse_without_reranker() -> None:
    context = click.get_current_context()
    for name, option in _NEEDS_RERANKER.items():
        if context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT):
            raise click.UsageError(f"{option} has no effect without --reranker MODEL")


def keep_option(command: _F) -> _F:
    """Add ``--keep``: the share of the gain that the threshold of ``--policy uncertain`` must keep."""
    return click.option(
        "--keep",
        type=_SHARE,
        default=0.95,
        metavar="SHARE",
        show_default=True,
        help="Share of the gain from reranking everything that --policy uncertain must keep.",
    )(command)


def _with_options(options: Sequence[Callable[[Any], Any]], command: _F) -> _F:
    for option in reversed(options):
        command = option(command)
    return command


# --- what an index stores -------------------------------------------------------------------------------------------

_CODEC = (
    click.option(
        "--bits",
        type=click.Choice([str(bits) for bits in BITS]),
        default="4",
        show_default=True,
        callback=lambda _context, _option, value: int(value),
        help="Bits to store for each component of a vector. Fewer bits make the index smaller and less accurate.",
    ),
    click.option(
        "--pool-factor",
        type=click.FloatRange(min=1.0),
        default=1.0,
        metavar="X",
        show_default=True,
        help="Merge similar token vectors of a document until about one in X is left (token pooling).",
    ),
    click.option(
        "--pooling",
        type=click.Choice(POOLINGS),
        default="hierarchical",
        show_default=True,
        help="Which vectors are merged: the most similar ones of a document, or runs of neighbours.",
    ),
    click.option("--no-texts", is_flag=True, help="Do not store titles, texts and metadata in the index."),
)
_ENCODER = (
    click.option(
        "--max-tokens",
        type=ONE_OR_MORE,
        metavar="N",
        show_default="the model's limit",
        help="Largest number of tokens of a document; the rest of a longer one is left out and reported.",
    ),
    click.option(
        "--query-length",
        type=ONE_OR_MORE,
        metavar="N",
        show_default="the model's own",
        help="Largest number of tokens of a query.",
    ),
    click.option("--revision", metavar="NAME", help="Branch, tag or commit of a model from a hub."),
    click.option(
        "--frozen-dtype",
        type=click.Choice(FROZEN_DTYPES),
        default="float16",
        show_default=True,
        help="Precision of the query encoder that is stored in the index. float16 halves its size; int8 quarters it "
        "and is less accurate.",
    ),
)


def codec_options(command: _F) -> _F:
    """Add the options that say how token vectors are stored: ``--bits``, pooling, ``--no-texts``."""
    return _with_options(_CODEC, command)


def encoder_options(command: _F) -> _F:
    """Add the options of a model and of the query encoder that the index keeps."""
    return _with_options(_ENCODER, command)

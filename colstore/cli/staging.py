"""Options of a cross-encoder stage, shared by ``search``, ``rerank`` and ``tune``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from colstore.rerank.stage import RerankStage

_OPTIONS = (
    click.option(
        "--rerank",
        "model",
        metavar="MODEL",
        help="A cross-encoder (folder, or name on the hub) reads the best candidates after MaxSim.",
    ),
    click.option(
        "--policy",
        type=click.Choice(["always", "uncertain", "missing", "never"]),
        default="always",
        show_default=True,
        help="When it reads: always; where MaxSim is uncertain (see `colstore tune --rerank`); for candidates "
        "without vectors; never.",
    ),
    click.option("--depth", type=click.IntRange(min=1), default=50, show_default=True, help="Candidates it may read."),
    click.option("--max-pairs", type=click.IntRange(min=1), help="Most pairs it reads for a question."),
    click.option(
        "--max-milliseconds",
        type=click.FloatRange(min=0, min_open=True),
        help="Most time it takes for a question; then MaxSim's order stands.",
    ),
    click.option(
        "--rerank-fusion",
        default="replace",
        show_default=True,
        metavar="RULE",
        help="Of MaxSim and the cross-encoder: replace, interpolate[:WEIGHT] or reciprocal[:CONSTANT].",
    ),
    click.option("--trust-remote-code", is_flag=True, help="Run Python code that MODEL brings. Read it first."),
)


def stage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as keywords; see :func:`stage_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def stage_of(
    model: str | None,
    policy: str,
    depth: int,
    max_pairs: int | None,
    max_milliseconds: float | None,
    rerank_fusion: str,
    trust_remote_code: bool,
) -> RerankStage | None:
    """Return the stage that the options describe; ``None`` without a model."""
    if model is None:
        return None
    from colstore.rerank.cross_encoder import CrossEncoderReranker
    from colstore.rerank.fusion import Fusion
    from colstore.rerank.stage import RerankStage

    reranker = CrossEncoderReranker(model, trust_remote_code=trust_remote_code)
    return RerankStage(
        reranker,
        policy=policy,  # type: ignore[arg-type]  # one of the choices
        depth=depth,
        max_pairs=max_pairs,
        max_milliseconds=max_milliseconds,
        fusion=Fusion.parse(rerank_fusion),
    )

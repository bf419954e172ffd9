"""The stage: what it reads, within which budgets, and where hits then stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from colstore.errors import ConfigError, QueryError, RerankerError
from colstore.rerank.fusion import Fusion
from colstore.rerank.order import NOT_STORED
from colstore.rerank.rerankers import CallableReranker
from colstore.rerank.stage import RerankStage, as_stage
from colstore.testing import FakeReranker
from colstore.types import Hit, Reranker


def hits(*scores: float, lost: Sequence[str] = ()) -> list[Hit]:
    stored = [Hit(i, f"d{i}", score, text=f"text {i}") for i, score in enumerate(scores, start=1)]
    return stored + [
        Hit(len(scores) + i, f"m{text}", -i, text=text, stage=NOT_STORED) for i, text in enumerate(lost, 1)
    ]


def by_number(pairs: list[tuple[str, str]]) -> list[float]:
    """Score ``text 7`` by 7: turns the order of :func:`hits` round."""
    return [float(passage.split()[-1]) for _, passage in pairs]


REVERSING = CallableReranker(by_number, name="reversing")


def order(found: Sequence[Hit]) -> str:
    return " ".join(hit.id for hit in found)


def test_fakes_and_callables_are_rerankers() -> None:
    for reranker in (FakeReranker(), REVERSING):
        assert isinstance(reranker, Reranker)
        assert reranker.score([]).shape == (0,)


def test_always_reads_the_first_and_says_so() -> None:
    found = RerankStage(REVERSING, depth=3).rank("q", hits(9, 8, 7, 6))
    assert order(found) == "d3 d2 d1 d4"
    assert [hit.stage for hit in found] == ["reversing"] * 3 + ["maxsim"]
    assert [hit.rank for hit in found] == [1, 2, 3, 4]
    assert [hit.score for hit in found] == [3.0, 2.0, 1.0, 0.0]  # 6 would stand above 1


def test_uncertain_reads_what_maxsim_cannot_tell_apart() -> None:
    stage = RerankStage(REVERSING, policy="uncertain", threshold=0.2)
    assert order(stage.rank("q", hits(10, 9.5, 5, 0))) == "d2 d1 d3 d4"
    settled = stage.rank("q", hits(10, 5, 4, 0))
    assert order(settled) == "d1 d2 d3 d4"
    assert {hit.stage for hit in settled} == {"maxsim"}


def test_uncertain_without_a_threshold_says_where_to_get_one() -> None:
    with pytest.raises(ConfigError, match="calibrate"):
        RerankStage(REVERSING, policy="uncertain").with_threshold(None)
    assert RerankStage(REVERSING, policy="uncertain").with_threshold(0.3).threshold == 0.3
    assert as_stage(REVERSING).with_threshold(None).policy == "always"


def test_never_leaves_everything() -> None:
    fake = FakeReranker()
    found = RerankStage(fake, policy="never").rank("q", hits(3, 2, lost=["5"]))
    assert order(found) == "d1 d2 m5"
    assert fake.pairs == 0


def test_missing_candidates_take_their_place_by_way_of_anchors() -> None:
    same_scale = CallableReranker(lambda pairs: [100 + x for x in {"1": 10, "2": 8, "3": 6, "9": 9}.values()], "linear")
    given = hits(10, 8, 6, lost=["9"])
    found = RerankStage(same_scale, policy="missing").rank("q", given)
    assert order(found) == "d1 m9 d2 d3"
    assert found[1].score == pytest.approx(9)
    assert [hit.stage for hit in found] == ["maxsim", "linear", "maxsim", "maxsim"]


def test_missing_candidates_stay_last_where_the_scales_disagree() -> None:
    found = RerankStage(REVERSING, policy="missing").rank("q", hits(10, 8, 6, lost=["4", "9"]))
    assert order(found) == "d1 d2 d3 m9 m4"
    assert [hit.stage for hit in found[3:]] == ["reversing", "reversing"]


def test_always_reads_missing_candidates_that_have_a_text() -> None:
    found = RerankStage(REVERSING, depth=2).rank("q", hits(10, 8, 6, lost=["9"]))
    assert order(found) == "m9 d2 d1 d3"


def test_a_candidate_without_text_stays_last() -> None:
    found = RerankStage(REVERSING).rank("q", [*hits(2, 1), Hit(3, "gone", 0, None, stage=NOT_STORED)])
    assert order(found) == "d2 d1 gone"
    assert found[-1].stage == NOT_STORED


def test_at_most_so_many_pairs() -> None:
    fake = FakeReranker()
    RerankStage(fake, max_pairs=3).rank("q", hits(*range(20, 0, -1)))
    assert fake.pairs == 3


class Slow:
    """A reranker for which a pair takes 10 ms by a clock of its own."""

    name = "slow"

    def __init__(self) -> None:
        self.now, self.pairs = 0.0, 0

    def score(self, pairs: Sequence[tuple[str, str]]) -> Any:
        self.now += 0.01 * len(pairs)
        self.pairs += len(pairs)
        return np.array(by_number(list(pairs)), np.float32)

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize("milliseconds", [1, 50, 200, 10_000])
def test_at_most_so_many_milliseconds_and_then_maxsims_order_stands(milliseconds: float) -> None:
    slow = Slow()
    stage = RerankStage(slow, max_milliseconds=milliseconds, clock=slow.clock)
    found = stage.rank("q", hits(*range(40, 0, -1)))
    assert slow.now <= max(0.01, milliseconds / 1000)
    read = [hit for hit in found if hit.stage == "slow"]
    assert len(read) == slow.pairs >= 1
    assert order(read) == " ".join(f"d{i}" for i in range(slow.pairs, 0, -1))
    assert order(found[slow.pairs :]) == " ".join(f"d{i}" for i in range(slow.pairs + 1, 41))
    assert milliseconds < 10_000 or slow.pairs == 40


def test_many_questions_are_ranked_as_each_alone() -> None:
    lists = [hits(5, 4, 3), [], hits(2, 1), hits(9, 8.9, 1, lost=["7"])]
    for stage in (RerankStage(FakeReranker()), RerankStage(FakeReranker(), policy="uncertain", threshold=0.1)):
        together = stage.rank_many(["text 1", "b", "text 2", "d"], lists)
        alone = [stage.rank(query, some) for query, some in zip(["text 1", "b", "text 2", "d"], lists, strict=True)]
        assert together == alone


def test_fusion_mixes_both_stages() -> None:
    stage = RerankStage(REVERSING, fusion=Fusion("interpolate", weight=0.0))
    assert order(stage.rank("q", hits(9, 8, 7))) == "d1 d2 d3"


def test_a_text_that_is_not_stored_is_named() -> None:
    with pytest.raises(QueryError, match="store_texts"):
        RerankStage(REVERSING).rank("q", [Hit(1, "d1", 1.0)])


@pytest.mark.parametrize("answer", [[1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], [[1.0], [2.0]]])
def test_a_reranker_that_misbehaves_is_named(answer: Any) -> None:
    with pytest.raises(RerankerError, match="odd"):
        RerankStage(CallableReranker(lambda _: answer, name="odd")).rank("q", hits(2, 1))


@pytest.mark.parametrize(
    "settings",
    [{"policy": "often"}, {"depth": 0}, {"max_pairs": 0}, {"max_milliseconds": 0}, {"threshold": -1.0}],
)
def test_settings_that_cannot_be_are_refused(settings: Any) -> None:
    with pytest.raises(ConfigError):
        RerankStage(FakeReranker(), **settings)


def test_a_name_of_two_words_is_refused() -> None:
    with pytest.raises(ConfigError, match="one word"):
        FakeReranker("two words")

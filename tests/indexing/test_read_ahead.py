from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from colstore import Document
from colstore.encode import FakeEncoder, TransformerEncoder
from colstore.indexing.ingest import encoded_windows
from colstore.indexing.meters import CorpusSize, EncodeMeter, corpus_size
from colstore.indexing.read_ahead import Stop, Stopped, ahead
from colstore.reports import Progress
from colstore.types import EncodedText
from tests.indexing.helpers import documents


def running() -> int:
    return sum(thread.name == "colstore-ahead" for thread in threading.enumerate())


def numbers(count: int, made: list[int] | None = None) -> Generator[int, None, None]:
    for number in range(count):
        if made is not None:
            made.append(number)
        yield number


class TestAhead:
    def test_everything_comes_in_order(self) -> None:
        assert list(ahead(numbers(100))) == list(range(100))
        assert running() == 0

    def test_it_works_ahead_but_not_far(self) -> None:
        made: list[int] = []
        with closing(ahead(numbers(100, made))) as items:
            next(items)
            time.sleep(0.3)
            assert 2 <= len(made) <= 3
        assert running() == 0

    def test_an_error_comes_after_the_items_before_it(self) -> None:
        def failing() -> Generator[int, None, None]:
            yield 1
            raise KeyError("broken")

        items = ahead(failing())
        assert next(items) == 1
        with pytest.raises(KeyError, match="broken"):
            next(items)
        assert running() == 0

    def test_leaving_early_closes_the_source(self) -> None:
        closed = threading.Event()

        def source() -> Generator[int, None, None]:
            try:
                yield from numbers(1000)
            finally:
                closed.set()

        with closing(ahead(source())) as items:
            next(items)
        assert closed.wait(5)
        assert running() == 0

    def test_a_consumer_that_is_stopped_does_not_wait_for_ever(self) -> None:
        stop, forever = Stop(), threading.Event()

        def silent() -> Generator[int, None, None]:
            forever.wait(30)
            yield 1

        stop.set()
        items = ahead(silent(), consumer=stop)
        forever.set()
        with pytest.raises(Stopped):
            next(items)


class TestWindows:
    def test_documents_come_in_order_with_their_own_vectors_or_the_encoders(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("colstore.indexing.ingest.WINDOW_DOCUMENTS", 7)
        own = np.eye(32, dtype=np.float32)
        corpus = [
            Document(id=d.id, text=d.text, vectors=own if number % 3 == 0 else None)
            for number, d in enumerate(documents(50))
        ]
        meter = EncodeMeter(None, None)
        windows = list(encoded_windows(iter(corpus), FakeEncoder(), meter))
        assert [len(window) for window, _ in windows] == [7] * 7 + [1]
        assert [d.id for window, _ in windows for d in window] == [d.id for d in corpus]
        for document, text in ((d, t) for window, texts in windows for d, t in zip(window, texts, strict=True)):
            expected = document.vectors if document.vectors is not None else expected_of(document)
            np.testing.assert_array_equal(text.vectors, expected)
        assert meter.tokens == sum(len(expected_of(d)) for d in corpus if d.vectors is None)

    def test_a_slow_encoder_is_told_when_nobody_waits_any_more(self) -> None:
        class Slow(FakeEncoder):
            def encode_documents(self, texts: object) -> list[EncodedText]:
                time.sleep(0.05)
                return super().encode_documents(texts)  # type: ignore[arg-type]  # texts they are

        with closing(encoded_windows(iter(documents(5000)), Slow(), EncodeMeter(None, None))) as windows:
            next(windows)
        assert running() == 0

    def test_an_error_of_the_corpus_comes_out(self) -> None:
        def broken() -> Iterator[Document]:
            yield from documents(3)
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone"):
            list(encoded_windows(broken(), FakeEncoder(), EncodeMeter(None, None)))
        assert running() == 0


def expected_of(document: Document) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return FakeEncoder().encode_documents([document.passage])[0].vectors


class TestEstimate:
    def test_files_folders_and_lists_are_counted_streams_are_not(self, tmp_path: Path) -> None:
        corpus = tmp_path / "c.jsonl"
        corpus.write_text('{"id": "a", "text": "four"}\n{broken\n{"id": "a", "text": "again"}\n')
        assert corpus_size(corpus) == CorpusSize(1, 4)
        assert corpus_size(["ab", {"id": "x", "title": "t", "text": "u"}]) == CorpusSize(2, 5)
        assert corpus_size(iter(["ab"])) is None
        assert corpus_size("-") is None
        assert corpus_size(tmp_path / "nothing.jsonl") is None

    def test_time_left_follows_tokens_not_documents(self) -> None:
        seen: list[Progress] = []
        meter = EncodeMeter(seen.append, CorpusSize(documents=10, characters=1000))
        meter.measure(900, 300)  # one long document
        meter.add(documents=1, tokens=300)
        last = seen[-1]
        assert (last.total, last.tokens, last.tokens_total) == (10, 300, 333)
        assert last.seconds_left is not None
        assert last.seconds_left == pytest.approx(last.seconds * 33 / 300)

    def test_what_an_earlier_run_did_is_left_out(self) -> None:
        seen: list[Progress] = []
        meter = EncodeMeter(seen.append, CorpusSize(documents=10, characters=1000))
        meter.skip(4, 600)
        meter.measure(100, 50)
        meter.add(documents=1, tokens=50)
        assert (seen[-1].total, seen[-1].tokens_total) == (6, 200)


def test_a_transformer_counts_its_batches(minilm: str) -> None:
    from colstore.encode import load_encoder

    encoder = load_encoder(minilm, device="cpu", token_budget=64)
    assert isinstance(encoder, TransformerEncoder)
    seen: list[Progress] = []
    meter = EncodeMeter(seen.append, CorpusSize(6, 6 * 20))
    windows = list(encoded_windows(iter(documents(6)), encoder, meter))
    assert len(seen) > 1
    assert meter.tokens == seen[-1].tokens == seen[-1].tokens_total
    assert meter.tokens == sum(len(text.vectors) for _, texts in windows for text in texts)

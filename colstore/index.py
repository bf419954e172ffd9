"""The index: one object, each method a path through the rooms behind it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from colstore.config import OnError, SearchParams
from colstore.errors import ColstoreError, EncoderError, QueryError
from colstore.reports import BuildReport, Listener
from colstore.rerank.fusion import Fusion
from colstore.rerank.stage import RerankStage, as_stage
from colstore.search import candidates
from colstore.search.filters import Where, checked_ids, find
from colstore.search.searcher import Searcher
from colstore.search.session import Candidates, QueryLike, SearchRequest, Session, check_k, options_of, text_of
from colstore.snapshot.snapshot import RERANK, Snapshot
from colstore.store import Level, Manifest
from colstore.types import Document, Encoder, FloatMatrix, Hit, Reranker

if TYPE_CHECKING:  # imported by the methods that need them
    from colstore.corpus import CorpusSource, RunLine
    from colstore.corpus.lines import PathSource
    from colstore.lexical.analyzers import Analyzer
    from colstore.reports import ChangeReport
    from colstore.rerank.calibrate import Calibration
    from colstore.search.runs import Questions, RunReport
    from colstore.search.tune import TuneReport
    from colstore.snapshot.info import IndexInfo
    from colstore.updating.add import OnDuplicate
    from colstore.updating.verify import VerifyReport


class Index:
    """An open index: a snapshot of one generation. Open with :func:`colstore.open`.

    Searching never changes anything, and what others commit is not seen before :meth:`refresh`. The methods that change
    the index (:meth:`add`, :meth:`replace`, :meth:`delete`, :meth:`compact`, :meth:`recover`) each commit one new
    generation, starting from the newest one (which may be newer than this snapshot), and then refresh this object.

    Safe to share between threads, also while one of them refreshes: a search runs to its end on the snapshot that it
    began with. May be used after a ``fork``. Use as a context manager, or call :meth:`close`.
    """

    report: BuildReport | None = None
    """Of the build, where this object came from one."""

    def __init__(self, snapshot: Snapshot, encoder: Encoder | None) -> None:
        self.path, self._given, self._encoder = snapshot.path, encoder, encoder
        self._state = Session(snapshot, _searcher(snapshot, None), encoder)
        self._closed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, encoder: Encoder | None = None) -> Self:
        """Open the newest generation; see :func:`colstore.open`."""
        snapshot = Snapshot.open(Path(path))
        dim = snapshot.manifest.dim
        if encoder is not None and encoder.dim != dim:
            raise EncoderError(f"this index has vectors of {dim} components, the encoder makes {encoder.dim}")
        return cls(snapshot, encoder)

    # --- questions --------------------------------------------------------------------------------------------

    def search(
        self,
        query: QueryLike,
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Iterable[str] | None = None,
        params: SearchParams | None = None,
        reranker: Reranker | RerankStage | None = None,
        first_stage: Literal["bm25"] | None = None,
        threads: int = 1,
    ) -> list[Hit]:
        """Return the ``k`` best documents for a question.

        Parameters
        ----------
        query
            Text, or token vectors ``(tokens, dim)``.
        k
            Number of hits; fewer come back where fewer documents are allowed.
        where
            Metadata that a document must have, see :func:`colstore.search.filters.allowed_documents`.
        ids
            Only these documents.
        params
            How hard to look; by default as tuned, else by ``k``.
        reranker
            A cross-encoder stage behind MaxSim, see :class:`colstore.rerank.stage.RerankStage`; it needs a text.
        first_stage
            ``"bm25"``: candidates of BM25, too, see :meth:`build_bm25`; it needs a text.
        threads
            That share one exhaustive scan.

        Raises
        ------
        QueryError
            A query, ``k`` or filter that cannot be answered.
        EncoderError
            A text, and no model to encode it.
        ConfigError
            There is no BM25 index, or no threshold for ``"uncertain"``.
        """
        request = SearchRequest(k, where, ids, params, reranker, first_stage)
        return self._session().search([query], self._query_vectors, request, threads)[0]

    def search_many(
        self,
        queries: Sequence[QueryLike],
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Iterable[str] | None = None,
        params: SearchParams | None = None,
        reranker: Reranker | RerankStage | None = None,
        first_stage: Literal["bm25"] | None = None,
        threads: int | None = None,
    ) -> list[list[Hit]]:
        """Return the hits of each question, as :meth:`search` would; ``threads`` (all cores) share the questions."""
        if isinstance(queries, str):
            raise QueryError("search_many takes a list of questions; for a single one there is search")
        request = SearchRequest(k, where, ids, params, reranker, first_stage)
        return self._session().search(queries, self._query_vectors, request, threads)

    def rerank(
        self,
        query: QueryLike,
        ids: Sequence[str],
        *,
        k: int | None = None,
        scores: Sequence[float] | None = None,
        missing: candidates.OnMissing = "error",
        texts: candidates.Texts | None = None,
        fusion: Fusion | str | None = None,
        early_exit: int | None = None,
        reranker: Reranker | RerankStage | None = None,
        threads: int = 1,
    ) -> list[Hit]:
        """Return candidates of a first stage, best first, scored from their stored codes: only their bytes are read.

        Parameters
        ----------
        query
            Text, or token vectors ``(tokens, dim)``.
        ids
            In the first stage's order; one that comes twice counts once.
        k
            Hits wanted; ``None`` returns all.
        scores
            Of the first stage, one an id; for ``fusion``.
        missing
            Candidates without stored vectors: ``"error"``; ``"last"``: below the others, with ``stage="missing"``;
            ``"score"``: by their text, by the reranker where there is one, else encoded here and now.
        texts
            Passages of missing candidates, by id; a mapping or a function. For ``missing="score"``.
        fusion
            Of the first stage's score and MaxSim, such as ``"reciprocal"`` or ``"interpolate:0.7"``.
        early_exit
            Stop once so many candidates in a row, in the first stage's order, did not come among the best ``k``. What
            stands behind is not scored and can be lost: only for first stages whose order says something.
        reranker
            A cross-encoder stage behind MaxSim.
        threads
            That share the scoring.

        Raises
        ------
        UnknownIdError
            A candidate that is not in the index, with ``missing="error"``.
        QueryError, ConfigError
            Arguments that cannot be.
        """
        options = options_of(k, missing, texts, fusion, early_exit)
        asked = [Candidates(query, ids, scores)]
        return self._session().rerank(asked, self._query_vectors, k, options, reranker, threads)[0]

    def rerank_run(
        self,
        run: PathSource | Iterable[RunLine],
        queries: Questions,
        *,
        k: int | None = None,
        missing: candidates.OnMissing = "error",
        texts: candidates.Texts | None = None,
        fusion: Fusion | str | None = None,
        early_exit: int | None = None,
        reranker: Reranker | RerankStage | None = None,
        on_duplicate: OnError = "error",
        on_unknown_query: OnError = "error",
        report: RunReport | None = None,
        threads: int = 1,
    ) -> Iterator[tuple[str, list[Hit]]]:
        """Yield each query of a run with its reranked hits, some queries at a time; see :meth:`rerank`.

        Parameters
        ----------
        run, queries, on_duplicate, on_unknown_query, report
            See :func:`colstore.search.runs.rerank_run`. A reranker needs questions as texts.
        k, missing, texts, fusion, early_exit, rerank
            As in :meth:`rerank`.
        threads
            That share the questions.
        """
        from colstore.search.runs import rerank_run

        options = options_of(k, missing, texts, fusion, early_exit)

        def rank(some: Sequence[tuple[QueryLike, list[RunLine]]]) -> list[list[Hit]]:
            asked = [Candidates(query, [x.doc_id for x in lines], [x.score for x in lines]) for query, lines in some]
            return self._session().rerank(asked, self._query_vectors, k, options, reranker, threads)

        return rerank_run(
            run, queries, rank, on_duplicate=on_duplicate, on_unknown_query=on_unknown_query, report=report
        )

    def tune(
        self,
        queries: Sequence[QueryLike] | None = None,
        *,
        recall: float = 0.99,
        k: int = 10,
        reranker: Reranker | RerankStage | None = None,
        progress: Listener | None = None,
    ) -> TuneReport:
        """Find the cheapest settings that reach ``recall`` of the exact top ``k``, and store them in the index.

        Parameters
        ----------
        queries
            Questions like those to come; ``None`` takes runs of tokens out of documents, which are easier.
        recall
            Wanted, 0 to 1. Where nothing reaches it, the best is stored; see :attr:`TuneReport.reached`.
        k
            Hits.
        reranker
            Also find the threshold of ``"uncertain"`` for this reranker, see :meth:`calibrate`; needs texts.
        progress
            Called from time to time with the progress.

        Raises
        ------
        ConfigError, QueryError
            Arguments that cannot be.
        IndexLockedError
            Another process is writing to the index, or has written since this object was opened.
        """
        check_k(k)
        from colstore.indexing.meters import StageMeter
        from colstore.search.tune import tune
        from colstore.updating.change import store_tuned

        vectors = None if queries is None else [self._query_vectors(query) for query in queries]
        report = tune(self._live(), vectors, recall=recall, k=k, tick=StageMeter(progress, "tune", "settings", None).of)
        kept = {RERANK: found} if (found := (self._manifest.tuned or {}).get(RERANK)) is not None else {}
        store_tuned(self.path, self._manifest, {**report.to_json(), **kept})
        self.refresh()
        if reranker is not None:
            self.calibrate([text_of(query) for query in queries or ()], reranker, k=k, progress=progress)
        return report

    def calibrate(
        self,
        queries: Sequence[str],
        reranker: Reranker | RerankStage,
        *,
        k: int = 10,
        keep: float = 0.95,
        judgements: Sequence[Mapping[str, int]] | None = None,
        progress: Listener | None = None,
    ) -> Calibration:
        """Find the threshold of the policy ``"uncertain"`` that keeps most of what reranking gains, and store it.

        Parameters
        ----------
        queries
            Questions like those to come.
        reranker
            The reranker, or a stage whose depth and fusion count. It reads the first candidates of every question.
        k
            Hits: what lies below is not looked at.
        keep
            Part of the gain of ``"always"`` to keep, 0 to 1.
        judgements
            For each question the grades of documents. Without them the order of ``"always"`` counts as right.
        progress
            Called from time to time with the progress.

        Raises
        ------
        QueryError, ConfigError
            Arguments that cannot be, or no texts in the index.
        IndexLockedError
            Another process is writing to the index, or has written since this object was opened.
        """
        from colstore.indexing.meters import StageMeter
        from colstore.search.tune import calibrate
        from colstore.updating.change import store_tuned

        check_k(k)
        stage = as_stage(reranker)
        StageMeter(progress, "calibrate", "queries", len(queries)).of(0, len(queries))
        hits = self.search_many(queries, max(k, stage.depth))
        found = calibrate(stage, queries, [some[: stage.depth] for some in hits], k=k, keep=keep, judgements=judgements)
        store_tuned(self.path, self._manifest, {**(self._manifest.tuned or {}), RERANK: found.to_json()})
        self.refresh()
        return found

    def build_bm25(self, *, analyzer: Analyzer = "english", wait: float = 0.0) -> ChangeReport:
        """Make the BM25 index that ``first_stage="bm25"`` needs, as part of the index.

        Deleting documents leaves it right; adding and compacting put it out of date, and it has to be made again.

        Parameters
        ----------
        analyzer
            ``"english"`` (stop words, stemmed) or ``"plain"``.
        wait
            Seconds to wait for another writer.

        Raises
        ------
        ConfigError
            The index holds no texts.
        MissingDependencyError
            The extra ``bm25`` is not installed.
        """
        from colstore.updating.bm25 import store_bm25

        self._live()
        report = store_bm25(self.path, analyzer=analyzer, wait=wait)
        self.refresh()
        return report

    # --- reading back -----------------------------------------------------------------------------------------

    def get(self, ids: Iterable[str], *, missing: OnError = "error") -> list[Document]:
        """Return documents by id, in the order of ``ids``, with title, text and metadata (``vectors`` is ``None``).

        Parameters
        ----------
        ids
            Ids of the documents. An id that comes twice returns its document twice.
        missing
            Treatment of ids that the index does not hold: ``"error"``, or ``"skip"`` to leave them out.

        Returns
        -------
        list of Document
            Title and text are empty, and so are the metadata, where the index was built without texts.

        Raises
        ------
        UnknownIdError
            The index does not hold one of the ids, with ``missing="error"``.
        QueryError
            ``ids`` is a lone string, or holds something else than strings.
        """
        from colstore.search.documents import get_documents

        return get_documents(self._live(), ids, missing)

    def ids(self, where: Where | None = None) -> Iterator[str]:
        """Return an iterator over the ids of all documents, or of those that ``where`` allows, in insertion order.

        The iterator keeps to the snapshot of the moment of this call, also after :meth:`refresh` and :meth:`close`.
        """
        from colstore.search.documents import iter_ids

        return iter_ids(self._live(), where)

    def __iter__(self) -> Iterator[Document]:
        """Return an iterator over all documents in insertion order, as :meth:`get` returns them.

        It reads on demand, in bounded memory, and keeps to the snapshot of the moment when it was made, also after
        :meth:`refresh` and :meth:`close`, and while another process writes. The documents of a compacted index follow
        the order of its segments.
        """
        from colstore.search.documents import iter_documents

        return iter_documents(self._live())

    def count(self, where: Where | None = None) -> int:
        """Return the number of documents, or of those that ``where`` allows.

        Raises
        ------
        QueryError
            An invalid filter.
        """
        from colstore.search.documents import count_documents

        return count_documents(self._live(), where)

    def vectors(self, ids: Iterable[str]) -> list[FloatMatrix]:
        """Return the decoded token vectors of documents, ``(tokens, dim)`` float32 each, in the order of ``ids``.

        Raises
        ------
        UnknownIdError
            The index does not hold one of the ids.
        QueryError
            ``ids`` is a lone string, or holds something else than strings.
        """
        return [vectors for _, vectors in self.iter_vectors(checked_ids(ids))]

    def iter_vectors(self, ids: Iterable[str] | None = None) -> Iterator[tuple[str, FloatMatrix]]:
        """Return an iterator over ids and decoded token vectors, ``(tokens, dim)`` float32 each.

        Parameters
        ----------
        ids
            Ids of the documents, whose order is kept; ``None`` takes all documents in insertion order.

        Raises
        ------
        UnknownIdError
            The index does not hold one of the ids; raised at once, not while iterating.
        """
        from colstore.search.documents import iter_vectors

        return iter_vectors(self._live(), ids)

    # --- changes ----------------------------------------------------------------------------------------------

    def add(
        self,
        documents: CorpusSource,
        *,
        on_duplicate: OnDuplicate = "error",
        on_error: OnError = "error",
        wait: float = 0.0,
        progress: Listener | None = None,
        model: str | os.PathLike[str] | None = None,
        trust_remote_code: bool = False,
        device: str | None = None,
    ) -> ChangeReport:
        """Add documents, all or none, with the encoder and the centroids that the index was built with.

        Parameters
        ----------
        documents
            As for :func:`colstore.build`; a document may bring its own vectors.
        on_duplicate
            An id that is there already, or comes twice: ``"error"``, ``"replace"`` (the newest counts), or ``"skip"``.
        on_error
            A document that cannot be read: ``"error"``, or ``"skip"``: count it and go on.
        wait
            Seconds to wait for another writer.
        progress
            Called every now and then.
        model
            Where the index's model is now, if no longer where it was. Another model is refused.
        trust_remote_code, device
            Of loading it; see :func:`colstore.build`. Not used where this object was opened with an encoder.

        Raises
        ------
        CorpusError, DuplicateIdError, VectorError
            Documents that cannot be added.
        EncoderError
            The index was built from vectors, or its model cannot be loaded or encodes differently now.
        IndexLockedError, StorageError
            Another writer is at work; the disk refused. As after every error, the index is then what it was.
        """
        from colstore.snapshot.document_encoder import ModelOptions
        from colstore.updating.add import add

        self._live()
        options = ModelOptions(None if model is None else Path(model), trust_remote_code, device)
        report = add(
            self.path,
            documents,
            on_duplicate=on_duplicate,
            on_error=on_error,
            encoder=self._given,
            options=options,
            wait=wait,
            progress=progress,
        )
        self.refresh()
        return report

    def replace(self, documents: CorpusSource, *, wait: float = 0.0) -> ChangeReport:
        """Add documents in the place of those that have the same ids; see :meth:`add`."""
        return self.add(documents, on_duplicate="replace", wait=wait)

    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Where | None = None,
        missing: OnError = "error",
        wait: float = 0.0,
    ) -> ChangeReport:
        """Delete documents by id, by a filter, or those of the ids that a filter allows, all in one commit.

        See :func:`colstore.updating.delete.delete`.

        Raises
        ------
        UnknownIdError
            The index does not hold one of the ids, unless ``missing="skip"``.
        QueryError
            Neither ids nor a condition, or an invalid filter.
        """
        from colstore.updating.delete import delete

        self._live()
        report = delete(self.path, ids, where=where, missing=missing, wait=wait)
        self.refresh()
        return report

    def compact(self, *, retrain: bool = False, clean: bool = False, wait: float = 0.0) -> ChangeReport:
        """Merge segments and drop what is deleted; see :func:`colstore.updating.compact.compact`."""
        from colstore.updating.compact import compact

        self._live()
        report = compact(self.path, retrain=retrain, clean=clean, wait=wait)
        self.refresh()
        return report

    def recover(self, generation: int, *, wait: float = 0.0) -> int:
        """Make an older generation the index again; see :func:`colstore.recover`."""
        from colstore.updating.recover import recover

        self._live()
        number = recover(self.path, generation, wait=wait)
        self.refresh()
        return number

    def verify(self, level: Level = "full", *, repair: bool = False, wait: float = 0.0) -> VerifyReport:
        """Check the newest generation on disk; see :func:`colstore.verify`."""
        from colstore.updating.verify import verify

        return verify(self.path, level, repair=repair, wait=wait)

    def refresh(self) -> bool:
        """Move on to the newest generation, and tell whether that is another one.

        What the two share stays open, with everything that was read of it.
        """
        searcher, snapshot = self._live(), self._state.snapshot
        newest = Snapshot.open(self.path, snapshot)
        if newest is snapshot:
            return False
        self._state = Session(newest, _searcher(newest, searcher), self._given)
        return True

    # --- what it is -------------------------------------------------------------------------------------------

    @property
    def _manifest(self) -> Manifest:
        return self._state.snapshot.manifest

    def __len__(self) -> int:
        return self._manifest.live_documents

    def __contains__(self, document_id: object) -> bool:
        return isinstance(document_id, str) and bool(find(self._live().views, [document_id])[0] >= 0)

    @property
    def dim(self) -> int:
        """Components of a token vector."""
        return self._manifest.dim

    @property
    def generation(self) -> int:
        """Of the snapshot."""
        return self._manifest.generation

    def info(self) -> IndexInfo:
        """Return counts, sizes and settings."""
        from colstore.snapshot.info import index_info

        return index_info(self.path, self._manifest, self._live().codec)

    def close(self) -> None:
        """Let go of the files. Searching afterwards is an error; closing twice is not."""
        if not self._closed:
            self._closed = True
            self._state.snapshot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<colstore.Index {str(self.path)!r}: {len(self):,} documents, {self._manifest.live_tokens:,} vectors>"

    # --- helpers ----------------------------------------------------------------------------------------------

    def _live(self) -> Searcher:
        return self._session().searcher

    def _session(self) -> Session:
        if self._closed:
            raise ColstoreError(f"{self.path}: this index is closed; open it again")
        return self._state

    def _query_vectors(self, query: QueryLike) -> FloatMatrix:
        """Encode a text by itself (a batch would change the last digits), or pass vectors on."""
        if isinstance(query, str):
            if not query.strip():
                raise QueryError("the question is empty")
            return self.encoder.encode_queries([query])[0]
        return np.asarray(query)

    @property
    def encoder(self) -> Encoder:
        """The query encoder: the caller's own, else the frozen one of the index, else the model itself.

        Loaded when first asked for. Frozen ones encode questions only, without torch.
        """
        if self._encoder is None:
            from colstore.snapshot.query_encoder import query_encoder  # questions may come as vectors

            self._encoder = query_encoder(self.path, self._manifest)
        return self._encoder


def _searcher(snapshot: Snapshot, before: Searcher | None) -> Searcher:
    """Return a searcher of a snapshot, with what an earlier one has read and checked of the same segments."""
    searcher = Searcher(snapshot.segments, snapshot.codec, snapshot.params, snapshot.deleted)
    known = {} if before is None else {view.segment.id: view for view in before.views}
    for view in searcher.views:
        if view.segment.id in known:
            view.take_over(known[view.segment.id])
    return searcher

"""The index: one object, each method a path through the rooms behind it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from colstore.config import OnError, SearchParams
from colstore.errors import IndexClosedError, QueryError
from colstore.notebook import html_table
from colstore.reports import BuildReport, Listener, check_listener
from colstore.rerank.fusion import Fusion
from colstore.rerank.stage import RerankStage, as_stage
from colstore.search import candidates
from colstore.search.filters import Where, checked_ids, find
from colstore.search.searcher import Searcher
from colstore.search.session import Candidates, QueryLike, SearchRequest, Session, query_list, rerank_options, text_of
from colstore.store import Level, Manifest, says_what_is_committed
from colstore.types import Document, Encoder, FloatMatrix, Hit, Reranker
from colstore.values import as_integer

if TYPE_CHECKING:  # imported by the methods that need them
    from sentence_transformers import MultiVectorEncoder

    from colstore.corpus import CorpusSource, FieldNames, Quoting, RunLine
    from colstore.lexical.analyzers import Analyzer
    from colstore.reports import ChangeReport
    from colstore.rerank.calibrate import Calibration
    from colstore.search.notices import QueryNotices
    from colstore.search.runs import QuerySource, RerankedRun, RunSource
    from colstore.search.tune import TuneReport
    from colstore.snapshot.info import IndexInfo
    from colstore.updating.add import OnDuplicate
    from colstore.updating.verify import VerifyReport


class Index:
    """An open index: a snapshot of one generation. Open one with :func:`colstore.open`.

    Searching never changes anything, and changes by others are not visible before :meth:`refresh`. The methods that
    change the index (:meth:`add`, :meth:`replace`, :meth:`delete`, :meth:`compact`, :meth:`recover`) each commit one
    new generation, starting from the newest one (which may be newer than this snapshot), and then refresh this object.

    An index can be shared between threads, also while one of them refreshes it: a search runs to its end on the
    snapshot that it began with. It can be used after a fork, and it can be pickled, for instance to send it to worker
    processes, which open the newest generation at the same path. The working directory may change. Use the index as a
    context manager, or call :meth:`close`.
    """

    report: BuildReport | None = None
    """The report of the build, where :func:`colstore.build` returned this object."""

    def __init__(self, session: Session) -> None:
        self.path = session.snapshot.path
        self._state = session
        self._closed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, encoder: Encoder | MultiVectorEncoder | None = None) -> Self:
        """Open the newest generation; see :func:`colstore.open`.

        Parameters
        ----------
        path
            Directory of the index.
        encoder
            Encodes queries and new documents in place of the index's own encoder.
        """
        if encoder is not None:
            from colstore.encode.instances import as_encoder

            encoder = as_encoder(encoder, name="encoder")
        return cls(Session.open(Path(path).absolute(), encoder))

    # --- searching --------------------------------------------------------------------------------------------

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
        threads: int | None = 1,
    ) -> list[Hit]:
        """Return the ``k`` best documents for a query.

        Parameters
        ----------
        query
            A text, or token vectors of shape ``(tokens, dim)``: an array, or a tensor of torch.
        k
            Number of hits to return. Fewer are returned where fewer documents are allowed.
        where
            Conditions on metadata that a document must meet, such as ``{"year": {"gte": 2020}}``.
        ids
            Ids of the documents to search in; ``None`` searches in all.
        params
            How much work the search does; by default as tuned, otherwise chosen from ``k``.
        reranker
            A reranker or :class:`colstore.RerankStage` that reads the best hits; the query must be a text.
        first_stage
            ``"bm25"`` also takes candidates from BM25, see :meth:`build_bm25`; the query must be a text.
        threads
            Number of threads that share the scan where every document is scored; ``None`` takes all cores.

        Returns
        -------
        list of Hit
            Best first. Notebooks show the list as a table.

        Raises
        ------
        QueryError
            The query, ``k``, a filter or an id is invalid.
        EncoderError
            The query is a text, and there is no model to encode it.
        RerankerError
            The reranker failed.
        ConfigError
            A setting is invalid; there is no BM25 index, or no threshold for the policy ``"uncertain"``.
        """
        request = SearchRequest(k, where, ids, params, reranker, first_stage)
        return self._session().search_many([query], request, threads)[0]

    def search_many(
        self,
        queries: Iterable[QueryLike],
        k: int = 10,
        *,
        where: Where | None = None,
        ids: Iterable[str] | None = None,
        params: SearchParams | None = None,
        reranker: Reranker | RerankStage | None = None,
        first_stage: Literal["bm25"] | None = None,
        threads: int | None = None,
    ) -> list[list[Hit]]:
        """Return the hits of each query, exactly as :meth:`search` returns them one by one.

        Parameters
        ----------
        queries
            Texts or token vectors, from any iterable but a mapping.
        k, where, ids, params, reranker, first_stage
            As in :meth:`search`.
        threads
            Number of threads that share the queries; ``None`` takes all cores.

        Returns
        -------
        list of list of Hit
            One list for each query, in the order of ``queries``.

        Raises
        ------
        QueryError
            ``queries`` is a single text or a mapping; or as for :meth:`search`.
        """
        request = SearchRequest(k, where, ids, params, reranker, first_stage)
        return self._session().search_many(query_list(queries, "search_many"), request, threads)

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
        threads: int | None = 1,
    ) -> list[Hit]:
        """Return candidates of another system, best first, scored from their stored codes. Nothing else is read.

        Parameters
        ----------
        query
            A text, or token vectors of shape ``(tokens, dim)``.
        ids
            Ids of the candidates, in the order of the first stage. An id that occurs twice counts once.
        k
            Number of hits to return; ``None`` returns all candidates.
        scores
            Scores of the first stage, one for each id, finite; used by ``fusion``.
        missing
            What to do with candidates that have no stored vectors: ``"error"``; ``"last"`` ranks them below the others,
            with ``stage="missing"``; ``"score"`` scores them by their text, with the reranker where there is one, and
            otherwise by encoding them.
        texts
            Passages of missing candidates, by id: a mapping or a function; for ``missing="score"``.
        fusion
            How the first stage's score and MaxSim are combined: a :class:`colstore.Fusion`, or its text, such as
            ``"reciprocal"`` or ``"interpolate:0.7"``. ``None`` ranks by MaxSim alone.
        early_exit
            Stop after this many candidates in a row (in the first stage's order) that did not reach the best ``k``. The
            candidates after them are not scored and may be missed: only use it where the first stage ranks well.
        reranker
            A reranker or :class:`colstore.RerankStage` that reads the best hits; the query must be a text.
        threads
            Number of threads that share the scoring; ``None`` takes all cores.

        Returns
        -------
        list of Hit
            Best first, with scores that never rise.

        Raises
        ------
        UnknownIdError
            A candidate is not in the index, with ``missing="error"``.
        QueryError, ConfigError
            An argument is invalid.
        """
        options = rerank_options(k, missing, texts, fusion, early_exit)
        return self._session().rerank_many([Candidates(query, ids, scores)], options, reranker, threads)[0]

    def rerank_run(
        self,
        run: RunSource,
        queries: QuerySource,
        *,
        k: int | None = None,
        missing: candidates.OnMissing = "error",
        texts: candidates.Texts | None = None,
        fusion: Fusion | str | None = None,
        early_exit: int | None = None,
        reranker: Reranker | RerankStage | None = None,
        on_duplicate: OnError = "error",
        on_unknown_query: OnError = "error",
        ignore_identical_ids: bool = False,
        threads: int | None = 1,
    ) -> RerankedRun:
        """Rerank a whole run, some queries at a time; see :meth:`rerank` for a single query.

        Parameters
        ----------
        run
            A file in a format of :func:`colstore.read_run`; an iterable of :class:`colstore.RunLine`; or a mapping from
            query ids to the candidates, which are a mapping from document ids to scores, or a list of document ids
            with the best first. Candidates rank by their score, then by their rank.
        queries
            A file or folder in a format of :func:`colstore.read_queries`; an iterable of :class:`colstore.Query`; or a
            mapping from query ids to texts or token vectors ``(tokens, dim)``. A reranker needs texts.
        k, missing, texts, fusion, early_exit, reranker
            As in :meth:`rerank`.
        on_duplicate
            What to do with a document that occurs twice for a query, in a file: ``"error"``, or ``"skip"`` to count it
            and use the first line.
        on_unknown_query
            What to do with a query of the run that is not among ``queries``: ``"error"``, or ``"skip"`` to leave it
            out and count it.
        ignore_identical_ids
            Whether to leave out candidates whose id is that of their query, as the published figures of collections do
            whose queries are documents themselves (ArguAna, Quora).
        threads
            Number of threads that share the queries; ``None`` takes all cores.

        Returns
        -------
        RerankedRun
            Iterate over it for (query id, hits), in the order of the run. Its ``report`` has the counts.

        Raises
        ------
        ConfigError, QueryError
            An argument is invalid.
        CorpusError, QueryError, UnknownIdError
            A broken line, an unknown query or an unknown candidate; raised while iterating.

        Examples
        --------
        >>> import tempfile, numpy as np, colstore
        >>> rows = np.eye(4, dtype=np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with colstore.build_from_vectors(folder + "/x.colstore", ["a", "b"], [rows[:2], rows[2:]]) as index:
        ...         run = index.rerank_run({"q1": {"a": 9.0, "b": 8.0}}, {"q1": rows[3:]})
        ...         [(query_id, hits[0].id) for query_id, hits in run], run.report.queries
        ([('q1', 'b')], 1)
        """
        from colstore.search.runs import rerank_run

        self._session()
        options = rerank_options(k, missing, texts, fusion, early_exit)

        def rank(batch: Sequence[tuple[QueryLike, list[RunLine]]], notices: QueryNotices) -> list[list[Hit]]:
            requests = [
                Candidates(query, [line.doc_id for line in lines], [line.score for line in lines])
                for query, lines in batch
            ]
            return self._session().rerank_many(requests, options, reranker, threads, notices)

        return rerank_run(
            run,
            queries,
            rank,
            on_duplicate=on_duplicate,
            on_unknown_query=on_unknown_query,
            ignore_identical_ids=ignore_identical_ids,
        )

    # --- tuning -----------------------------------------------------------------------------------------------

    @says_what_is_committed
    def tune(
        self,
        queries: Iterable[QueryLike] | None = None,
        *,
        recall: float = 0.99,
        k: int = 10,
        reranker: Reranker | RerankStage | None = None,
        progress: Listener | None = None,
    ) -> TuneReport:
        """Find the fastest settings that reach a recall of the exact top ``k``, and store them in the index.

        Later searches use them unless they bring ``params`` of their own.

        Parameters
        ----------
        queries
            Queries like those to come, texts or token vectors; some 100 are enough. ``None`` takes runs of tokens out
            of documents, which are easier to find.
        recall
            The share of the exact top ``k`` that is to be found, greater than 0, at most 1. Where no setting reaches
            it, the best one is stored; see :attr:`TuneReport.reached`.
        k
            Number of hits.
        reranker
            Also find the threshold of the policy ``"uncertain"`` for this reranker, see :meth:`calibrate`; the queries
            must be texts.
        progress
            Called from time to time with a :class:`colstore.Progress`.

        Returns
        -------
        TuneReport
            What was chosen, and what was tried.

        Raises
        ------
        ConfigError, QueryError
            An argument is invalid.
        IndexLockedError
            Another process is writing to the index.
        IndexChangedError
            Another process has trained new centroids since this object was opened; refresh it and tune again.
        """
        from colstore.search.tune import tune
        from colstore.updating.change import store_tuned

        k = as_integer("k", k, 1, error=QueryError)
        check_listener(progress)
        session = self._session()
        listed = None if queries is None else query_list(queries, "tune")
        stage = None if reranker is None else as_stage(reranker)
        texts = [] if stage is None else [text_of(query) for query in listed or ()]
        if stage is not None and not texts:
            raise QueryError("tuning with a reranker needs queries: pass a list of texts")
        vectors = None if listed is None else session.encode_many(listed)
        report = tune(session.searcher, vectors, recall=recall, k=k, progress=progress)
        found = None
        if stage is not None:  # committed together: an error of the reranker leaves the index as it was
            found = self._calibration(session, texts, stage, k=k, params=report.params, progress=progress).to_json()
        store_tuned(self.path, session.snapshot.manifest, search=report.to_json(), calibration=found)
        self._move_on()
        return report

    @says_what_is_committed
    def calibrate(
        self,
        queries: Iterable[str],
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
            Queries like those to come, as texts.
        reranker
            The reranker, or a stage whose depth and fusion are used. It reads the first candidates of every query.
        k
            Number of hits; ranks below are not looked at.
        keep
            The share of the gain of the policy ``"always"`` that is to remain, greater than 0, at most 1.
        judgements
            For each query the grades of documents, by id. Without them the order of ``"always"`` is taken as right.
        progress
            Called from time to time with a :class:`colstore.Progress`.

        Returns
        -------
        Calibration
            The threshold, and what it does on these queries.

        Raises
        ------
        QueryError, ConfigError
            An argument is invalid, or the index stores no texts.
        RerankerError
            The reranker failed.
        IndexLockedError
            Another process is writing to the index.
        IndexChangedError
            Another process has trained new centroids since this object was opened; refresh it and calibrate again.
        """
        from colstore.updating.change import store_tuned

        k = as_integer("k", k, 1, error=QueryError)
        check_listener(progress)
        stage = as_stage(reranker)
        texts = [text_of(query) for query in query_list(queries, "calibrate")]
        session = self._session()
        calibration = self._calibration(session, texts, stage, k=k, keep=keep, judgements=judgements, progress=progress)
        store_tuned(self.path, session.snapshot.manifest, calibration=calibration.to_json())
        self._move_on()
        return calibration

    @says_what_is_committed
    def build_bm25(self, *, analyzer: Analyzer = "english", wait: float = 0.0) -> ChangeReport:
        """Build the BM25 index that ``first_stage="bm25"`` needs, and store it in the index.

        It stays valid when documents are deleted. After adding or compacting it is out of date: build it again.

        Parameters
        ----------
        analyzer
            ``"english"`` (stop words removed, stemmed) or ``"plain"``.
        wait
            Seconds to wait for another writer.

        Raises
        ------
        ConfigError
            The index stores no texts.
        MissingDependencyError
            The extra ``bm25`` is not installed.
        IndexLockedError
            Another process is writing to the index.
        """
        from colstore.updating.bm25 import store_bm25

        self._session()
        report = store_bm25(self.path, analyzer=analyzer, wait=wait)
        self._move_on(report)
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
        """Return an iterator over the ids of documents, in insertion order.

        The iterator reads the snapshot of the moment of this call, also after :meth:`refresh` and :meth:`close`.

        Parameters
        ----------
        where
            Filter on metadata, as for :meth:`search`; ``None`` takes all documents.
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
        """Return the number of documents.

        Parameters
        ----------
        where
            Filter on metadata, as for :meth:`search`; ``None`` counts all documents.

        Raises
        ------
        QueryError
            An invalid filter.
        """
        from colstore.search.documents import count_documents

        return count_documents(self._live(), where)

    def vectors(self, ids: Iterable[str]) -> list[FloatMatrix]:
        """Return the decoded token vectors of documents, ``(tokens, dim)`` float32 each, in the order of ``ids``.

        Parameters
        ----------
        ids
            Ids of the documents.

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

    @says_what_is_committed
    def add(
        self,
        documents: CorpusSource,
        *,
        on_duplicate: OnDuplicate = "error",
        on_error: OnError = "error",
        fields: FieldNames | None = None,
        encoding: str | None = None,
        quoting: Quoting = "auto",
        include: str | Sequence[str] | None = None,
        normalize_ids: bool = False,
        wait: float = 0.0,
        progress: Listener | None = None,
        model: str | os.PathLike[str] | None = None,
        trust_remote_code: bool = False,
        allow_pickle: bool = False,
        device: str | None = None,
    ) -> ChangeReport:
        """Add documents, all or none of them, with the encoder and the centroids that the index was built with.

        Parameters
        ----------
        documents
            A corpus, as for :func:`colstore.build`; a document may bring its own vectors.
        on_duplicate
            What to do with an id that is in the index already, or occurs twice: ``"error"``; ``"replace"`` stores the
            newest document; ``"skip"`` leaves the new one out and counts it.
        on_error
            What to do with a document that cannot be read: ``"error"``, or ``"skip"`` to leave it out and count it.
        fields, encoding, quoting, include, normalize_ids
            How the corpus is read, see :func:`colstore.read_documents`.
        wait
            Seconds to wait for another writer.
        progress
            Called from time to time with a :class:`colstore.Progress`.
        model
            Where the index's model is now, if it has moved. Another model is refused.
        trust_remote_code, allow_pickle, device
            How to load the model, see :func:`colstore.build`. Not used if this object was opened with an encoder.

        Returns
        -------
        ChangeReport
            What was added, and what was left out.

        Raises
        ------
        CorpusError, DuplicateIdError, VectorError
            A document cannot be added.
        EncoderError
            The index was built from vectors, or its model cannot be loaded or encodes differently now.
        IndexLockedError, StorageError
            Another process is writing, or the disk is full or failing. After any error but the next the index is as it
            was.
        CommittedError
            An error came after the change was committed; do not repeat the change.
        """
        from colstore.snapshot.document_encoder import ModelOptions
        from colstore.updating.add import add

        check_listener(progress)
        options = ModelOptions(
            None if model is None else Path(model),
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
            device=device,
        )
        report = add(
            self.path,
            documents,
            on_duplicate=on_duplicate,
            on_error=on_error,
            encoder=self._session().document_encoder,
            options=options,
            models=self._session().models,
            wait=wait,
            progress=progress,
            reading={
                "fields": fields,
                "encoding": encoding,
                "quoting": quoting,
                "include": include,
                "normalize_ids": normalize_ids,
            },
        )
        self._move_on(report)
        return report

    def replace(
        self,
        documents: CorpusSource,
        *,
        fields: FieldNames | None = None,
        encoding: str | None = None,
        quoting: Quoting = "auto",
        include: str | Sequence[str] | None = None,
        normalize_ids: bool = False,
        wait: float = 0.0,
    ) -> ChangeReport:
        """Add documents, in the place of those with the same ids: ``add`` with ``on_duplicate="replace"``.

        Parameters
        ----------
        documents
            A corpus, as for :func:`colstore.build`.
        fields, encoding, quoting, include, normalize_ids
            How the corpus is read, see :func:`colstore.read_documents`.
        wait
            Seconds to wait for another writer.

        Returns
        -------
        ChangeReport
            What was replaced and added.

        Raises
        ------
        ColstoreError
            As for :meth:`add`.
        """
        return self.add(
            documents,
            on_duplicate="replace",
            fields=fields,
            encoding=encoding,
            quoting=quoting,
            include=include,
            normalize_ids=normalize_ids,
            wait=wait,
        )

    @says_what_is_committed
    def delete(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Where | None = None,
        missing: OnError = "error",
        wait: float = 0.0,
    ) -> ChangeReport:
        """Delete documents by id, by a filter, or those of the ids that a filter allows, all in one commit.

        Their bytes stay on disk until segments are merged, or :meth:`compact` is called.

        Parameters
        ----------
        ids
            Ids of the documents; ``None`` deletes all that ``where`` matches.
        where
            Filter on metadata, as for :meth:`search`; with ``ids``, only those of the ids that match are deleted.
        missing
            What to do with an id that is not in the index: ``"error"``, or ``"skip"`` to count it.
        wait
            Seconds to wait for another writer.

        Returns
        -------
        ChangeReport
            How many documents were deleted.

        Raises
        ------
        UnknownIdError
            An id is not in the index, with ``missing="error"``.
        QueryError
            Neither ids nor a condition, or an invalid filter.
        IndexLockedError, StorageError
            Another process is writing, or the disk is full or failing. After any error but the next the index is as it
            was.
        CommittedError
            An error came after the change was committed; do not repeat the change.
        """
        from colstore.updating.delete import delete

        self._session()
        report = delete(self.path, ids, where=where, missing=missing, wait=wait)
        self._move_on(report)
        return report

    @says_what_is_committed
    def compact(self, *, retrain: bool = False, clean: bool = False, wait: float = 0.0) -> ChangeReport:
        """Merge segments, remove deleted documents, and rebuild derived files that are damaged.

        Copies are compared with their originals before the new generation is committed.

        Parameters
        ----------
        retrain
            Also train new centroids on the stored vectors and encode these again. At 16 bits nothing is lost; with
            fewer bits the vectors are rounded a second time (see the report's ``loss``), so that building again from
            the documents is better where that is possible. Tuned parameters are dropped.
        clean
            Also delete all older generations at once, and files that crashed writers left behind. :meth:`recover` then
            has nothing to go back to.
        wait
            Seconds to wait for another writer.

        Returns
        -------
        ChangeReport
            What was merged and removed.

        Raises
        ------
        IndexLockedError, StorageError, CorruptIndexError
            Another process is writing, the disk is full or failing, or the index is damaged. After any error but the
            next the index is as it was.
        CommittedError
            An error came after the change was committed, for instance while old generations were deleted.
        """
        from colstore.updating.compact import compact

        self._session()
        report = compact(self.path, retrain=retrain, clean=clean, wait=wait)
        self._move_on(report)
        return report

    @says_what_is_committed
    def recover(self, generation: int, *, wait: float = 0.0) -> ChangeReport:
        """Make an older generation the current one again, as a new generation. Nothing is deleted.

        Parameters
        ----------
        generation
            Number of the generation to go back to; :func:`colstore.history` lists them.
        wait
            Seconds to wait for another writer.

        Returns
        -------
        ChangeReport
            Its ``generation`` is the number of the new generation.

        Raises
        ------
        UnknownGenerationError
            There is no such generation (any more).
        CorruptIndexError
            That generation is damaged; nothing was changed.
        IndexLockedError
            Another process is writing to the index.
        """
        from colstore.updating.recover import recover

        self._session()
        report = recover(self.path, generation, wait=wait)
        self._move_on(report)
        return report

    @says_what_is_committed
    def verify(
        self, level: Level = "full", *, repair: bool = False, all_generations: bool = False, wait: float = 0.0
    ) -> VerifyReport:
        """Check the newest generation on disk; see :func:`colstore.verify`.

        Parameters
        ----------
        level
            ``"quick"``, ``"full"`` or ``"deep"``.
        repair
            Whether to rebuild damaged derived files (the FAISS index over the centroids), as a new generation.
        all_generations
            Whether to check the older generations that are kept, too.
        wait
            Seconds to wait for another writer before repairing.

        Returns
        -------
        VerifyReport
            What was checked, and what is wrong. Damage is reported, not raised.
        """
        from colstore.updating.verify import verify

        return verify(self.path, level, repair=repair, all_generations=all_generations, wait=wait)

    def refresh(self) -> bool:
        """Move on to the newest generation.

        What the two generations share stays open, with everything that was read of it.

        Returns
        -------
        bool
            Whether there was a newer generation.
        """
        session = self._session()
        self._state = session.refreshed()
        return self._state is not session

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
        """Number of components of a token vector."""
        return self._manifest.dim

    @property
    def generation(self) -> int:
        """Number of the snapshot's generation."""
        return self._manifest.generation

    @property
    def encoder(self) -> Encoder:
        """The encoder of queries, loaded when it is first needed.

        It is the encoder that this object was opened with; otherwise the frozen one of the index, which encodes queries
        only and needs no torch; otherwise the model that the index was built with.

        Raises
        ------
        EncoderError
            The index was built from vectors, or its model cannot be loaded.
        """
        return self._session().encoder

    def info(self) -> IndexInfo:
        """Return counts, sizes in bytes, and settings."""
        from colstore.snapshot.info import index_info

        return index_info(self.path, self._manifest, self._live().codec)

    def close(self) -> None:
        """Close the files. Hits stay readable; searching afterwards is an :class:`~colstore.errors.IndexClosedError`.

        Closing twice is no error.
        """
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
        state = " (closed)" if self._closed else ""
        counts = f"{len(self):,} documents, {self._manifest.live_tokens:,} vectors"
        return f"<colstore.Index {str(self.path)!r}{state}: {counts}>"

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        return html_table((), [[repr(self)]]) if self._closed else self.info()._repr_html_()

    def __reduce__(self) -> tuple[object, tuple[str, Encoder | None]]:
        return type(self)._reopened, (str(self.path), self._session().encoder_to_send())

    # --- helpers ----------------------------------------------------------------------------------------------

    def _session(self) -> Session:
        if self._closed:
            raise IndexClosedError(f"{self.path}: this index is closed; open it again")
        return self._state

    def _move_on(self, report: ChangeReport | None = None) -> None:
        """Move on to the generation that a change has made; the change counts, also where that fails."""
        try:
            self.refresh()
        except Exception as error:
            if report is None:
                raise
            report.notes.append(
                f"the change is committed, but this object still shows generation {self.generation}: open the index "
                f"again ({error!r})"
            )

    def _calibration(
        self,
        session: Session,
        texts: list[str],
        stage: RerankStage,
        *,
        k: int,
        keep: float = 0.95,
        judgements: Sequence[Mapping[str, int]] | None = None,
        params: SearchParams | None = None,
        progress: Listener | None = None,
    ) -> Calibration:
        """Find the threshold of a stage for some queries; see :meth:`calibrate`."""
        from colstore.search.tune import calibrate

        hits = session.search_many(texts, SearchRequest(max(k, stage.depth), params=params), None)
        candidates_of = [own[: stage.depth] for own in hits]
        return calibrate(stage, texts, candidates_of, k=k, keep=keep, judgements=judgements, progress=progress)

    def _live(self) -> Searcher:
        return self._session().searcher

    @classmethod
    def _reopened(cls, path: str, encoder: Encoder | None) -> Self:
        return cls.open(path, encoder=encoder)

"""Forges each file of an index with correct checksums, so that only the checks behind the checksums can detect it.

:class:`Lab` has an index of its own, puts a forged file into it, signs it, and runs every operation on it.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import colstore
from colstore import SearchParams
from colstore.encode.load import load_encoder_from_settings
from colstore.errors import ColstoreError
from colstore.frozen import FILES, FrozenEncoder
from colstore.snapshot.document_encoder import stored_projection
from colstore.store import FileEntry, latest, read_state, write_arrays_file
from colstore.store.checksums import block_sum, checksum
from colstore.store.format import BLOCK_BYTES
from colstore.store.strict_json import parse_object
from colstore.store.text_blocks import BlockReader
from colstore.updating.add import add
from colstore.updating.compact import compact
from colstore.updating.delete import delete
from tests.proofs.damages import Tree
from tests.proofs.scripts import edited, forged_arrays, forged_bytes, forged_json, rendered
from tests.proofs.small_index import DIM, TableEncoder, content_of, documents, make_index

FIRST = "segments/000001-0001"
TEXT = "bees dance in the hive"
PROBING = SearchParams(exact_tokens=0, probes=2, candidates=20, scored=10)
MEMORY = 1 << 30
"""Bytes that reading a forged file of some kilobytes may ask for, more than what there is."""
Body = dict[str, Any]


@contextmanager
def bounded_memory(more: int = MEMORY) -> Iterator[None]:
    """Let this process ask for no more than so many bytes in addition (Linux): what would, gets a MemoryError."""
    if sys.platform != "linux":
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def attempt(operation: Callable[[], object]) -> ColstoreError | None:
    """Return the named error that an operation raised, if any; other errors are raised again."""
    try:
        operation()
    except ColstoreError as error:
        return error
    return None


def attempt_everything(folder: Path, *, text: bool = False) -> None:
    """Open an index, search it in each way, read all of it, verify it at each level, look at its history."""
    attempt(lambda: _attempt_open(folder, text))
    json.dumps(colstore.verify(folder, "deep").to_json())  # which contains the other levels
    colstore.history(folder, "quick")


def _attempt_open(folder: Path, text: bool) -> None:
    query = TableEncoder().encode_queries([TEXT])[0]
    with colstore.open(folder) as index:
        operations: list[Callable[[], object]] = [
            lambda: index.search(query, k=30, params=SearchParams(exact=True)),
            lambda: index.search(query, k=2, params=PROBING),
            lambda: index.search(query, k=3),
            lambda: index.search(query, k=3, where={"half": "odd"}),
            lambda: index.rerank(query, ["d0-003", "d1-001"]),
            lambda: index.vectors(["d0-003"]),
            lambda: "d0-000" in index,
            lambda: json.dumps(index.info().to_json()),
        ]
        if text:
            operations.append(lambda: index.search(TEXT, k=3))
            operations.append(lambda: index.search(TEXT, k=3, first_stage="bm25", params=PROBING))
        for operation in operations:
            attempt(lambda operation=operation: _read_texts(operation()))  # type: ignore[misc]  # a default binds it


def _read_texts(found: object) -> None:
    """Read titles, texts and metadata of hits, which may be read from disk only then."""
    for hit in found if isinstance(found, list) else []:
        if isinstance(hit, colstore.Hit):
            json.dumps([hit.id, hit.score, hit.title, hit.text, dict(hit.metadata)])


class Lab:
    """An index to forge files of: 60 documents in two segments, tombstones, a frozen encoder, a projection file.

    Parameters
    ----------
    folder
        Empty; the lab's to use.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "x.colstore"
        make_index(self.path, 4, [documents(40, 0), documents(20, 1)], ["d0-005", "d1-007"])
        with colstore.open(self.path) as index:
            index.build_bm25(analyzer="plain")
        self.tree: Tree = content_of(self.path)
        self.manifest = latest(self.path)
        self.body: Body = json.loads(self.manifest.to_bytes())
        self.newest = max(name for name in self.tree if name.startswith("manifest-"))
        scratch = folder / "projection.colstore"
        axes = np.linalg.qr(np.random.default_rng(0).standard_normal((2 * DIM, DIM)))[0].astype(np.float32)
        name = "encoder/000001/projection.h5"
        arrays = {"axes": axes, "shares": np.full(DIM, 1 / DIM)}
        self.projection = write_arrays_file(scratch, name, arrays, {"dim": DIM})
        self.projection_bytes = (scratch / name).read_bytes()
        shutil.rmtree(scratch)
        before = self.seen()
        assert before == [], before

    def seen(self) -> list[str]:
        """Return what ``verify --deep`` says."""
        return [problem.message for problem in colstore.verify(self.path, "deep").problems]

    # --- putting forged things in place -------------------------------------------------------------------------

    @contextmanager
    def forged(self, files: Mapping[str, bytes], body: Body | None = None) -> Iterator[Path]:
        """Put files into the index, sign them, and take them out again."""
        forged_body: Body = json.loads(json.dumps(self.body)) if body is None else body
        if body is None:
            for name, data in files.items():
                _sign(forged_body, name, data)
        changed = {**files, self.newest: signed(forged_body)}
        if f"{FIRST}.h5" in files and f"{FIRST}.sums" not in files:
            changed[f"{FIRST}.sums"] = sums_of(files[f"{FIRST}.h5"])
        for name, data in changed.items():
            (self.path / name).parent.mkdir(exist_ok=True)
            (self.path / name).write_bytes(data)
        try:
            yield self.path
        finally:
            for name in changed:
                if name in self.tree:
                    (self.path / name).write_bytes(self.tree[name])
                else:
                    (self.path / name).unlink()

    # --- targets --------------------------------------------------------------------------------------------------

    def manifest_json(self, script: bytes) -> None:
        """Exchange any values of the manifest."""
        with self.forged({}, forged_json(self.body, script)) as path:
            attempt(lambda: attempt_everything(path, text=True))

    def settings(self, script: bytes) -> None:
        """Exchange values of the settings in the manifest: build, codec, encoder, tuned parameters."""
        free = {name: self.body[name] for name in ("config", "tuned")}
        free["codec"], free["encoder"] = (self.body[name]["settings"] for name in ("codec", "encoder"))
        made = forged_json(free, script)
        if not isinstance(made, dict) or not free.keys() <= made.keys():
            return
        body = {**self.body, "config": made["config"], "tuned": made["tuned"]}
        for name in ("codec", "encoder"):
            body[name] = {**self.body[name], "settings": made[name]}
        with self.forged({}, body) as path:
            attempt(lambda: attempt_everything(path, text=True))

    def encoder_settings(self, script: bytes) -> None:
        """Load the encoder that some settings describe."""
        made = rendered(forged_json(FAKE_SETTINGS, script))
        attempt(lambda: load_encoder_from_settings(parse_object(made)).encode_queries([TEXT]))

    def manifest_bytes(self, script: bytes) -> None:
        """Read the manifest with any pieces of it changed, signed or not."""
        data = edited(self.tree[self.newest], script)
        try:
            body = json.loads(data)
            data = signed({key: value for key, value in body.items() if key != "checksum"}) if len(script) % 2 else data
        except (ValueError, AttributeError, RecursionError):
            pass
        (self.path / self.newest).write_bytes(data)
        try:
            attempt(lambda: colstore.open(self.path).close())
        finally:
            (self.path / self.newest).write_bytes(self.tree[self.newest])

    def segment_bytes(self, script: bytes) -> None:
        """Change any bytes of a segment, HDF5's own among them."""
        with self.forged({f"{FIRST}.h5": forged_bytes(self.tree[f"{FIRST}.h5"], script)}) as path:
            attempt_everything(path)

    def segment_metadata(self, script: bytes) -> None:
        """Change only HDF5's own bytes, which libhdf5 alone reads."""
        good, record = self.tree[f"{FIRST}.h5"], self.manifest.segments[0]
        inside = np.zeros(len(good), bool)
        for spec in record.arrays.values():
            inside[spec.offset : spec.offset + spec.nbytes] = True
        outside = np.flatnonzero(~inside)
        changed = np.frombuffer(good, np.uint8).copy()
        changed[outside] = np.frombuffer(forged_bytes(changed[outside].tobytes(), script), np.uint8)
        with self.forged({f"{FIRST}.h5": changed.tobytes()}) as path:
            attempt(lambda: colstore.verify(path, "deep"))

    def segment_arrays(self, script: bytes) -> None:
        """Change elements of a segment's arrays: offsets, orders, hashes, codes, scales, postings, text blocks."""
        self._arrays(f"{FIRST}.h5", self.manifest.segments[0].arrays, script)

    def changes(self, script: bytes) -> None:
        """Change elements of a segment's arrays, and then let the index be added to, deleted from and compacted."""
        record = self.manifest.segments[0]
        places = [(spec.offset, spec.dtype, spec.nbytes // spec.itemsize) for _, spec in sorted(record.arrays.items())]
        with (
            self.forged({f"{FIRST}.h5": forged_arrays(self.tree[f"{FIRST}.h5"], places, script)}) as path,
            tempfile.TemporaryDirectory(prefix="colstore-fuzz-") as scratch,
        ):
            copy = Path(scratch) / "x.colstore"
            shutil.copytree(path, copy)
            attempt(lambda: add(copy, documents(3, 7), encoder=TableEncoder()))
            attempt(lambda: delete(copy, ["d0-001", "d1-001"]))
            attempt(lambda: compact(copy, retrain=len(script) % 2 == 1))
            attempt_everything(copy)

    def codec(self, script: bytes) -> None:
        """Change elements of the codec: rotation, centroids, attributes."""
        record = self.manifest.codec.files[0]
        self._arrays(record.path, record.arrays, script)

    def text_block(self, script: bytes) -> None:
        """Exchange values of a block of titles and texts, or of metadata, behind its compression."""
        good = [["Title", "text é"], ["", "x"], [{"year": 2020, "tags": ["a"]}, None]]
        packed = zlib.compress(block := rendered(forged_json(good, script)))
        arrays: dict[str, NDArray[Any]] = {
            "texts": np.frombuffer(packed, np.uint8),
            "texts_blocks": np.array([0, len(packed)], np.uint64),
            "texts_sizes": np.array([len(block)], np.uint32),
            "texts_documents": np.array([0, len(good)], np.uint32),
        }
        reader = BlockReader(lambda name, start, stop: arrays[name][start:stop], "texts", len(good), "x.h5")
        attempt(lambda: json.dumps(reader.get(0), ensure_ascii=False, allow_nan=False).encode())

    def lexical(self, script: bytes) -> None:
        """Change elements of the BM25 index: contributions, documents, where terms start, terms, settings."""
        assert self.manifest.lexical is not None
        record = self.manifest.lexical.files[0]
        self._arrays(record.path, record.arrays, script, text=True)

    def tombstones(self, script: bytes) -> None:
        """Change the list of deleted documents."""
        deleted = self.manifest.segments[0].deleted
        assert deleted is not None
        self._arrays(deleted.file.path, deleted.file.arrays, script)

    def sums(self, script: bytes) -> None:
        """Change block checksums that are signed."""
        with self.forged({f"{FIRST}.sums": forged_bytes(self.tree[f"{FIRST}.sums"], script)}) as path:
            attempt_everything(path)

    def projection_arrays(self, script: bytes) -> None:
        """Change elements of a projection beside the encoder."""
        places = [(s.offset, s.dtype, s.nbytes // s.itemsize) for s in self.projection.arrays.values()]
        data = forged_arrays(self.projection_bytes, places, script)
        body = json.loads(json.dumps(self.body))
        record = FileEntry(self.projection.path, len(data), checksum(data), self.projection.arrays)
        body["encoder"]["files"].append(record.to_json())
        with self.forged({self.projection.path: data}, body) as path:
            attempt(lambda: stored_projection(path, latest(path)))
            attempt_everything(path)

    def state(self, script: bytes) -> None:
        """Exchange values of the state of an unfinished build."""
        good = {"format_version": 1, "state": {"parts": [{"id": "a", "documents": 3}], "digest": "0" * 32}}
        made = forged_json(good, script)
        if isinstance(made, dict):
            made["checksum"] = checksum(rendered(made.get("state")))
        with self.forged({"building/state.json": rendered(made)}, self.body) as path:
            attempt(lambda: read_state(path))

    def encoder_json(self, script: bytes) -> None:
        """Exchange values of the recipe of the frozen encoder."""
        made = forged_json(json.loads(self._encoder_file("encoder.json")), script)
        self.frozen("encoder.json", rendered(made))

    def tokenizer_json(self, script: bytes) -> None:
        """Exchange values of the tokenizer."""
        made = forged_json(json.loads(self._encoder_file("tokenizer.json")), script)
        self.frozen("tokenizer.json", rendered(made))

    def graph(self, script: bytes) -> None:
        """Change bytes of the ONNX graph, most of them among its first: the nodes, not the weights."""
        data = self._encoder_file("query.onnx")
        head = 120
        self.frozen(
            "query.onnx", forged_bytes(data[:head], script) + data[head:-head] + forged_bytes(data[-head:], script)
        )

    def frozen(self, name: str, data: bytes) -> None:
        """Load the frozen encoder with one file exchanged, and encode."""
        files = {other: self._encoder_file(other) for other in FILES}
        attempt(lambda: FrozenEncoder.load({**files, name: data}).encode_queries([TEXT, "", "\ud800 é 🐝", "x " * 500]))

    def _encoder_file(self, name: str) -> bytes:
        return next(data for path, data in self.tree.items() if path.endswith(f"/{name}"))

    def _arrays(self, name: str, arrays: Mapping[str, Any], script: bytes, *, text: bool = False) -> None:
        places = [(spec.offset, spec.dtype, spec.nbytes // spec.itemsize) for _, spec in sorted(arrays.items())]
        with self.forged({name: forged_arrays(self.tree[name], places, script)}) as path:
            attempt_everything(path, text=text)


FAKE_SETTINGS = {"kind": "fake", "model": "fake", "dim": 8, "seed": 1, "max_tokens": 20, "projection": None}


def sums_of(data: bytes) -> bytes:
    """Return the block checksums of a segment's file."""
    blocks = [data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)]
    return np.array([block_sum(block) for block in blocks], "<u8").tobytes()


def signed(body: Any) -> bytes:
    """Return a manifest's file with the right checksum, where its content can have one."""
    if isinstance(body, dict):
        bare = {key: value for key, value in body.items() if key != "checksum"}
        body = {**body, "checksum": checksum(rendered(bare))}
    return rendered(body) + b"\n"


def _sign(body: Body, name: str, data: bytes) -> None:
    """Write a file's new size and checksum into a manifest."""
    for segment in body["segments"]:
        if name == f"segments/{segment['id']}.h5":
            segment["checksum"], segment["sums_checksum"] = checksum(data), checksum(sums_of(data))
        if name == f"segments/{segment['id']}.sums":
            segment["sums_checksum"] = checksum(data)
    deleted = [segment["deleted"]["file"] for segment in body["segments"] if segment["deleted"]]
    for record in [*body["codec"]["files"], *body["encoder"]["files"], *body["lexical"]["files"], *deleted]:
        if record["path"] == name:
            record["bytes"], record["checksum"] = len(data), checksum(data)


LIGHT = ("encoder_settings", "state", "text_block", "encoder_json", "tokenizer_json", "graph", "manifest_bytes")
"""Targets of :class:`Lab` that read one small thing."""
HEAVY = (
    "manifest_json",
    "settings",
    "segment_arrays",
    "segment_bytes",
    "segment_metadata",
    "codec",
    "lexical",
    "tombstones",
    "sums",
    "projection_arrays",
    "changes",
)
"""Targets of :class:`Lab` that open, search and verify a whole index."""

"""The manifest: everything that one generation of an index consists of, with a checksum of the manifest itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from colstore._version import __version__
from colstore.errors import CorruptIndexError, FormatVersionError
from colstore.extras import upgrade_command
from colstore.store import format as names
from colstore.store.checksums import checksum
from colstore.store.entries import HEX128, FileEntry, SegmentEntry
from colstore.store.strict_json import Fields, canonical, parse_object
from colstore.types import Json

_CREATED = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)"
_MAX_DIM = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """Settings and files of one part of an index: the codec, the query encoder or the BM25 index.

    Parameters
    ----------
    settings
        Any JSON object. The store does not interpret it.
    files
        Entries of the files that belong to the part.
    """

    settings: Mapping[str, Json]
    files: tuple[FileEntry, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {"settings": dict(self.settings), "files": [entry.to_json() for entry in self.files]}

    @classmethod
    def from_json(cls, value: Json, where: str) -> Self:
        """Parse the JSON form strictly."""
        fields = Fields(value, where)
        part = cls(
            settings=fields.mapping("settings"),
            files=tuple(FileEntry.from_json(item) for item in fields.items("files")),
        )
        fields.finish()
        return part


@dataclass(frozen=True, slots=True)
class Manifest:
    """Manifest of one generation of an index.

    Parameters
    ----------
    generation
        Number of the generation, from 1. The highest one is the current state of the index.
    created
        Time of the commit in UTC, as ISO 8601 text such as ``2026-01-31T12:00:00Z``.
    writer
        Program and version that wrote the manifest, such as ``colstore 0.1.0``.
    dim
        Number of components of a token vector.
    config
        Settings with which the index was built, as JSON.
    codec
        Settings of the codec, and its file (``codec-*.h5``).
    segments
        Entries of the segments, in the order of their documents.
    parent
        :attr:`checksum` of the generation that this one was derived from; ``None`` for the first generation.
    centroids
        Entry of the FAISS index over the centroids, a derived file; ``None`` if there is none.
    encoder
        The frozen query encoder; ``None`` if the caller supplied the vectors.
    tuned
        Search parameters chosen by tuning, as JSON; ``None`` if the index has not been tuned.
    lexical
        The BM25 index over the texts, derived from the segments; ``None`` if it was never built. A part without files
        is out of date.

    Raises
    ------
    CorruptIndexError
        The generation is out of range, a file is named twice, or a file does not belong to its part.
    """

    generation: int
    created: str
    writer: str
    dim: int
    config: Mapping[str, Json]
    codec: Part
    segments: tuple[SegmentEntry, ...]
    parent: str | None = None
    centroids: FileEntry | None = None
    encoder: Part | None = None
    tuned: Mapping[str, Json] | None = field(default=None)
    lexical: Part | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.generation <= names.MAX_GENERATION:
            raise CorruptIndexError(f"{self.generation} is not a valid generation number")
        paths = [entry.path for entry in self.files]
        if len(set(paths)) < len(paths):
            raise CorruptIndexError("a file is named twice in the manifest")
        self._check_kinds("codec", self.codec.files)
        self._check_kinds("encoder", () if self.encoder is None else self.encoder.files)
        self._check_kinds("centroids", () if self.centroids is None else (self.centroids,))
        self._check_kinds("lexical", () if self.lexical is None else self.lexical.files)

    def _check_kinds(self, kind: str, entries: tuple[FileEntry, ...]) -> None:
        for entry in entries:
            if names.kind_of(entry.path) != kind:
                raise CorruptIndexError(f"{entry.path!r} is not a file of the part {kind!r}")

    @property
    def documents(self) -> int:
        """Number of documents in all segments, including deleted ones."""
        return sum(segment.documents for segment in self.segments)

    @property
    def tokens(self) -> int:
        """Number of tokens in all segments, including those of deleted documents."""
        return sum(segment.tokens for segment in self.segments)

    @property
    def live_documents(self) -> int:
        """Number of documents that are not deleted, and that a search can therefore return."""
        return sum(segment.live_documents for segment in self.segments)

    @property
    def live_tokens(self) -> int:
        """Number of tokens of the documents that are not deleted."""
        return sum(segment.live_tokens for segment in self.segments)

    @property
    def files(self) -> list[FileEntry]:
        """Entries of all files that this generation needs, except the manifest itself."""
        parts = [part for part in (self.codec, self.encoder, self.lexical) if part is not None]
        entries = [entry for part in parts for entry in part.files]
        if self.centroids is not None:
            entries.append(self.centroids)
        return entries + [entry for segment in self.segments for entry in segment.files]

    @property
    def checksum(self) -> str:
        """xxh3_128 of the canonical JSON without the field ``checksum``."""
        return checksum(canonical(self._body()))

    def to_bytes(self) -> bytes:
        """Return the content of the manifest's file."""
        body = self._body()
        return canonical({**body, "checksum": checksum(canonical(body))}) + b"\n"

    def _body(self) -> dict[str, Json]:
        # This field is written only if it is set: an index without a BM25 index has the same bytes as before.
        lexical: dict[str, Json] = {} if self.lexical is None else {"lexical": self.lexical.to_json()}
        return {
            "format": names.FORMAT,
            "format_version": names.FORMAT_VERSION,
            "generation": self.generation,
            "parent": self.parent,
            "created": self.created,
            "writer": self.writer,
            "dim": self.dim,
            "documents": self.documents,
            "tokens": self.tokens,
            "config": dict(self.config),
            "codec": self.codec.to_json(),
            "centroids": None if self.centroids is None else self.centroids.to_json(),
            "encoder": None if self.encoder is None else self.encoder.to_json(),
            "segments": [segment.to_json() for segment in self.segments],
            "tuned": None if self.tuned is None else dict(self.tuned),
            **lexical,
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse the content of a manifest file: first the version, then the checksum, then each field.

        Raises
        ------
        FormatVersionError
            A newer version of colstore wrote the manifest.
        CorruptIndexError
            The content is damaged, or is not a manifest of colstore.
        """
        body = parse_object(data)
        _check_version(body)
        stored = body.pop("checksum", None)
        if stored != checksum(canonical(body)):
            raise CorruptIndexError("its checksum does not match its content")
        return cls._from_body(body)

    @classmethod
    def _from_body(cls, body: dict[str, Json]) -> Self:
        fields = Fields(body, "manifest")
        fields.take("format"), fields.take("format_version")
        centroids = fields.optional_mapping("centroids")
        encoder = fields.optional_mapping("encoder")
        lexical = fields.optional_mapping("lexical") if "lexical" in body else None
        documents, tokens = fields.count("documents"), fields.count("tokens")
        manifest = cls(
            generation=fields.count("generation", least=1, most=names.MAX_GENERATION),
            parent=fields.optional_text("parent", HEX128),
            created=fields.text("created", _CREATED),
            writer=fields.text("writer"),
            dim=fields.count("dim", least=1, most=_MAX_DIM),
            config=fields.mapping("config"),
            codec=Part.from_json(fields.take("codec"), "codec"),
            centroids=None if centroids is None else FileEntry.from_json(centroids),
            encoder=None if encoder is None else Part.from_json(encoder, "encoder"),
            segments=tuple(SegmentEntry.from_json(item) for item in fields.items("segments")),
            tuned=fields.optional_mapping("tuned"),
            lexical=None if lexical is None else Part.from_json(lexical, "lexical"),
        )
        fields.finish()
        if (manifest.documents, manifest.tokens) != (documents, tokens):
            raise CorruptIndexError(
                f"it counts {documents} documents and {tokens} tokens, but its segments have {manifest.documents} and "
                f"{manifest.tokens}"
            )
        return manifest


def _check_version(body: Mapping[str, Json]) -> None:
    if body.get("format") != names.FORMAT:
        raise CorruptIndexError(f"it is not a colstore manifest: its format is {body.get('format')!r}")
    version = body.get("format_version")
    if type(version) is not int or version < 1:
        raise CorruptIndexError(f"{version!r} is not a valid format version")
    if version > names.FORMAT_VERSION:
        writer = str(body.get("writer", "a newer colstore"))
        raise FormatVersionError(
            f"this index has format version {version}, written by {writer[:60]}; this colstore reads up to "
            f"version {names.FORMAT_VERSION}. Upgrade: {upgrade_command()}"
        )


def timestamp() -> str:
    """Return the current time in UTC, in the form that a manifest stores."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def writer_name() -> str:
    """Return the program and its version, as a manifest names its writer."""
    return f"colstore {__version__}"

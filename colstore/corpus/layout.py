"""Which files of a folder are the corpus, by rules in a fixed order. The first rule that fits counts.

1. ``include=`` names the files: all that match are read, and nothing else.
2. ``corpus.jsonl`` (or ``corpus`` with another ending of a data file) is the corpus: BEIR, MTEB.
3. ``collection.tsv`` (or another ending) is the corpus: LoTTE, MS MARCO.
4. A folder ``corpus`` (or ``corpus-...``, ``...-corpus``) with data files in it is the corpus: MTEB on a hub.
5. Rules 2 and 3 for the folders below, where exactly one of them fits: an archive that was unpacked into a folder.
6. Data files, all with one ending: a data set from a hub with its shards, Anserini's ``docs00.jsonl``. Files of
   queries, judgements and runs, known by their names, are left out, and so are notes about the data, such as
   ``README.md`` and ``LICENSE.txt``. JSON files count as data only where no others are and no pages.
7. Pages: text, Markdown, reStructuredText, HTML and PDF, each a document.

Data files beside pages that are not notes, data files of several formats, and several corpora are errors that name what
is there and how to choose. Hidden files and folders, folders of programs and indexes are never looked into.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from colstore.corpus.folder_walk import Walk, ending, kind_of, spelled
from colstore.corpus.lines import printable
from colstore.errors import CorpusError

LINES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
DATA = frozenset([*LINES, *(f"{end}.gz" for end in LINES), ".parquet", ".arrow", ".feather"])
"""Endings of files that hold many documents."""
PAGES = frozenset([".txt", ".text", ".md", ".markdown", ".mdx", ".rst", ".html", ".htm", ".xhtml", ".pdf"])
"""Endings of files that are a document each."""
READABLE = (
    "a folder in the layout of BEIR, MTEB, LoTTE or a data set of a hub, a folder of pages (.md, .rst, .txt, .html, "
    ".pdf), .jsonl, .json, .csv and .tsv (each also .gz), .parquet, .arrow, a single page, - for JSON Lines on "
    "standard input, or in Python an iterable of Document, dict or str, a dict of texts by id, or a table of pandas, "
    "polars, pyarrow or datasets"
)
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp4", ".mp3", ".wav", ".exe", ".so", ".pyc"})
_PROBABLY_DATA = frozenset(
    {".7z", ".avro", ".bin", ".bz2", ".db", ".dta", ".gz", ".h5", ".hdf5", ".npy", ".npz", ".orc", ".pickle", ".pkl"}
    | {".rar", ".sqlite", ".tar", ".tar.gz", ".tgz", ".trec", ".trec.gz", ".txt.gz", ".xlsx", ".xml", ".xml.gz", ".zip"}
    | {f"{end}{packed}" for end in (*LINES, "", ".tar") for packed in (".bz2", ".xz", ".zst")}
)
"""Endings that are not read; a README beside such files is not taken for the corpus."""
_ROLES = re.compile(
    r"(quer(y|ies)|topics?|questions|qas|qrels?|judge?ments?|runs?|triples)(?![a-z])|.*[._-](queries|topics|qrels?)(?![a-z])"
)
_ROLE_FOLDERS = frozenset({"queries", "query", "topics", "questions", "qrels", "qas", "runs"})
_DESCRIPTIONS = frozenset(
    {"dataset_info", "dataset_infos", "dataset_dict", "state", "config", "metadata", "manifest"}
    | {"package", "package-lock", "tsconfig"}
)
_NOTES = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|changelog|changes|authors|contributing|contributors|security|"
    r"code_of_conduct|datasheet|dataset_card)(?![a-z])"
)
_SPLIT_FOLDER = re.compile(r"corpus|corpus[-_.].*|.*[-_.]corpus")
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of a folder that are the corpus.

    Parameters
    ----------
    files
        Paths of data files, relative to the folder; ``None`` where the pages are read.
    takes
        Tells of a path whether the file is read, where ``files`` is ``None``.
    passed_over
        Number of files and folders that are not read, by kind.
    notes
        What was taken, where that is not obvious, and what else the caller should know.
    """

    files: tuple[str, ...] | None
    takes: Callable[[str], bool]
    passed_over: dict[str, int]
    notes: list[str]


@dataclass(slots=True)
class Survey:
    """What a folder holds.

    Parameters
    ----------
    root
        The folder.
    walk
        The walk through it.
    data, roles, collections
        Paths of data files: ordinary ones, those of queries and judgements, and those named as a corpus is.
    pages, notes, others
        Numbers of the other files by ending: pages, notes about the data, and what is not read.
    """

    root: Path
    walk: Walk
    data: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    collections: list[str] = field(default_factory=list)
    pages: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, root: Path, *, strict: bool) -> Survey:
        """Return what a folder holds, from one walk."""
        survey = cls(root, Walk(root, strict))
        for name in survey.walk.files():
            survey._note(name)
        return survey

    def _note(self, name: str) -> None:
        *folders, base = name.split("/")
        end = ending(base)
        stem = base.lower().removesuffix(end)
        if end in PAGES:
            (self.notes if _NOTES.match(stem) else self.pages)[end] += 1
        elif end not in DATA or stem in _DESCRIPTIONS:
            self.others[kind_of(name)] += 1
        elif stem in ("corpus", "collection"):
            self.collections.append(name)
        elif _ROLES.match(stem) or not _ROLE_FOLDERS.isdisjoint(folder.lower() for folder in folders):
            self.roles.append(name)
        else:
            self.data.append(name)

    def passed_over(self, *left: Sequence[str] | Counter[str]) -> dict[str, int]:
        """Return the counts of what is never read, and of what else is left out."""
        counts = self.walk.passed_over + self.others
        for some in left:
            counts += some if isinstance(some, Counter) else Counter(map(kind_of, some))
        return dict(counts)


def select(root: Path, include: Sequence[str], *, can_read_pdf: Callable[[], bool]) -> Selection:
    """Return the files of a folder that are the corpus, by the rules of this module.

    Raises
    ------
    CorpusError
        There are none, or it is not clear which ones are meant; the message says how to choose.
    """
    if include:
        return _included(root, include)
    named = _named(root)
    survey = Survey.of(root, strict=named is None)
    if named is not None:
        rest = [name for name in [*survey.collections, *survey.data] if name != named]
        return _of_data([named], survey.passed_over(survey.pages, rest), told=False)
    below = [name for name in survey.data if "/" in name and _SPLIT_FOLDER.fullmatch(name.lower().split("/")[0])]
    if below:
        return _of_split_folder(survey, below)
    if survey.collections:
        return _of_data([_only_collection(survey)], survey.passed_over(survey.pages, survey.data))
    return _of_files(survey, can_read_pdf)


def _named(root: Path) -> str | None:
    """Return the file of the folder itself that is named as a corpus is, or ``None``."""
    try:
        names = sorted(path.name for path in root.iterdir() if path.is_file())
    except OSError as error:
        raise CorpusError(f"cannot be listed: {error.strerror or error}", source=printable(root)) from error
    for stem in ("corpus", "collection"):
        found = [name for name in names if ending(name) in DATA and name.lower() == stem + ending(name)]
        if len(found) > 1:
            message = f"holds both {found[0]} and {found[1]}: name the file that you mean"
            raise CorpusError(message, source=printable(root))
        if found:
            return found[0]
    return None


def _of_split_folder(survey: Survey, names: list[str]) -> Selection:
    folders = sorted({name.split("/")[0] for name in names})
    if len(folders) > 1:
        raise _ambiguous(survey, f"holds several corpora, {_listed(folders)}", f"{folders[0]}/*")
    chosen = _one_ending(survey, sorted(names))
    left = [name for name in [*survey.data, *survey.collections] if name not in names]
    return _of_data(chosen, survey.passed_over(left, survey.pages))


def _only_collection(survey: Survey) -> str:
    found = survey.collections
    if len(found) > 1:
        raise _ambiguous(survey, f"holds several corpora, {_listed(found)}", found[0])
    return found[0]


def _of_files(survey: Survey, can_read_pdf: Callable[[], bool]) -> Selection:
    pages = sum(survey.pages.values())
    weak = [name for name in survey.data if ending(name) in (".json", ".json.gz")]
    data = [name for name in survey.data if name not in set(weak)] or ([] if pages else weak)
    if data and pages:
        kinds = sorted({kind_of(name) for name in data})
        message = f"holds data files ({spelled(Counter(map(kind_of, data)))}) and pages ({spelled(survey.pages)})"
        page = max(survey.pages, key=lambda kind: survey.pages[kind])
        raise _ambiguous(survey, message, f"*{kinds[0]}", f"*{page}")
    if data:
        chosen = _one_ending(survey, data)
        left = [name for name in survey.data if name not in set(chosen)]
        return _of_data(chosen, survey.passed_over(left, survey.roles, survey.notes))
    _check_pages(survey)
    passed = survey.passed_over(survey.data, survey.roles)
    return _of_pages(survey, passed, can_read_pdf)


def _check_pages(survey: Survey) -> None:
    """Refuse a folder without pages, and one whose pages are only notes about files that cannot be read."""
    if survey.pages:
        return
    unread = [kind for kind in survey.others if kind in _PROBABLY_DATA]
    if survey.notes and not unread and not survey.roles:
        return
    there = survey.passed_over(survey.roles, survey.notes)
    message = f"no documents in this folder (it holds {spelled(there)})" if there else "no documents in this folder"
    if survey.roles:
        name = survey.roles[0]
        message += f"; files of queries and judgements are not a corpus, but include='{name}' reads one as such"
    elif unread:
        message += f"; {_listed(sorted(unread))} is not read: convert it to JSON Lines or Parquet"
    else:
        kind = next((kind for kind in survey.others if kind.startswith(".") and kind not in _PICTURES), None)
        message += f"; include='*{kind}' reads such files as text" if kind else ""
        message += f"; supported are {READABLE}"
    raise CorpusError(message, source=printable(survey.root))


def _of_pages(survey: Survey, passed: dict[str, int], can_read_pdf: Callable[[], bool]) -> Selection:
    notes = list(_notes_on_twins(survey.walk))
    kinds = PAGES
    others = survey.pages + survey.notes
    pdfs = others.pop(".pdf", 0)
    if pdfs and others and not can_read_pdf():
        from colstore.extras import install_command

        kinds = PAGES - {".pdf"}
        passed[".pdf"] = pdfs
        notes.append(f"{pdfs:,} .pdf were not read: that needs pypdfium2 ({install_command('pdf')})")
    return Selection(None, lambda name: ending(name) in kinds, passed, notes)


def _of_data(files: list[str], passed: dict[str, int], *, told: bool = True) -> Selection:
    taken = set(files)
    notes = [f"read from the folder: {_listed(files)}"] if told else []
    return Selection(tuple(files), lambda name: name in taken, passed, notes)


def _one_ending(survey: Survey, names: list[str]) -> list[str]:
    """Return data files of one format, or refuse several formats, which may hold the same documents."""
    kinds = sorted({ending(name).removesuffix(".gz").replace(".ndjson", ".jsonl") for name in names})
    if len(kinds) > 1:
        counts = spelled(Counter(map(kind_of, names)))
        raise _ambiguous(survey, f"holds data files of several formats ({counts})", *(f"*{kind}" for kind in kinds))
    stems = Counter(name.removesuffix(".gz") for name in names)
    twice = next((stem for stem, count in stems.items() if count > 1), None)
    if twice is not None:
        raise _ambiguous(survey, f"holds both {twice} and {twice}.gz", twice, f"{twice}.gz")
    return names


def _included(root: Path, include: Sequence[str]) -> Selection:
    walk = Walk(root)
    passed: Counter[str] = Counter()
    taken = 0
    for name in walk.files():
        if is_included(name, include):
            taken += 1
        else:
            passed[kind_of(name)] += 1
    counts = dict(walk.passed_over + passed)
    if not taken:
        globs = ", ".join(repr(glob) for glob in include)
        there = f" (it holds {spelled(counts)})" if counts else ""
        raise CorpusError(f"no file in this folder matches {globs}{there}", source=printable(root))
    return Selection(None, lambda name: is_included(name, include), counts, list(_notes_on_twins(walk)))


def is_included(name: str, include: Sequence[str]) -> bool:
    """Tell whether a path matches one of the globs: on its last part, or on all of it where the glob holds a slash.

    Examples
    --------
    >>> is_included("src/a.py", ["*.py"]), is_included("src/a.py", ["docs/*"]), is_included("docs/x/a.md", ["docs/*"])
    (True, False, True)
    """
    base = name.rsplit("/", 1)[-1]
    return any(fnmatchcase(name if "/" in glob else base, glob) for glob in include)


def _notes_on_twins(walk: Walk) -> list[str]:
    if not walk.twins:
        return []
    names = ", ".join(ascii(name) for name in walk.twins[:_SHOWN])
    return [
        f"{len(walk.twins):,} names occur in two Unicode normal forms, and are two documents each, such as {names}; "
        "normalize_ids=True takes them for one"
    ]


def _ambiguous(survey: Survey, what: str, *globs: str) -> CorpusError:
    choices = " or ".join(f"include='{glob}'" for glob in globs)
    return CorpusError(f"{what}: choose with {choices}, or name one file or folder", source=printable(survey.root))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"

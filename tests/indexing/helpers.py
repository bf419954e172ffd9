"""Documents for builds."""

from __future__ import annotations

from colstore import Document

TEXT = "bees dance in the dark hive while statins lower crp levels of many people and an old river runs"
WORDS = TEXT.split()


def documents(count: int) -> list[Document]:
    """Return documents of a few words each, never two alike in a row."""
    return [
        Document(id=f"d{number}", text=" ".join(WORDS[number % 5 : 6 + number % 11]), metadata={"n": number})
        for number in range(count)
    ]

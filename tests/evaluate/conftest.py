"""A corpus small enough to compare everything on in seconds."""

from __future__ import annotations

import pytest

SUBJECTS = {
    "bees": "bees dance on the comb to tell where nectar is",
    "bread": "yeast makes gas and gas makes bread dough rise",
    "tides": "the moon pulls the sea towards it and makes tides",
    "rust": "iron rusts in humid air because oxygen takes electrons",
    "glass": "tempered glass breaks into small blunt pieces",
    "fever": "fever makes the body hotter and slows germs down",
    "music": "a minor third sounds sad to many listeners",
    "trade": "merchants carried salt and cloth over the mountains",
}


@pytest.fixture(scope="session")
def corpus() -> list[dict[str, str]]:
    """Return 24 documents: three on each subject, that differ in one word."""
    return [
        {"id": f"{name}-{i}", "text": f"{text} {'again ' * i}{word}"}
        for name, text in SUBJECTS.items()
        for i, word in enumerate(("first", "second", "third"))
    ]


@pytest.fixture(scope="session")
def queries() -> dict[str, str]:
    """Return one query on each subject."""
    return {f"q{i}": f"{' '.join(text.split()[:4])} second" for i, text in enumerate(SUBJECTS.values())}


@pytest.fixture(scope="session")
def qrels() -> dict[str, dict[str, int]]:
    """Return the second document on each subject with grade 2, and the others with grade 1."""
    return {f"q{i}": {f"{name}-1": 2, f"{name}-0": 1, f"{name}-2": 1} for i, name in enumerate(SUBJECTS)}

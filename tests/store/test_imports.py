"""Reading an index never enters libhdf5, and importing the room is light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

READER = """
import sys
from pathlib import Path
from colstore.store import Segment, latest, read_arrays_file, read_whole, segments_folder, verify
directory = Path(sys.argv[1])
manifest = latest(directory)
segment = Segment.open(segments_folder(directory), manifest.segments[0])
segment.ensure_all()
print(segment.ids.all(), segment.title_and_text(0), segment.metadata(1), segment.rows("vectors").shape)
print(sorted(read_arrays_file(directory, manifest.codec.files[0]).arrays))
print(read_whole(directory, manifest.encoder.files[0]))
print(verify(directory))
print(sorted({"h5py", "faiss", "torch", "numba", "transformers"} & set(sys.modules)))
"""


def test_reading_never_imports_h5py(index: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", READER, str(index)], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines() == [
        "['b', 'a', 'ü'] ('title b', 'text of b') {'number': 1} (6, 4)",
        "['steps']",
        "b'{}'",
        "[]",
        "[]",
    ]

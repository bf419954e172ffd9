"""The folder of an unfinished build and the state that is needed to resume it. Neither is part of the index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from colstore.errors import CorruptIndexError, FormatVersionError, MissingFileError
from colstore.store import format as names
from colstore.store.checksums import checksum
from colstore.store.files import make_folder, write_file
from colstore.store.reading import read_file
from colstore.store.strict_json import Fields, canonical, parse_object
from colstore.types import Json


def building_folder(directory: Path) -> Path:
    """Return the folder in which an unfinished build keeps its parts."""
    return directory / names.BUILDING


def write_state(directory: Path, state: Mapping[str, Json]) -> None:
    """Replace the state of an unfinished build durably and atomically."""
    body = dict(state)
    make_folder(building_folder(directory))
    data = {"format_version": names.FORMAT_VERSION, "state": body, "checksum": checksum(canonical(body))}
    write_file(building_folder(directory) / names.STATE, canonical(data) + b"\n")


def read_state(directory: Path) -> dict[str, Json] | None:
    """Return the state of an unfinished build, or ``None`` if there is no such build.

    Raises
    ------
    FormatVersionError
        A newer version of colstore wrote the state.
    CorruptIndexError
        The state is damaged. The build has to start again.
    """
    path = building_folder(directory) / names.STATE
    try:
        fields = Fields(parse_object(read_file(path, names.MAX_MANIFEST_BYTES)), "state")
        if fields.count("format_version", least=1) > names.FORMAT_VERSION:
            raise FormatVersionError(
                f"{path}: a newer version of colstore began this build; finish the build with that version"
            )
        state, stored = fields.mapping("state"), fields.text("checksum")
        if stored != checksum(canonical(state)):
            raise CorruptIndexError("its checksum does not match its content")  # noqa: TRY301
    except MissingFileError:
        return None
    except CorruptIndexError as error:
        raise CorruptIndexError(
            f"the state of an unfinished build is damaged: {error}. Start again with overwrite=True", file=path
        ) from error
    return state

"""Models of the hub, without a hub."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from colstore.encode import load_encoder, load_encoder_from_settings
from colstore.errors import EncoderError
from tests.encode.checkpoints import MakeCheckpoint
from tests.encode.test_load import pickle_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a checkpoint where the hub's cache would have it, and record what is asked of the hub."""
    folder = Path(shutil.copytree(checkpoint("stanford", "bert"), tmp_path / COMMIT))
    asked: list[dict[str, Any]] = []

    def download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return folder, asked


def test_a_name_is_fetched_and_its_commit_recorded(snapshot: Any) -> None:
    _, asked = snapshot
    encoder = load_encoder("owner/model", revision="main", device="cpu")
    assert (encoder.settings["model"], encoder.settings["revision"]) == ("owner/model", COMMIT)
    again = load_encoder_from_settings(encoder.settings, device="cpu")
    assert dict(again.settings) == dict(encoder.settings)
    assert [call["revision"] for call in asked] == ["main", COMMIT]


def test_a_folder_of_the_cache_given_by_its_path_is_a_folder(snapshot: Any) -> None:
    folder, asked = snapshot
    encoder = load_encoder(folder, device="cpu")
    assert encoder.settings["revision"] is None
    assert dict(load_encoder_from_settings(encoder.settings, device="cpu").settings) == dict(encoder.settings)
    assert asked == []


def test_only_what_is_allowed_is_fetched(snapshot: Any) -> None:
    folder, asked = snapshot
    load_encoder("owner/model", device="cpu")
    assert not {"*.py", "pytorch_model*.bin"} & set(asked[-1]["allow_patterns"])
    load_encoder("owner/model", device="cpu", trust_remote_code=True)
    assert "*.py" in asked[-1]["allow_patterns"]
    pickle_weights(folder)
    load_encoder("owner/model", device="cpu", allow_pickle=True)
    assert "pytorch_model*.bin" in asked[-1]["allow_patterns"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RepositoryNotFoundError, "no model 'owner/model' on the hub.*log in"),
        (RevisionNotFoundError, "no revision 'v9'"),
        (ConnectionError, "not in the local cache, and the hub could not be reached.*give its path"),
    ],
)
def test_what_the_hub_says_no_to(monkeypatch: pytest.MonkeyPatch, error: Any, message: str) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise error.__new__(error, "no")  # the hub's own errors want a response of its HTTP library

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(EncoderError, match=message):
        load_encoder("owner/model", revision="v9")


def test_offline_and_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="not in the local cache"):
        load_encoder("nobody-at-all/no-such-model")

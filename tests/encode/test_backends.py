from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from colstore.encode import TransformerEncoder, load_encoder, load_encoder_from_settings, with_backend
from colstore.encode import backends as choosing
from colstore.errors import ConfigError, EncoderError, MissingDependencyError
from colstore.testing import EncoderConformance
from colstore.testing.encoder_suite import TEXTS
from colstore.types import Encoder
from tests.encode.checkpoints import LAYOUTS, Layout, MakeCheckpoint

RUNTIMES = ["onnx", "openvino"]
DOCUMENTS = [text for text in TEXTS if text != "!?.,;:"] * 4


def needs(backend: str) -> None:
    if backend.startswith("openvino") and find_spec("openvino") is None:
        pytest.skip("NEEDS openvino (pip install '.[openvino]'): not there, so this test did not run")


def load(folder: Any, **options: Any) -> TransformerEncoder:
    encoder = load_encoder(folder, device="cpu", **options)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def cosines(one: Encoder, other: Encoder, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    pairs = zip(one.encode_documents(texts), other.encode_documents(texts), strict=True)
    return np.concatenate([(a.vectors * b.vectors).sum(axis=1) for a, b in pairs])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("backend", RUNTIMES)
def test_a_runtime_gives_what_torch_gives(checkpoint: MakeCheckpoint, layout: Layout, backend: str) -> None:
    needs(backend)
    plain = load(checkpoint(layout, "bert"), token_budget=64)
    other = with_backend(plain, backend)
    for one, two in zip(plain.encode_documents(DOCUMENTS), other.encode_documents(DOCUMENTS), strict=True):
        assert one.truncated == two.truncated
        np.testing.assert_allclose(one.vectors, two.vectors, atol=1e-5)


@pytest.fixture(scope="module")
def loaded(checkpoint: MakeCheckpoint) -> dict[str, Encoder]:
    """Return encoders by backend."""
    folder = checkpoint("pylate", "modernbert")
    there = [name for name in RUNTIMES if name != "openvino" or find_spec(name) is not None]
    return {name: load(folder, backend=name, token_budget=64) for name in there}


@pytest.mark.parametrize("encoder", RUNTIMES, indirect=True)
class TestRuntimes(EncoderConformance):
    @pytest.fixture
    def encoder(self, request: pytest.FixtureRequest, loaded: dict[str, Encoder]) -> Encoder:
        needs(request.param)
        return loaded[request.param]


@pytest.mark.parametrize(("backend", "least"), [("onnx-int8", 0.98), ("torch-bf16", 0.995), ("openvino-bf16", 0.995)])
def test_low_precision_stays_close_and_has_length_one(
    minilm_encoder: TransformerEncoder, backend: str, least: float
) -> None:
    needs(backend)
    other = with_backend(minilm_encoder, backend)
    texts = [text for text in TEXTS if text]
    assert cosines(minilm_encoder, other, texts).mean() >= least
    for text in other.encode_documents(texts):
        np.testing.assert_allclose(np.linalg.norm(text.vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("backend", ["torch", "torch-bf16", "onnx", "onnx-int8", "openvino"])
def test_the_choice_is_a_setting_that_brings_the_same_encoder_back(checkpoint: MakeCheckpoint, backend: str) -> None:
    needs(backend)
    encoder = load(checkpoint("plain", "bert"), backend=backend)
    assert encoder.settings["backend"] == backend
    again = load_encoder_from_settings(encoder.settings, device="cpu")
    assert again.settings == encoder.settings
    for one, two in zip(encoder.encode_documents(DOCUMENTS), again.encode_documents(DOCUMENTS), strict=True):
        assert one.vectors.tobytes() == two.vectors.tobytes()


def test_another_backend_than_the_recorded_one_is_refused(checkpoint: MakeCheckpoint) -> None:
    folder = checkpoint("plain", "bert")
    with pytest.raises(EncoderError, match="backend is 'torch', was 'onnx'"):
        load(folder, settings=load(folder, backend="onnx").settings)


class TestAuto:
    def test_without_documents_it_is_torch(self, minilm_encoder: TransformerEncoder) -> None:
        assert with_backend(minilm_encoder, "auto") is minilm_encoder

    def test_the_quickest_wins(self, minilm_encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        seconds = {"torch": 3.0, "onnx": 1.0, "openvino": 2.0, "torch-bf16": 4.0}
        monkeypatch.setattr(choosing, "candidates", lambda: list(seconds))
        monkeypatch.setattr(
            choosing,
            "_timed",
            lambda encoder, texts: (encoder.encode_documents(texts), seconds[encoder.settings["backend"]]),
        )
        monkeypatch.setattr(choosing, "_switched", lambda encoder, backend, _: _named(encoder, backend))
        assert with_backend(minilm_encoder, "auto", ["bees"]).settings["backend"] == "onnx"

    def test_one_that_strays_or_fails_is_passed_over(
        self, minilm_encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Strays(TransformerEncoder):
            def encode_documents(self, texts: Sequence[str]) -> Any:
                return minilm_encoder.encode_documents(["another text", *texts[1:]])

        def switched(encoder: TransformerEncoder, backend: str, _: int) -> TransformerEncoder:
            if backend == "openvino":
                raise EncoderError("no graph")
            return Strays(encoder.model, {**encoder.settings, "backend": backend}, token_budget=1)

        monkeypatch.setattr(choosing, "candidates", lambda: ["torch", "onnx", "openvino"])
        monkeypatch.setattr(
            choosing,
            "_timed",
            lambda encoder, texts: (encoder.encode_documents(texts), 1.0 + (type(encoder) is TransformerEncoder)),
        )
        monkeypatch.setattr(choosing, "_switched", switched)
        assert with_backend(minilm_encoder, "auto", ["bees"]) is minilm_encoder

    def test_the_self_test_runs_what_is_installed(self, minilm_encoder: TransformerEncoder) -> None:
        chosen = with_backend(minilm_encoder, "auto", ["Bees dance in the dark. " * 10] * 8)
        assert chosen.settings["backend"] in choosing.candidates()
        assert cosines(minilm_encoder, chosen, ["Bees dance."]).min() > 0.999

    def test_low_precision_models_and_other_devices_stay_with_torch(self, checkpoint: MakeCheckpoint) -> None:
        encoder = load(checkpoint("plain", "bert"), dtype="bfloat16", backend="auto", documents=["bees"])
        assert encoder.settings["backend"] == "torch"


def _named(encoder: TransformerEncoder, backend: str) -> TransformerEncoder:
    return TransformerEncoder(encoder.model, {**encoder.settings, "backend": backend}, token_budget=4096)


def test_backends_that_cannot_be_are_refused(checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint("plain", "bert")
    with pytest.raises(ConfigError, match="backend must be one of"):
        load(folder, backend="tensorflow")
    with pytest.raises(ConfigError, match="float32"):
        load(folder, backend="onnx", dtype="bfloat16")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"openvino"):
        load(folder, backend="openvino")


def test_bfloat16_is_looked_up_in_the_processors_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    information = tmp_path / "cpuinfo"
    monkeypatch.setattr(choosing, "_CPUINFO", information)
    assert not choosing.has_bfloat16()
    information.write_text("flags : fpu avx2 avx512_bf16 amx_tile\n")
    assert choosing.has_bfloat16()
    information.write_text("flags : fpu avx2 avx512f\n")
    assert not choosing.has_bfloat16()


def test_a_tick_comes_after_every_batch_and_may_stop(checkpoint: MakeCheckpoint) -> None:
    encoder = load(checkpoint("plain", "bert"), token_budget=32)
    rows = encoder.prepare_documents(DOCUMENTS)
    ticks: list[int] = []
    encoder.encode_prepared(rows, ticks.append)
    assert sum(ticks) == sum(len(row) for row in rows)
    assert len(ticks) > 3

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoder.encode_prepared(rows, stop)
    assert encoder.encode_documents(["bees"])  # the lock was let go

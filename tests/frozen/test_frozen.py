from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from colstore.encode import TransformerEncoder
from colstore.errors import ConfigError, CorruptIndexError, EncoderError, FormatVersionError, MissingFileError
from colstore.frozen import FILES, GRAPH, RECIPE, TOKENIZER, FrozenEncoder, check_graph
from colstore.types import Encoder

Files = Mapping[str, bytes]


def with_recipe(files: Files, change: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    body = json.loads(files[RECIPE])
    change(body)
    return {**files, RECIPE: json.dumps(body).encode()}


class TestEncoder:
    def test_is_an_encoder_with_the_settings_of_the_original(self, files: Files, original: TransformerEncoder) -> None:
        frozen = FrozenEncoder.load(files)
        assert isinstance(frozen, Encoder)
        assert frozen.settings == original.settings
        assert frozen.dim == original.dim

    def test_a_question_is_the_same_in_any_company_and_thread(self, files: Files) -> None:
        frozen = FrozenEncoder.load(files)
        questions = ["bees dance", "statins", "", "a long question about the river and the sea " * 5] * 5
        alone = [frozen.encode_queries([question])[0].tobytes() for question in questions]
        assert [matrix.tobytes() for matrix in frozen.encode_queries(questions)] == alone
        with ThreadPoolExecutor(4) as pool:
            assert [m[0].tobytes() for m in pool.map(frozen.encode_queries, [[q] for q in questions])] == alone

    def test_two_threads_agree_with_one(self, files: Files) -> None:
        one, two = FrozenEncoder.load(files), FrozenEncoder.load(files, threads=2)
        np.testing.assert_allclose(one.encode_queries(["bees"])[0], two.encode_queries(["bees"])[0], atol=1e-6)

    def test_text_that_is_no_unicode_still_has_vectors(self, files: Files) -> None:
        assert len(FrozenEncoder.load(files).encode_queries(["a lone \ud800 surrogate"])[0])

    def test_documents_are_refused_with_the_way_out(self, files: Files) -> None:
        with pytest.raises(EncoderError, match="load_encoder_from_settings"):
            FrozenEncoder.load(files).encode_documents(["a document"])

    @pytest.mark.parametrize("wrong", ["one string", [b"bytes"], [None]])
    def test_what_is_no_list_of_questions_is_refused(self, files: Files, wrong: Any) -> None:
        with pytest.raises(TypeError):
            FrozenEncoder.load(files).encode_queries(wrong)

    def test_no_threads_are_refused(self, files: Files) -> None:
        with pytest.raises(ConfigError, match="threads"):
            FrozenEncoder.load(files, threads=0)


class TestDocumentTokens:
    """That they are the tokens of the original is tested where it is exported, in tests/encode."""

    def test_offsets_are_those_of_the_text_without_its_prefix(self, files: Files) -> None:
        frozen = FrozenEncoder.load(files)
        text = "Bees dance, in a dark hive"
        tokens = frozen.document_tokens(text)
        assert frozen.recipe.document.prefix
        pieces = ["".join(text[start:stop]) for start, stop in tokens.offsets.tolist()]
        assert "".join(pieces) == text.replace(" ", "")
        assert tokens.offsets[0].tolist() == tokens.offsets[-1].tolist() == [0, 0]
        assert [piece for piece, stored in zip(pieces, tokens.stored.tolist(), strict=True) if not stored] == [","]
        assert not tokens.truncated

    def test_a_long_text_is_cut_at_the_length_of_documents_not_of_queries(self, files: Files) -> None:
        frozen = FrozenEncoder.load(files)
        tokens = frozen.document_tokens("bees " * 200)
        assert tokens.truncated
        assert len(tokens.ids) == frozen.recipe.document.length != frozen.recipe.length
        assert len(frozen.encode_queries(["bees " * 200])[0]) == frozen.recipe.length

    def test_characters_outside_of_the_basic_plane_count_once(self, files: Files) -> None:
        text = "\U0001f41d bees \U0001f41d dance e\u0301"
        tokens = FrozenEncoder.load(files).document_tokens(text)
        assert tokens.offsets.max() <= len(text)
        assert any(text[start:stop] == "dance" for start, stop in tokens.offsets.tolist()) or any(
            text[start:stop] == "d" for start, stop in tokens.offsets.tolist()
        )

    def test_threads_share_one_tokenizer(self, files: Files) -> None:
        frozen = FrozenEncoder.load(files)
        texts = [f"bees dance {number} times" for number in range(40)]
        with ThreadPoolExecutor(4) as pool:
            found = [tokens.ids.tolist() for tokens in pool.map(frozen.document_tokens, texts)]
        assert found == [frozen.document_tokens(text).ids.tolist() for text in texts]

    def test_what_is_no_text_is_refused(self, files: Files) -> None:
        with pytest.raises(TypeError, match="a document must be a string"):
            FrozenEncoder.load(files).document_tokens(b"bees")  # type: ignore[arg-type]

    def test_text_that_is_no_unicode_still_has_tokens(self, files: Files) -> None:
        assert FrozenEncoder.load(files).document_tokens("a lone \ud800 surrogate").stored.any()


class TestDamage:
    @pytest.mark.parametrize("name", FILES)
    def test_a_missing_file_is_named(self, files: Files, name: str) -> None:
        with pytest.raises(MissingFileError, match=name):
            FrozenEncoder.load({other: data for other, data in files.items() if other != name})

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"[]", b"{}", b"\n" * 100])
    def test_other_bytes_are_a_named_error(self, files: Files, name: str, data: bytes) -> None:
        with pytest.raises(CorruptIndexError, match=name):
            FrozenEncoder.load({**files, name: data})

    @pytest.mark.parametrize("name", [TOKENIZER, GRAPH])
    def test_half_a_file_is_a_named_error(self, files: Files, name: str) -> None:
        with pytest.raises(CorruptIndexError, match=name):
            FrozenEncoder.load({**files, name: files[name][: len(files[name]) // 2]})

    def test_a_graph_with_other_inputs_or_another_dimension_is_refused(self, files: Files) -> None:
        with pytest.raises(CorruptIndexError, match="inputs"):
            FrozenEncoder.load(with_recipe(files, lambda body: body.update(inputs=["input_ids"])))
        wider = FrozenEncoder.load(with_recipe(files, lambda body: body.update(dim=17)))
        with pytest.raises(EncoderError, match="no usable vectors"):
            wider.encode_queries(["bees"])

    def test_a_token_beyond_the_vocabulary_is_an_error_of_ours(self, files: Files) -> None:
        def far(body: dict[str, Any]) -> None:
            body["expansion"]["token"] = 10**9

        with pytest.raises(EncoderError, match="failed on this query"):
            FrozenEncoder.load(with_recipe(files, far)).encode_queries(["bees"])


class TestRecipe:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("version", True),
            ("version", 0),
            ("version", "1"),
            ("prefix", 3),
            ("prefix", "x" * 100_000),
            ("length", 0),
            ("length", 2.0),
            ("length", True),
            ("length", 10**9),
            ("truncation", "up"),
            ("padding", None),
            ("expansion", []),
            ("expansion", {"token": 1, "length": 5, "attend": False}),
            ("expansion", {"token": 1, "length": 5, "attend": 1, "scored": True}),
            ("expansion", {"token": -1, "length": 5, "attend": True, "scored": True}),
            ("expansion", {"token": 1, "length": 10**12, "attend": True, "scored": True}),
            ("skip", None),
            ("skip", [1, "2"]),
            ("skip", [1.5]),
            ("document", None),
            ("document", {"prefix": "", "length": 8, "skip": []}),
            ("document", {"prefix": "", "length": 0, "skip": [], "only": []}),
            ("document", {"prefix": 1, "length": 8, "skip": [], "only": []}),
            ("document", {"prefix": "", "length": 8, "skip": [-1], "only": []}),
            ("document", {"prefix": "", "length": 8, "skip": [], "only": None}),
            ("inputs", []),
            ("inputs", ["attention_mask"]),
            ("inputs", ["input_ids", "input_ids"]),
            ("inputs", ["input_ids", "__class__"]),
            ("dim", 0),
            ("dim", 10**9),
            ("storage", "float8"),
            ("settings", []),
        ],
    )
    def test_a_value_that_cannot_be_is_named(self, files: Files, name: str, value: Any) -> None:
        with pytest.raises(CorruptIndexError, match=rf"encoder\.json.*({name}|prefix|length|skip|only)"):
            FrozenEncoder.load(with_recipe(files, lambda body: body.update({name: value})))

    def test_every_field_is_needed_and_no_other_is_known(self, files: Files) -> None:
        for name in json.loads(files[RECIPE]):
            with pytest.raises(CorruptIndexError, match=f"'{name}' is missing"):
                FrozenEncoder.load(with_recipe(files, lambda body, name=name: body.pop(name)))  # type: ignore[misc]  # a default binds it
        with pytest.raises(CorruptIndexError, match="unknown field 'extra'"):
            FrozenEncoder.load(with_recipe(files, lambda body: body.update(extra=1)))

    def test_a_newer_version_says_so(self, files: Files) -> None:
        with pytest.raises(FormatVersionError, match="Upgrade"):
            FrozenEncoder.load(with_recipe(files, lambda body: body.update(version=2)))

    def test_deep_nesting_and_nan_are_refused(self, files: Files) -> None:
        for data in (b'{"a":' * 100_000, b'{"version": NaN}'):
            with pytest.raises(CorruptIndexError):
                FrozenEncoder.load({**files, RECIPE: data})


def small_graph(*nodes: onnx.NodeProto, weights: list[onnx.TensorProto]) -> bytes:
    value = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1])
    return bytes(helper.make_model(helper.make_graph(list(nodes), "g", [], [value], weights)).SerializeToString())


class TestGraph:
    def test_a_whole_one_passes(self) -> None:
        weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
        check_graph(small_graph(helper.make_node("Identity", ["w"], ["vectors"]), weights=[weight]), GRAPH)

    @pytest.mark.parametrize("place", ["initializer", "attribute", "inside a subgraph"])
    def test_weights_in_another_file_are_refused_wherever_they_hide(self, place: str) -> None:
        outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        entry = outside.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"
        constant = helper.make_node("Constant", [], ["vectors"], value=outside)
        if place == "initializer":
            data = small_graph(helper.make_node("Identity", ["w"], ["vectors"]), weights=[outside])
        elif place == "attribute":
            data = small_graph(constant, weights=[])
        else:
            branch = helper.make_graph([constant], "b", [], [])
            data = small_graph(helper.make_node("If", ["c"], ["vectors"], then_branch=branch), weights=[])
        with pytest.raises(CorruptIndexError, match="another file"):
            check_graph(data, GRAPH)

    def test_operators_of_others_are_refused(self) -> None:
        for node, said in (
            (helper.make_node("Anything", [], ["vectors"], domain="evil"), "domain"),
            (helper.make_node("EPContext", [], ["vectors"], domain="com.microsoft"), "EPContext"),
        ):
            with pytest.raises(CorruptIndexError, match=said):
                check_graph(small_graph(node, weights=[]), GRAPH)

    def test_no_bytes_crash_it(self, files: Files) -> None:
        data = files[GRAPH]
        generator = np.random.default_rng(0)
        for _ in range(200):
            changed = bytearray(data[:4000])
            for place in generator.integers(0, len(changed), 8):
                changed[place] = int(generator.integers(0, 256))
            try:
                check_graph(bytes(changed), GRAPH)
            except CorruptIndexError as error:
                assert GRAPH in str(error)  # noqa: PT017 - whether it is refused depends on the bytes

"""Several sources with weights: their splits, their token stream, and their scores."""

import json
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.data import sources, stored_texts
from textrnn.data.documents import Document
from textrnn.data.mixtures import Mixture, Part
from textrnn.data.splitting import split_at
from textrnn.data.stored_texts import count_characters
from textrnn.data.token_files import JoinedTokens
from textrnn.data.token_streams import token_stream
from textrnn.data.windows import windows
from textrnn.tokenizers import ByteTokenizer

OLD, NEW = "It was the best of times.\n" * 20, "\f\n".join(f"mail {i}\nok\n" for i in range(20))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "old.txt").write_text(OLD)
    (tmp_path / "new.txt").write_text(NEW)
    return [str(tmp_path / name) for name in ("old.txt", "new.txt")]


def test_each_source_is_split_by_itself_and_read_as_often_as_it_is_weighted(files):
    old, new = files
    texts = sources.load_texts({old: 1, new: 3}, held_out=0.1, document="form_feed")
    assert [(part.name, part.times) for part in texts.train.parts] == [(old, 1), (new, 3)]
    assert [part.times for part in texts.validation.parts] == [1, 1]
    alone = sources.load_texts(new, held_out=0.1, document="form_feed")
    assert texts.train.parts[1].documents == alone.train
    assert texts.validation.parts[1].documents == alone.validation and len(alone.validation) == 2
    assert len(texts.train) == 1 + 3 * 18 == len(list(texts.train))
    assert count_characters(texts.train) == sum(len(document.text) for document in texts.train)


def test_the_stream_is_that_of_the_documents_in_order(files):
    texts = sources.load_texts(dict.fromkeys(files, 2), document="form_feed").train
    tokenizer = ByteTokenizer()
    expected = token_stream(tokenizer, list(texts))
    found = token_stream(tokenizer, texts)
    assert isinstance(found, JoinedTokens)
    np.testing.assert_array_equal(np.asarray(found), expected)
    options = {"batch_size": 3, "sequence_length": 7, "restart_probability": 0.2, "boundary_token_ids": [1]}
    for a, b in zip(windows(found, **options), windows(expected, **options), strict=True):
        np.testing.assert_array_equal(a[0]["token_ids"], b[0]["token_ids"])
        np.testing.assert_array_equal(a[1], b[1])


def test_sources_in_memory_and_in_files_mix(files, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTRNN_CACHE", str(tmp_path / "cache"))
    weights = {files[0]: 1, files[1]: 2}
    expected = sources.load_texts(weights, document="form_feed")
    with mock.patch.object(stored_texts, "IN_MEMORY_BYTES", len(OLD) - 1):
        found = sources.load_texts(weights, document="form_feed")
    kinds = [isinstance(part.documents, stored_texts.StoredTexts) for part in found.train.parts]
    assert kinds == [True, False]
    assert [d.text for d in found.train] == [d.text for d in expected.train]
    assert count_characters(found.train) == count_characters(expected.train)
    streams = [np.asarray(token_stream(ByteTokenizer(), texts.train)) for texts in (found, expected)]
    np.testing.assert_array_equal(*streams)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(2, 9), max_size=5), min_size=1, max_size=4),
    st.slices(9),
    st.lists(st.integers(-1, 0), max_size=6),
)
def test_joined_tokens_are_indexed_like_an_array(streams, part, indices):
    whole = np.array([1, *(token for tokens in streams for token in [*tokens, 1])], np.int32)
    joined = JoinedTokens([np.array([1, *tokens, 1], np.int32) for tokens in streams])
    assert len(joined) == len(whole)
    np.testing.assert_array_equal(joined[part], whole[part])
    np.testing.assert_array_equal(joined[np.array(indices, int)], whole[np.array(indices, int)])
    np.testing.assert_array_equal(joined[:], whole)


@settings(deadline=None)
@given(st.text("ab \n\f", max_size=30))
def test_documents_between_form_feeds_are_those_between_lines_that_hold_one(text):
    found = [document.text for document in split_at([Document("a", text)], "form_feed")]
    expected, lines = [], []
    for line in [*text.split("\n"), "\f"]:
        if line == "\f":
            expected.append(lines)
            lines = []
        elif lines or line.strip():
            lines.append(line)
    for document in expected:
        while document and not document[-1].strip():
            document.pop()
    assert found == ["\n".join(document) for document in expected if document]


def test_the_content_and_the_weights_make_the_fingerprint(files):
    def of(weights):
        return sources.load_texts(weights, document="form_feed").fingerprint

    old, new = files
    assert of({old: 1, new: 1}) == of({old: 1, new: 1})
    assert len({of({old: 1, new: 1}), of({old: 2, new: 1}), of({new: 1, old: 1}), of({old: 1})}) == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "--data names no source: give a path"),
        (["old.txt", "missing.txt"], "missing.txt does not exist"),
        (["old.txt", "copy.txt"], "copy.txt, .*old.txt have the same text: keep one of them"),
    ],
)
def test_invalid_mixtures_are_refused(files, tmp_path, names, message):
    (tmp_path / "copy.txt").write_text(OLD)
    with pytest.raises(InputError, match=message):
        sources.load_texts({str(tmp_path / name): 1 for name in names})


def test_the_metrics_have_a_score_for_each_source():
    from textrnn.text_generation.report import closing_metrics
    from textrnn.text_generation.score import LanguageModelScore
    from textrnn.training import TrainingResult

    result = TrainingResult({}, None, 1, 1.0, None)
    score = LanguageModelScore(1.0, 2.7, 0.5, 10)
    metrics = closing_metrics(result, score, {"mail": LanguageModelScore(1.0, 2.7, 0.25, 5)})
    assert json.loads(json.dumps(metrics))["held_out_bits_per_character of mail"] == 0.25


def test_a_mixture_counts_repeated_documents():
    texts = Mixture((Part("a", [Document("a", "one")], 2), Part("b", [Document("b", "three")])))
    assert [len(texts), texts.characters, texts[1].text, texts[-1].text] == [3, 11, "one", "three"]

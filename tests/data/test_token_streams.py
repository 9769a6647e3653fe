"""Token streams in files: equal to those in memory, and shared."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn.data import stored_texts, text_files
from textrnn.data.stored_texts import StoredTexts
from textrnn.data.token_files import TokenFile
from textrnn.data.token_streams import token_stream, tokenizer_fingerprint
from textrnn.data.windows import evaluation_windows, stream, windows
from textrnn.tokenizers import TOKENIZERS, encode_documents, encoding, train_tokenizer
from textrnn.tokenizers.encoding import encode_batches

ROSE = "a rose is a rose\nis a  rose: une été\n\n" * 40


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request):
    return train_tokenizer(request.param, [ROSE])


def store(folder, texts):
    """Write texts as the cache does."""
    path = folder / "texts.txt"
    path.write_bytes(b"".join(text.encode() + stored_texts.END for text in texts))
    return StoredTexts(path, sum(map(len, texts)), len(texts), stored_texts.file_hash(path))


@given(st.lists(st.text("ar \n\x1eé", max_size=60), max_size=8), st.integers(1, 4), st.integers(5, 20))
@settings(max_examples=15, deadline=None)
def test_a_stream_in_a_file_is_that_in_memory(tokenizer, tmp_path_factory, texts, batch, block):
    folder = tmp_path_factory.mktemp("texts")
    with (
        mock.patch.dict("os.environ", TEXTRNN_CACHE=str(folder / "cache")),
        mock.patch.object(encoding, "CHUNK_CHARACTERS", 12),
        mock.patch.object(encoding, "BATCH_CHUNKS", batch),
        mock.patch.object(text_files, "BLOCK_BYTES", block),
        mock.patch.object(stored_texts, "BLOCK_BYTES", block),
    ):
        expected = stream(encode_documents(tokenizer, texts), tokenizer.end_token_id)
        found = token_stream(tokenizer, store(folder, texts))
        assert isinstance(found, TokenFile) and len(found) == len(expected)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(token_stream(tokenizer, texts), expected)


@given(st.lists(st.text("ar \né", max_size=60), max_size=8), st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_threads_change_nothing(tokenizer, texts, batch):
    with mock.patch.object(encoding, "BATCH_CHUNKS", batch):
        serial, parallel = ([*encode_batches(tokenizer, texts, threads)] for threads in (1, 4))
    for one, other in zip(serial, parallel, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert sum(characters for *_, characters in serial) == sum(map(len, texts))


def test_a_text_is_tokenized_once_for_each_tokenizer(folders, tmp_path, tokenizer):
    texts = store(tmp_path, [ROSE])
    first = token_stream(tokenizer, texts)
    same = type(tokenizer).from_config(tokenizer.get_config())
    tokenizer.save_assets(tmp_path)
    same.load_assets(tmp_path)
    with mock.patch("textrnn.data.token_streams.encode_batches", side_effect=AssertionError):
        np.testing.assert_array_equal(token_stream(same, texts), first)
        with pytest.raises(AssertionError):
            token_stream(tokenizer, store(tmp_path, [ROSE, "a"]))


def test_other_tokenizers_have_other_fingerprints():
    tokenizers = [
        train_tokenizer(kind, [text * 40]) for kind in TOKENIZERS for text in (ROSE, "other words\n")
    ]
    assert len({tokenizer_fingerprint(tokenizer) for tokenizer in tokenizers}) == 7  # bytes are not learned


def test_large_ids_take_four_bytes(folders, tmp_path):
    texts = store(tmp_path, [" ".join(map(str, range(70_000)))])
    tokens = token_stream(train_tokenizer("word", texts), texts)
    assert tokens.dtype == np.int32 and tokens[:].max() > 2**16
    assert token_stream(train_tokenizer("byte", texts), texts).dtype == np.uint16


def test_a_stream_survives_the_removal_of_its_file(tmp_path):
    path = tmp_path / "tokens.bin"
    np.arange(10, dtype="uint16").tofile(path)
    tokens = TokenFile(path, "uint16")
    path.unlink()
    assert tokens[[9, 3]].tolist() == [9, 3]


@given(st.integers(2, 60), st.integers(1, 4), st.integers(1, 6), st.floats(0, 0.9))
@settings(max_examples=8, deadline=None)
def test_windows_of_a_file_are_those_of_an_array(tmp_path_factory, length, rows, steps, probability):
    path = tmp_path_factory.mktemp("tokens") / "tokens.bin"
    array = np.random.default_rng(length).integers(1, 6, max(length, rows * steps + 1))
    array.astype("uint16").tofile(path)
    options = {"start_token_id": 1, "boundary_token_ids": (1, 3)}
    for make, extra in ((windows, {"restart_probability": probability, **options}), (evaluation_windows, {})):
        a, b = (list(make(tokens, rows, steps, **extra)) for tokens in (array, TokenFile(path, "uint16")))
        assert str(a) == str(b)


def test_a_tokenizer_learns_the_same_from_a_text_in_a_file(tmp_path):
    texts = [ROSE, "zebra été\n" * 9]
    for kind in TOKENIZERS:
        with (
            mock.patch.object(text_files, "BLOCK_BYTES", 50),
            mock.patch.object(stored_texts, "BLOCK_BYTES", 50),
        ):
            learned = train_tokenizer(kind, store(tmp_path, texts)).get_vocabulary()
        assert learned == train_tokenizer(kind, texts).get_vocabulary()

"""Tokenizing whole data sets."""

import numpy as np

from textrnn.data.documents import Document
from textrnn.tokenizers import encode_documents, encoding


def test_a_document_in_chunks_has_the_same_ids(tokenizer, rose, monkeypatch):
    documents = [Document("a", rose), Document("b", ""), Document("c", "the rose\n"), "red"]
    whole = [tokenizer(text).numpy() for text in (rose, "", "the rose\n", "red")]
    monkeypatch.setattr(encoding, "CHUNK_CHARACTERS", 50)
    for batch_chunks in (3, 256):
        monkeypatch.setattr(encoding, "BATCH_CHUNKS", batch_chunks)
        for expected, ids in zip(whole, encode_documents(tokenizer, documents), strict=True):
            assert ids.dtype == np.int32
            np.testing.assert_array_equal(ids, expected)


def test_no_documents_give_an_empty_list(tokenizer):
    assert encode_documents(tokenizer, []) == []

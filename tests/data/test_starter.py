"""The starter corpora of text generation and of sentiment analysis; `test_phrases` has the third."""

from textrnn.data.labelled_splits import repeated_examples
from textrnn.data.starter import starter_reviews, starter_text


def test_every_python_has_the_starter_text():
    documents = starter_text()
    assert [document.origin for document in documents] == sorted(document.origin for document in documents)
    assert sum(len(document.text) for document in documents) > 200_000
    assert all(document.text.strip() for document in documents)


def test_starter_reviews_are_balanced_varied_and_without_overlap():
    train, test = starter_reviews()
    assert repeated_examples(train, test) == []
    for split in (train, test):
        assert len({e.text for e in split}) == len(split)
        assert sum(e.label == "positive" for e in split) * 2 == len(split)
    lengths = [len(e.text.split()) for e in (*train, *test)]
    assert len(lengths) >= 600
    assert all(sum(low <= n < high for n in lengths) > 200 for low, high in ((5, 15), (15, 30), (30, 71)))

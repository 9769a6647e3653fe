"""Classifiers of texts."""

import functools

from architecture_comparison.jobs import Job, seeded
from architecture_comparison.networks import classifier, size_within


def prepare_classification(run, settings):
    """A classifier of subwords. Its score is the accuracy."""
    import keras
    import numpy as np

    from textrnn.data.batching import text_batches

    texts, labels = labelled_tokens(settings.data, settings.vocabulary_size, settings.length, settings.scored)
    make = functools.partial(
        classifier, run.contestant, settings=settings, classes=int(labels["train"].max()) + 1
    )
    size = size_within(make, settings)
    model = seeded(make, size, run.seed)
    batches = text_batches(texts["train"], labels["train"], settings.batch_size, seed=run.seed)

    def accuracy(part):
        scored = text_batches(texts[part], labels[part], settings.batch_size, shuffle=False)
        right = [np.argmax(model.predict_on_batch(x), axis=-1) == y.numpy() for x, y in scored]
        return float(np.concatenate(right).mean())

    return Job(model, size, batches, keras.losses.SparseCategoricalCrossentropy(from_logits=True), accuracy)


@functools.cache
def labelled_tokens(data, vocabulary_size, length, scored):
    """Token ids and labels of texts, as two dicts of parts: `"train"`, `"validation"` and `"test"`.

    Args:
        data: `"starter"`, or the name of a public set.
        vocabulary_size: Subwords of the vocabulary.
        length: Maximum number of tokens of a text.
        scored: Maximum number of texts in each part that is scored.
    """
    import numpy as np

    from textrnn.data.sources import load_labelled_texts
    from textrnn.tokenizers import train_tokenizer

    found = load_labelled_texts(None, None if data == "starter" else data, 0.1)
    parts = {"train": found.train, "validation": found.validation[:scored], "test": found.test[:scored]}
    tokenizer = train_tokenizer("sentencepiece", [example.text for example in found.train], vocabulary_size)
    classes = sorted({example.label for example in found.train})
    texts, labels = {}, {}
    for part, examples in parts.items():
        tokens = tokenizer.tokenize([example.text for example in examples])
        texts[part] = [row[:length] for row in tokens.numpy()]
        labels[part] = np.array([classes.index(example.label) for example in examples])
    return texts, labels

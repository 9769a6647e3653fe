"""The tasks with real texts: a language model of characters, and a classifier of sentences."""

import functools

from cell_comparison.jobs import PARTS, Job, finite
from cell_comparison.settings import make_cell

SENTIMENT_LENGTH = 256
"""Maximum number of subwords of a text."""

# === Text ===


def prepare_text(run, settings):
    """A language model that carries its states from window to window. The score is bits per character."""
    from textrnn.data.windows import evaluation_windows, windows
    from textrnn.text_generation.evaluation import LanguageModelEvaluator
    from textrnn.training.losses import TokenCrossentropy

    train, parts, _ = text_streams(settings.text_data)
    shape = settings.batch_size, settings.text_length
    model = text_model(run.cell, settings)
    scored = {part: evaluation_windows(stream, *shape) for part, stream in parts.items()}
    evaluate = LanguageModelEvaluator(model)
    evaluate.prepare(scored["test"])

    def bits(part):
        return evaluate(scored[part], len(parts[part]) - 1).bits_per_character

    loss = TokenCrossentropy(reduction="mean_with_sample_weight")
    return Job(model, windows(train, *shape), loss, bits)


@functools.cache
def text_streams(data):
    """The characters to train on as ids, those of the other parts, and the size of the vocabulary.

    The last tenth of the text is not trained on. Its first half is for validation, and its second half for
    testing. Each stream begins with the character before it, so that all of its own characters are predicted.
    """
    import numpy as np

    from textrnn.data import datasets
    from textrnn.data.documents import read_documents, split_documents

    documents = datasets.load_text("shakespeare").train if data is None else read_documents(data)
    train, rest = split_documents(documents, 0.1)
    text = "".join(document.text for document in [*train, *rest])
    vocabulary, token_ids = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
    token_ids = token_ids.astype(np.int32)
    cut = sum(len(document.text) for document in train)
    half = (cut + len(text)) // 2
    parts = dict(zip(PARTS, (token_ids[cut - 1 : half], token_ids[half - 1 :]), strict=True))
    return token_ids[:cut], parts, len(vocabulary)


def text_model(name, settings):
    """A character language model with a cell."""
    import textrnn

    return textrnn.CausalLM(
        textrnn.RecurrentBackbone(
            text_streams(settings.text_data)[2], make_cell(name, settings), embedding_dim=settings.width
        )
    )


def bigram_bits(settings):
    """Bits per character of the test text with a bigram model of the training text."""
    import numpy as np

    train, parts, vocabulary_size = text_streams(settings.text_data)
    test = parts["test"]
    counts = np.ones((vocabulary_size, vocabulary_size))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log2(probabilities[test[:-1], test[1:]]).mean())


# === Sentiment ===


def prepare_sentiment(run, settings):
    """A classifier of subwords by the last output of the recurrent layer. The score is accuracy."""
    import keras
    import numpy as np

    from textrnn.data.batching import text_batches

    tokens, labels = sentiment_tokens(settings)
    model = sentiment_model(run, settings)
    batches = text_batches(tokens["train"], labels["train"], settings.batch_size, seed=run.seed)

    def accuracy(part):
        scored = text_batches(tokens[part], labels[part], 100, shuffle=False)
        right = [finite(model.predict_on_batch(x)).argmax(axis=-1) == y.numpy() for x, y in scored]
        return float(np.concatenate(right).mean())

    return Job(model, batches, keras.losses.SparseCategoricalCrossentropy(from_logits=True), accuracy)


def sentiment_model(run, settings):
    """A model that maps token ids and a padding mask to logits of the classes."""
    import keras

    import textrnn
    from textrnn.tasks.embedding import token_inputs

    _, labels = sentiment_tokens(settings)
    inputs = token_inputs()
    dropout = functools.partial(keras.layers.Dropout, settings.sentiment_dropout)
    initializer = keras.initializers.RandomNormal(stddev=0.1)
    x = keras.layers.Embedding(settings.sentiment_vocabulary, settings.width, initializer)(
        inputs["token_ids"]
    )
    x = textrnn.Recurrent(make_cell(run.cell, settings))(dropout()(x), mask=inputs["padding_mask"])
    return keras.Model(inputs, keras.layers.Dense(int(labels["train"].max()) + 1)(dropout()(x)))


def sentiment_tokens(settings):
    """Token ids and labels of the texts, as two dicts of parts: `"train"`, `"validation"` and `"test"`."""
    from architecture_comparison.classification import labelled_tokens

    return labelled_tokens(
        settings.sentiment_data, settings.sentiment_vocabulary, SENTIMENT_LENGTH, settings.scored
    )


def commonest_class(settings):
    """Accuracy on the test texts of the commonest class of the training texts."""
    import numpy as np

    _, labels = sentiment_tokens(settings)
    return float((labels["test"] == np.bincount(labels["train"]).argmax()).mean())

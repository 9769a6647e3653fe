"""Small models of the starter text, trained anew for each seed: shared by two studies"""

import numpy as np

TEST_CHARACTERS = 20_000
EVALUATION_ROWS, EVALUATION_STEPS = 8, 64


def starter_streams(tokens):
    """The characters of the starter text as ids.

    Args:
        tokens: The number of characters to train on.

    Returns:
        Those to train on, those to test on, and the size of the vocabulary. The test stream starts with the
        last character before it, so that all its own characters are predicted.
    """
    from textrnn.data.starter import starter_text

    text = "\n".join(document.text for document in starter_text())
    vocabulary, ids = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
    ids = ids.astype(np.int32)
    return ids[: min(tokens, len(ids) - TEST_CHARACTERS)], ids[-TEST_CHARACTERS - 1 :], len(vocabulary)


def restarting(windows):
    """The same windows, each of which starts from zero states."""
    import tensorflow as tf

    def restart(inputs, *rest):
        return {**inputs, "restart": tf.ones_like(inputs["restart"])}, *rest

    return windows.map(restart).apply(tf.data.experimental.assert_cardinality(len(windows)))


class Trainer:
    """Trains a model anew for each seed, with one graph.

    Args:
        make: A function that returns a new model.
        rate: The learning rate of Adam, or its schedule. Gradients are clipped to a norm of 1.
        loss: The loss, if the model has no default.
    """

    def __init__(self, make, rate, loss="auto"):
        import keras

        self.make = make
        self.model = make()
        optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
        self.model.compile(optimizer, loss)
        optimizer.build(self.model.trainable_variables)
        self.beginning = [variable.numpy() for variable in optimizer.variables]
        self.evaluators = {}

    def train(self, batches, seed, epochs=1):
        """Train new weights on batches."""
        import keras

        keras.utils.set_random_seed(seed)
        fresh = self.make().trainable_variables
        for variable, new in zip(self.model.trainable_variables, fresh, strict=True):
            variable.assign(new)
        for variable, value in zip(self.model.optimizer.variables, self.beginning, strict=True):
            variable.assign(value)
        self.model.fit(batches, epochs=epochs, shuffle=False, verbose=0)

    def bits(self, stream, window=None):
        """Bits per character of a text, if the model is a `textrnn.CausalLM`.

        Args:
            stream: Token ids, of which all but the first are predicted.
            window: Start from zero states after every so many tokens; None to carry them through the text.
        """
        from textrnn.data.windows import evaluation_windows
        from textrnn.text_generation.evaluation import LanguageModelEvaluator

        if window is None:
            windows = evaluation_windows(stream, EVALUATION_ROWS, EVALUATION_STEPS)
        else:
            rows = max(EVALUATION_ROWS * EVALUATION_STEPS // window, 1)
            windows = restarting(evaluation_windows(stream, rows, window))
        evaluate = self.evaluators.setdefault(window, LanguageModelEvaluator(self.model))
        return evaluate(windows, characters=len(stream) - 1).bits_per_character

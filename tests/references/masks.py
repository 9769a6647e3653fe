"""The mask that Keras has attached to a tensor, as the next layer gets it."""

import keras


class _Probe(keras.layers.Layer):
    supports_masking = True
    seen = None

    def call(self, inputs, mask=None):
        self.seen = mask
        return inputs


def mask_of(tensor):
    """The mask of a tensor, or None."""
    probe = _Probe()
    probe(tensor)
    return probe.seen

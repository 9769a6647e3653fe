"""cuDNN's recurrent kernel as its documentation describes it, in TensorFlow ops that run on a CPU."""

import tensorflow as tf


def cudnn_rnn(
    *, input, input_h, input_c, params, sequence_lengths, rnn_mode, is_training, time_major
):  # fmt: skip
    """`tf.raw_ops.CudnnRNNV3`, for one layer in one direction.

    Args:
        input: `(batch, time, features)`, padded at the end.
        input_h, input_c: `(batch, 1, units)`; without `input_c`, 0.
        params: A vector: the matrices `(units, features)` and `(units, units)` of each gate, those of the
            input first, and then the biases. The gates are i, f, c', o of an LSTM, and r, i, h' of a GRU.
        sequence_lengths: `(batch,)`, at least 1.
        rnn_mode: `"lstm"` or `"gru"`.

    Returns:
        The outputs, which are 0 after the end of a sequence, the states at its end, and two others.
    """
    assert is_training
    assert not time_major
    count = {"lstm": 4, "gru": 3}[rnn_mode]
    (batch, time, features), units = input.shape, input_h.shape[-1]
    assert sequence_lengths.shape == (batch,)
    assert bool(tf.reduce_all((sequence_lengths >= 1) & (sequence_lengths <= time)))
    sizes = [units * features] * count + [units * units] * count + [units] * 2 * count
    assert params.shape == (sum(sizes),)
    parts = tf.split(params, sizes)
    W = [tf.reshape(part, (units, features)) for part in parts[:count]]
    R = [tf.reshape(part, (units, units)) for part in parts[count : 2 * count]]
    bW, bR = parts[2 * count : 3 * count], parts[3 * count :]
    sigmoid, tanh = tf.sigmoid, tf.tanh
    h, c = input_h[:, 0], (input_c[:, 0] if rnn_mode == "lstm" else None)
    outputs = []
    for t in range(time):
        x = input[:, t]
        of_x = [x @ tf.transpose(w) + b for w, b in zip(W, bW, strict=True)]
        of_h = [h @ tf.transpose(r) + b for r, b in zip(R, bR, strict=True)]
        if rnn_mode == "lstm":
            i, f, g, o = (a + b for a, b in zip(of_x, of_h, strict=True))
            new_c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            new_h = sigmoid(o) * tanh(new_c)
        else:
            r, i = (sigmoid(of_x[k] + of_h[k]) for k in (0, 1))
            new_h = (1 - i) * tanh(of_x[2] + r * of_h[2]) + i * h
        within = (t < sequence_lengths)[:, None]
        outputs.append(tf.where(within, new_h, tf.zeros_like(new_h)))
        h = tf.where(within, new_h, h)
        c = tf.where(within, new_c, c) if rnn_mode == "lstm" else None
    last_c = tf.zeros([0], input.dtype) if c is None else c[:, None]
    return tf.stack(outputs, axis=1), h[:, None], last_c, tf.zeros([0]), tf.zeros([0], tf.int8)

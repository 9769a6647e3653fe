"""Generation token by token, with what each contestant has to keep of the earlier tokens."""

from architecture_comparison.networks import KERNEL_SIZE
from architecture_comparison.settings import BLOCKS, CELLS


def stepper(name, model, length):
    """What generates with a language model.

    Args:
        name: A contestant.
        model: Its `language_model`, or the `recurrent_backbone` of a cell.
        length: The maximum number of tokens, for the keys and values of the transformer.

    Returns:
        `(states, step)`: the states of one row before the first token, a nested structure of tensors, and a
        function `step(token_ids, states, index)` of tokens `(1,)` and their position that returns logits `(1,
        vocabulary_size)` and the new states.
    """
    if name in CELLS:
        return recurrent_stepper(getattr(model, "backbone", model))
    return {"convolution": convolution_stepper, "transformer": transformer_stepper}[name](model, length)


def recurrent_stepper(backbone):
    """The states of the cells."""
    step_backbone = backbone.stepper()

    def step(token_ids, states, index):
        hidden, states = step_backbone(token_ids, states)
        return backbone.token_embedding(hidden, reverse=True), states

    return backbone.get_initial_states(1), step


def convolution_stepper(model, length):
    """The inputs of each convolution that it still reads (Paine et al. 2016, arXiv 1611.09482)."""
    from keras import ops

    layers = [
        [model.get_layer(f"{kind}_{i}") for kind in ("norm", "convolution", "output")]
        for i in range(BLOCKS["convolution"])
    ]

    def step(token_ids, states, index):
        x, kept = first_vectors(model, token_ids), []
        for (norm, convolution, output), before in zip(layers, states, strict=True):
            inputs = ops.concatenate([before[:, 1:], norm(x)], axis=1)
            read = inputs[:, :: convolution.dilation_rate[0]]  # (1, kernel size, width)
            y = ops.conv(read, convolution.kernel, padding="valid") + convolution.bias
            x = x + output(convolution.activation(y))
            kept.append(inputs)
        return last_logits(model, x), kept

    widths = [convolution.kernel.shape[1] for _, convolution, _ in layers]
    return [ops.zeros((1, (KERNEL_SIZE - 1) * 2**i + 1, width)) for i, width in enumerate(widths)], step


def transformer_stepper(model, length):
    """The keys and values of all tokens."""
    from keras import ops

    position = model.get_layer("position")
    blocks = [model.get_layer(f"block_{i}") for i in range(BLOCKS["transformer"])]

    def step(token_ids, states, index):
        x, kept = first_vectors(model, token_ids), []
        x = x + position(x, start_index=index)
        for block, before in zip(blocks, states, strict=True):
            x, cache = block(x, self_attention_cache=before, self_attention_cache_update_index=index)
            kept.append(cache)
        return last_logits(model, x), kept

    heads, width = blocks[0].num_heads, model.get_layer("token_embedding").output_dim
    return [ops.zeros((1, 2, length, heads, width // heads)) for _ in blocks], step


def first_vectors(model, token_ids):
    """Vectors of tokens, `(1, 1, width)`."""
    from textrnn.tasks.embedding import embed

    return embed(model.get_layer("token_embedding"), token_ids[:, None])


def last_logits(model, x):
    """Logits from the outputs of the last block."""
    return model.get_layer("token_embedding")(model.get_layer("final_norm")(x), reverse=True)[:, 0]

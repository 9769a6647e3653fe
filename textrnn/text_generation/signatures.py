"""The serving functions of a `CausalLM`."""

import keras
import tensorflow as tf

from textrnn.decoding import RowSampler, complete, rowwise
from textrnn.tasks.preprocessor import padded
from textrnn.tokenizers import valid_utf8

MAX_NEW_TOKENS = 4096
"""Maximum number of new tokens per request, so that a server always answers."""


def text_signatures(lm, max_new_tokens=100):
    """The serving functions of a `CausalLM`, as TensorFlow functions of strings.

    | name | inputs, each `[None]` | outputs |
    |---|---|---|
    | `serving_default` | `text` | `text` |
    | `generate` | `text, max_new_tokens, temperature, top_k, top_p, seed` | `text, completion, tokens` |
    | `start` | `text` | `logits [None, vocabulary], states_0, states_1, ...` |
    | `step` | `token_ids, states_0, states_1, ...` | `logits, states_0, states_1, ...` |
    | `detokenize` | `token_ids [None, None]`, 0 after the end of a row | `text` |

    `serving_default` uses the default sampler of the model, whose seeds are derived from the prompts. In
    `generate` a negative parameter stands for the model's own. No row gets more than `MAX_NEW_TOKENS`.

    `start`, `step` and `detokenize` are for clients that stream. They choose each token themselves, carry the
    states, and detokenize all tokens so far, since a character may take several.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor.
        max_new_tokens: int, maximum number of tokens that `serving_default` adds.

    Returns:
        A dict of name -> `(function, input specs)`. Each function returns a dict of named tensors.
    """
    tokenizer = lm.preprocessor.tokenizer
    default_sampler = rowwise(lm.default_sampler)
    row_sampler = RowSampler.like(default_sampler)
    # The inputs and outputs of a signature are named tensors, so states are flat.
    structure = lm.backbone.get_initial_states(1)
    state_specs = [
        tf.TensorSpec([None, *s.shape[1:]], tf.float32, name=f"states_{i}")
        for i, s in enumerate(keras.tree.flatten(structure))
    ]

    def named(logits, states):
        # JSON has neither half precision nor infinity, the logit of tokens that are never generated.
        pairs = zip(state_specs, keras.tree.flatten(states), strict=True)
        return {"logits": tf.maximum(logits, -1e9), **{s.name: tf.cast(x, s.dtype) for s, x in pairs}}

    def prompts(text):
        tokens = tf.cast(tokenizer.tokenize(text), tf.int32).with_row_splits_dtype(tf.int64)
        start = tf.fill([tf.shape(text)[0], 1], tokenizer.start_token_id)
        return tokens, padded(tf.concat([start, tokens], axis=1))

    def completed(sampler, text, budget, **settings):
        tokens, inputs = prompts(text)
        budget = tf.minimum(budget, MAX_NEW_TOKENS)
        room = [[0, 0], [0, tf.reduce_max(tf.concat([budget, [0]], 0))]]
        token_ids, padding_mask = (tf.pad(inputs[name], room) for name in ("token_ids", "padding_mask"))
        token_ids, inside = complete(
            sampler, lm.decoder(inputs), token_ids, padding_mask, max_new_tokens=budget,
            stop_token_ids=(tokenizer.end_token_id,), model=lm, **settings,
        )  # fmt: skip
        new = tf.ragged.boolean_mask(token_ids, inside & ~padding_mask)
        return tokens, new.with_row_splits_dtype(tf.int64)

    def generate(text, max_new_tokens_, temperature, top_k, top_p, seed):
        tokens, new = completed(
            row_sampler,
            text,
            tf.where(max_new_tokens_ < 0, max_new_tokens, max_new_tokens_),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=tf.where(seed < 0, -1, tf.cast(tf.bitwise.bitwise_and(seed, 0x7FFFFFFF), tf.int32)),
        )
        return {
            "text": valid_utf8(tokenizer.detokenize(tf.concat([tokens, new], axis=1))),
            "completion": valid_utf8(tokenizer.detokenize(new)),
            "tokens": tf.cast(new.row_lengths(), tf.int32),
        }

    def serving_default(text):
        parts = completed(default_sampler, text, tf.fill(tf.shape(text), max_new_tokens))
        return {"text": valid_utf8(tokenizer.detokenize(tf.concat(parts, axis=1)))}

    def start(text):
        _, inputs = prompts(text)
        return named(*lm.start(inputs["token_ids"], inputs["padding_mask"]))

    def step(token_ids, *states):
        pairs = zip(states, keras.tree.flatten(structure), strict=True)
        own = keras.tree.pack_sequence_as(structure, [tf.cast(state, like.dtype) for state, like in pairs])
        return named(*lm.step(token_ids, own))

    def detokenize(token_ids):
        return {"text": valid_utf8(tokenizer.detokenize(token_ids))}

    text = tf.TensorSpec([None], tf.string, name="text")
    token_ids = tf.TensorSpec([None], tf.int32, name="token_ids")
    parameters = [
        tf.TensorSpec([None], tf.int32, name="max_new_tokens"),
        tf.TensorSpec([None], tf.float32, name="temperature"),
        tf.TensorSpec([None], tf.int32, name="top_k"),
        tf.TensorSpec([None], tf.float32, name="top_p"),
        tf.TensorSpec([None], tf.int64, name="seed"),
    ]
    return {
        "serving_default": (serving_default, [text]),
        "generate": (generate, [text, *parameters]),
        "start": (start, [text]),
        "step": (step, [token_ids, *state_specs]),
        "detokenize": (detokenize, [tf.TensorSpec([None, None], tf.int32, name="token_ids")]),
    }


def text_completer(lm):
    """The `generate` signature of a `CausalLM` as a Python function of one prompt.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor.

    Returns:
        A function of `(prompt, max_new_tokens, temperature, top_k, top_p, seed)` that returns the prompt
        followed by its continuation, a str. All arguments but the prompt default to the model's own settings.

    Example:

    >>> from textrnn.text_generation.signatures import text_completer
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> backbone = textrnn.RecurrentBackbone(vocabulary_size=258, units=8)
    >>> lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer()))
    >>> text_completer(lm)("To be", max_new_tokens=3).startswith("To be")
    True
    """
    function, specs = text_signatures(lm)["generate"]
    compiled = tf.function(function, input_signature=specs, autograph=False)

    def complete_one(prompt, max_new_tokens=-1, temperature=-1.0, top_k=-1, top_p=-1.0, seed=-1):
        values = (prompt, max_new_tokens, temperature, top_k, top_p, seed)
        answer = compiled(*(tf.constant([v], spec.dtype) for v, spec in zip(values, specs, strict=True)))
        return answer["text"].numpy()[0].decode("utf-8")

    return complete_one

"""The serving functions of a `CausalLM`."""

import keras
import tensorflow as tf

from textrnn.decoding import RowSampler, complete, rowwise
from textrnn.decoding.advance import advance
from textrnn.decoding.sampling import row_uniforms, sample
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
    | `read` | `text, seed` | `token_ids, seed, prompt_tokens, carried_0, carried_1, ...` |
    | `advance` | `token_ids, seed, carried_0, ..., index, steps, temperature, top_k, top_p` | see below |

    `serving_default` uses the default sampler of the model, whose seeds are derived from the prompts. In
    `generate` a negative parameter or NaN stands for the model's own. No row gets more than
    `MAX_NEW_TOKENS`. Ids outside the vocabulary are read as padding and not detokenized.

    `start`, `step` and `detokenize` are for clients that stream. They choose each token themselves, carry the
    states, and detokenize all tokens so far, since a character may take several.

    `read` and `advance` are for servers that stream: rows join and leave a batch between two calls. `read`
    gives the last token of a prompt, what is carried before it, and how many tokens the prompt has. `advance`
    adds up to `steps` tokens, the same as `generate`: `tokens [None, None]`, of which a row has `count`,
    whether the text is `finished`, and `token_ids, carried_0, ...` for the next call. `index` is the number
    of tokens of earlier calls.

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

    # With a neural cache, more than the states of the layers is carried.
    an_id = tf.ones([1, 1], tf.int32)
    carried_structure = lm.decoder({"token_ids": an_id, "padding_mask": an_id > 0}, False).read(
        an_id, an_id > 0
    )[2]
    carried_specs = [
        tf.TensorSpec([None, *x.shape[1:]], half_as_single(x).dtype, name=f"carried_{i}")
        for i, x in enumerate(keras.tree.flatten(carried_structure))
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
            seed=tf.where(seed < 0, -1, low_bits(seed)),
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
        return named(*lm.step(known_ids(token_ids, lm), own))

    def read(text, seed):
        _, inputs = prompts(text)
        token_ids, mask = inputs["token_ids"], inputs["padding_mask"]
        last = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1) - 1
        decoder = lm.decoder(inputs)
        _, _, states = decoder.read(token_ids, mask & (tf.range(tf.shape(mask)[1])[None] < last[:, None]))
        own = row_sampler.seed if row_sampler.seed is not None else decoder.seeds
        return {
            "token_ids": tf.gather(token_ids, last, batch_dims=1),
            "seed": tf.where(seed < 0, tf.cast(own, tf.int32), low_bits(seed)),
            "prompt_tokens": last,
        } | carry(states)

    def carry(states):
        flat = keras.tree.flatten(states)
        return {f"carried_{i}": half_as_single(x) for i, x in enumerate(flat)}

    def advance_(token_ids, seed, index, steps, temperature, top_k, top_p, *carried):
        pairs = zip(carried, keras.tree.flatten(carried_structure), strict=True)
        states = keras.tree.pack_sequence_as(carried_structure, [tf.cast(x, s.dtype) for x, s in pairs])
        settings = row_sampler.settings_of_rows(tf.shape(token_ids)[0], temperature, top_k, top_p)
        one = {"token_ids": token_ids[:, None], "padding_mask": tf.ones_like(token_ids[:, None], tf.bool)}
        tokens, counts, finished, token_ids, states = advance(
            lm.decoder(one, many_tokens=False).next,
            lambda logits, at: sample(logits, row_uniforms(seed, at), *settings),
            known_ids(token_ids, lm), states, index, tf.minimum(steps, MAX_NEW_TOKENS),
            stop_token_ids=(tokenizer.end_token_id,),
        )  # fmt: skip
        new = {"tokens": tokens, "count": counts, "finished": finished, "token_ids": token_ids}
        return new | carry(states)

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
        "read": (read, [text, parameters[-1]]),
        "advance": (
            advance_,
            [
                token_ids,
                tf.TensorSpec([None], tf.int32, name="seed"),
                tf.TensorSpec([None], tf.int32, name="index"),
                tf.TensorSpec([None], tf.int32, name="steps"),
                *parameters[1:4],
                *carried_specs,
            ],
        ),
    }


def low_bits(seed):
    """The low 31 bits of seeds, int32."""
    return tf.cast(tf.bitwise.bitwise_and(seed, 0x7FFFFFFF), tf.int32)


def known_ids(token_ids, lm):
    """Replace ids outside the vocabulary of a language model by 0: one would be an error for all rows."""
    return tf.where((token_ids >= 0) & (token_ids < lm.backbone.vocabulary_size), token_ids, 0)


def half_as_single(x):
    """A tensor in a type that JSON has: float32 for half precision."""
    return tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x


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

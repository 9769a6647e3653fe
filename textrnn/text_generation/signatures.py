"""What a `CausalLM` answers."""

import keras
import tensorflow as tf

from textrnn.decoding import sampling
from textrnn.tokenizers import valid_utf8

MAX_NEW_TOKENS = 4096
"""No request generates more than this, whatever it asks for: a server must come back."""


def text_signatures(lm, max_new_tokens=100):
    """The serving functions of a `CausalLM`, as TensorFlow functions of strings.

    | name | inputs, each `[None]` | outputs |
    |---|---|---|
    | `serving_default` | `text` | `text` |
    | `generate` | `text, max_new_tokens, temperature, top_k, top_p, seed` | `text, completion, tokens` |
    | `start` | `text` | `logits [None, vocabulary], states_0, states_1, ...` |
    | `step` | `token_ids, states_0, states_1, ...` | `logits, states_0, states_1, ...` |
    | `detokenize` | `token_ids [None, None]`, 0 where a row has ended | `text` |

    `serving_default` samples with the model's own settings and a seed derived from the prompt. In
    `generate` a negative value of any parameter stands for the model's own; no row gets more than
    `MAX_NEW_TOKENS`. `start`, `step` and `detokenize` are for clients that stream: they choose each token
    themselves, carry the states, and show the text of all tokens so far, since a character may take several.

    Args:
        lm: a `textrnn.CausalLM` with a preprocessor.
        max_new_tokens: int, how many tokens `serving_default` adds at the most.

    Returns:
        A dict of name to `(function, input specs)`. Every function returns a dict of named tensors.
    """
    tokenizer = lm.preprocessor.tokenizer
    sampler = lm.default_sampler
    # Flat and nested states: a signature's inputs and outputs are named tensors.
    structure = lm.backbone.get_initial_states(1)
    state_specs = [
        tf.TensorSpec([None, *s.shape[1:]], tf.float32, name=f"states_{i}")
        for i, s in enumerate(keras.tree.flatten(structure))
    ]

    def named(logits, states):
        # For JSON, which has neither half precision nor infinity: tokens never generated have -inf.
        pairs = zip(state_specs, keras.tree.flatten(states), strict=True)
        return {"logits": tf.maximum(logits, -1e9), **{s.name: tf.cast(x, s.dtype) for s, x in pairs}}

    def prompts(text):
        tokens = tf.cast(tokenizer.tokenize(text), tf.int32).with_row_splits_dtype(tf.int64)
        start = tf.fill([tf.shape(text)[0], 1], tokenizer.start_token_id)
        started = tf.concat([start, tokens], axis=1)
        token_ids, padding_mask = started.to_tensor(), tf.sequence_mask(started.row_lengths())
        # A batch of no prompts still needs one step of time for the layers to have a last one.
        no_rows = [[0, 0], [0, tf.cast(tf.equal(tf.shape(text)[0], 0), tf.int32)]]
        return tokens, tf.pad(token_ids, no_rows), tf.pad(padding_mask, no_rows)

    def generate(text, max_new_tokens_, temperature, top_k, top_p, seed):
        own = lambda given, default: tf.where(given < 0, tf.cast(default, given.dtype), given)  # noqa: E731
        budget = tf.minimum(own(max_new_tokens_, max_new_tokens), MAX_NEW_TOKENS)
        tokens, token_ids, padding_mask = prompts(text)
        derived = sampling.row_seeds(token_ids, padding_mask)
        if sampler.seed is not None:
            derived = tf.fill(tf.shape(derived), sampler.seed)
        new, lengths = lm.generate_tokens(
            token_ids,
            padding_mask,
            max_new_tokens=budget,
            limit=tf.reduce_max(tf.concat([budget, [0]], 0)),
            temperature=own(temperature, sampler.temperature),
            top_k=own(top_k, sampler.top_k),
            top_p=own(top_p, sampler.top_p),
            seed=tf.where(seed < 0, derived, tf.cast(tf.bitwise.bitwise_and(seed, 0x7FFFFFFF), tf.int32)),
            stop_token_ids=(tokenizer.end_token_id,),
        )
        new = tf.RaggedTensor.from_tensor(new, tf.cast(lengths, tf.int64))
        return {
            "text": valid_utf8(tokenizer.detokenize(tf.concat([tokens, new], axis=1))),
            "completion": valid_utf8(tokenizer.detokenize(new)),
            "tokens": lengths,
        }

    def serving_default(text):
        own = lambda dtype: tf.fill(tf.shape(text), tf.constant(-1, dtype))  # noqa: E731
        answer = generate(text, own(tf.int32), own(tf.float32), own(tf.int32), own(tf.float32), own(tf.int64))
        return {"text": answer["text"]}

    def start(text):
        _, token_ids, padding_mask = prompts(text)
        logits, states = lm.start(token_ids, padding_mask)
        return named(logits, states)

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
    """`generate` of a `CausalLM` as a Python function of one prompt.

    Args:
        lm: a `textrnn.CausalLM` with a preprocessor.

    Returns:
        `complete(prompt, max_new_tokens, temperature, top_k, top_p, seed) -> str`, the prompt followed by its
        continuation. Everything but the prompt has a default: the model's own.

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

    def complete(prompt, max_new_tokens=-1, temperature=-1.0, top_k=-1, top_p=-1.0, seed=-1):
        values = (prompt, max_new_tokens, temperature, top_k, top_p, seed)
        answer = compiled(*(tf.constant([v], spec.dtype) for v, spec in zip(values, specs, strict=True)))
        return answer["text"].numpy()[0].decode("utf-8")

    return complete

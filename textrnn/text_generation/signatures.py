"""The serving functions of a `CausalLM`."""

import keras
import tensorflow as tf

from textrnn.decoding import RowSampler, complete, rowwise
from textrnn.decoding.advance import advance
from textrnn.decoding.sampling import row_uniforms, sample
from textrnn.tasks.preprocessor import padded
from textrnn.tokenizers import valid_utf8, without_cut_character

MAX_NEW_TOKENS = 4096
"""Maximum number of new tokens per request, so that a server always answers."""


def text_signatures(lm, max_new_tokens=100):
    """The serving functions of a `CausalLM`, as TensorFlow functions of strings.

    | name | inputs, each `[None]` | outputs |
    |---|---|---|
    | `serving_default` | `text` | `text` |
    | `generate` | `text, max_new_tokens, temperature, top_k, top_p, seed` | see below |
    | `start` | `text` | `logits [None, vocabulary], states_0, states_1, ...` |
    | `step` | `token_ids, states_0, states_1, ...` | `logits, states_0, states_1, ...` |
    | `detokenize` | `token_ids [None, None]`, 0 after the end of a row | `text` |
    | `read` | `text, seed` | `token_ids, seed, prompt_tokens, carried_0, carried_1, ...` |
    | `advance` | `token_ids, seed, carried_0, ..., index, steps, temperature, top_k, top_p` | see below |

    `serving_default` uses the default sampler of the model, whose seeds are derived from the prompts. In
    `generate` a negative parameter or NaN stands for the model's own. No row gets more than
    `MAX_NEW_TOKENS`. It returns `text`, the `completion` alone, the number of its `tokens`, and `unfamiliar`:
    whether the prompt is unlike the texts that the vocabulary was learned from, as one in another language
    is. Ids outside the vocabulary are read as padding and not detokenized. What is left of a character of
    several tokens, which the limit may cut, is removed.

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
    return whole_texts(lm, max_new_tokens) | steps_of_clients(lm) | steps_of_servers(lm)


TEXT = tf.TensorSpec([None], tf.string, name="text")
TOKEN_IDS = tf.TensorSpec([None], tf.int32, name="token_ids")
SEED = tf.TensorSpec([None], tf.int64, name="seed")
SETTINGS = [
    tf.TensorSpec([None], tf.float32, name="temperature"),
    tf.TensorSpec([None], tf.int32, name="top_k"),
    tf.TensorSpec([None], tf.float32, name="top_p"),
]


def whole_texts(lm, max_new_tokens):
    """The signatures `serving_default` and `generate`; see `text_signatures`."""
    tokenizer = lm.preprocessor.tokenizer
    default_sampler = rowwise(lm.default_sampler)
    row_sampler = RowSampler.like(default_sampler)

    def completed(sampler, text, budget, **settings):
        tokens, inputs = read_prompts(tokenizer, text)
        budget = tf.minimum(budget, MAX_NEW_TOKENS)
        room = [[0, 0], [0, tf.reduce_max(tf.concat([budget, [0]], 0))]]
        token_ids, padding_mask = (tf.pad(inputs[name], room) for name in ("token_ids", "padding_mask"))
        token_ids, inside = complete(
            sampler, lm.decoder(inputs), token_ids, padding_mask, max_new_tokens=budget,
            stop_token_ids=(tokenizer.end_token_id,), model=lm, **settings,
        )  # fmt: skip
        new = tf.ragged.boolean_mask(token_ids, inside & ~padding_mask)
        return tokens, new.with_row_splits_dtype(tf.int64)

    def texts_of(tokens, new):
        """Prompts with their continuations, and these alone, without a character that the limit cuts."""
        text, completion = (
            valid_utf8(tokenizer.detokenize(ids)) for ids in (tf.concat([tokens, new], axis=1), new)
        )
        whole = without_cut_character(completion)
        removed = tf.strings.length(completion) - tf.strings.length(whole)
        removable = tf.strings.length(text) - tf.strings.length(without_cut_character(text))
        kept = tf.strings.length(text) - tf.minimum(removed, removable)  # the prompt is kept in any case
        return tf.strings.substr(text, tf.zeros_like(kept), kept), whole

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
        texts, completion = texts_of(tokens, new)
        return {
            "text": texts,
            "completion": completion,
            "tokens": tf.cast(new.row_lengths(), tf.int32),
            "unfamiliar": tokenizer.is_unfamiliar(text),
        }

    def serving_default(text):
        parts = completed(default_sampler, text, tf.fill(tf.shape(text), max_new_tokens))
        return {"text": texts_of(*parts)[0]}

    budget = tf.TensorSpec([None], tf.int32, name="max_new_tokens")
    return {
        "serving_default": (serving_default, [TEXT]),
        "generate": (generate, [TEXT, budget, *SETTINGS, SEED]),
    }


def steps_of_clients(lm):
    """The signatures `start`, `step` and `detokenize`; see `text_signatures`."""
    tokenizer = lm.preprocessor.tokenizer
    flat = FlatStates(lm.backbone.get_initial_states(1), "states")

    def named(logits, states):
        # JSON has no infinity, the logit of tokens that are never generated.
        return {"logits": tf.maximum(logits, -1e9)} | flat.named(states)

    def start(text):
        _, inputs = read_prompts(tokenizer, text)
        return named(*lm.start(inputs["token_ids"], inputs["padding_mask"]))

    def step(token_ids, *states):
        return named(*lm.step(known_ids(token_ids, lm), flat.packed(states)))

    def detokenize(token_ids):
        return {"text": valid_utf8(tokenizer.detokenize(token_ids))}

    return {
        "start": (start, [TEXT]),
        "step": (step, [TOKEN_IDS, *flat.specs]),
        "detokenize": (detokenize, [tf.TensorSpec([None, None], tf.int32, name="token_ids")]),
    }


def steps_of_servers(lm):
    """The signatures `read` and `advance`; see `text_signatures`."""
    tokenizer = lm.preprocessor.tokenizer
    sampler = RowSampler.like(rowwise(lm.default_sampler))
    # With a neural cache, more than the states of the layers is carried.
    an_id = tf.ones([1, 1], tf.int32)
    one_token = {"token_ids": an_id, "padding_mask": an_id > 0}
    flat = FlatStates(lm.decoder(one_token, False).read(an_id, an_id > 0)[2], "carried")

    def read(text, seed):
        _, inputs = read_prompts(tokenizer, text)
        token_ids, mask = inputs["token_ids"], inputs["padding_mask"]
        last = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1) - 1
        decoder = lm.decoder(inputs)
        _, _, states = decoder.read(token_ids, mask & (tf.range(tf.shape(mask)[1])[None] < last[:, None]))
        own = sampler.seed if sampler.seed is not None else decoder.seeds
        return {
            "token_ids": tf.gather(token_ids, last, batch_dims=1),
            "seed": tf.where(seed < 0, tf.cast(own, tf.int32), low_bits(seed)),
            "prompt_tokens": last,
        } | flat.named(states)

    def advance_(token_ids, seed, index, steps, temperature, top_k, top_p, *carried):
        settings = sampler.settings_of_rows(tf.shape(token_ids)[0], temperature, top_k, top_p)
        one = {"token_ids": token_ids[:, None], "padding_mask": tf.ones_like(token_ids[:, None], tf.bool)}
        tokens, counts, finished, token_ids, states = advance(
            lm.decoder(one, many_tokens=False).next,
            lambda logits, at: sample(logits, row_uniforms(seed, at), *settings),
            known_ids(token_ids, lm), flat.packed(carried), index, tf.minimum(steps, MAX_NEW_TOKENS),
            stop_token_ids=(tokenizer.end_token_id,),
        )  # fmt: skip
        new = {"tokens": tokens, "count": counts, "finished": finished, "token_ids": token_ids}
        return new | flat.named(states)

    of_rows = [tf.TensorSpec([None], tf.int32, name=name) for name in ("seed", "index", "steps")]
    return {
        "read": (read, [TEXT, SEED]),
        "advance": (advance_, [TOKEN_IDS, *of_rows, *SETTINGS, *flat.specs]),
    }


def read_prompts(tokenizer, text):
    """The tokens of prompts, ragged, and what a model reads: the start token and the prompt, padded."""
    tokens = tf.cast(tokenizer.tokenize(text), tf.int32).with_row_splits_dtype(tf.int64)
    start = tf.fill([tf.shape(text)[0], 1], tokenizer.start_token_id)
    return tokens, padded(tf.concat([start, tokens], axis=1))


class FlatStates:
    """Nested states as the named tensors that a signature takes and returns, in types that JSON has.

    Args:
        structure: A nested structure of tensors, `(batch, ...)`.
        prefix: The names are `PREFIX_0`, `PREFIX_1`, ...

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.text_generation.signatures import FlatStates
    >>> flat = FlatStates([tf.zeros([1, 2], tf.float16), [tf.zeros([1], tf.int32)]], "states")
    >>> [(spec.name, spec.dtype.name) for spec in flat.specs]
    [('states_0', 'float32'), ('states_1', 'int32')]
    """

    def __init__(self, structure, prefix):
        self.structure = structure
        self.prefix = prefix

    @property
    def specs(self):
        """The specs of any number of rows."""
        flat = self.named(self.structure)
        return [tf.TensorSpec([None, *x.shape[1:]], x.dtype, name=name) for name, x in flat.items()]

    def named(self, states):
        """The tensors by their names."""
        return {
            f"{self.prefix}_{i}": half_as_single(state) for i, state in enumerate(keras.tree.flatten(states))
        }

    def packed(self, tensors):
        """The nested states, in their own types, from the tensors of a request."""
        pairs = zip(tensors, keras.tree.flatten(self.structure), strict=True)
        own = [tf.cast(tensor, state.dtype) for tensor, state in pairs]
        return keras.tree.pack_sequence_as(self.structure, own)


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

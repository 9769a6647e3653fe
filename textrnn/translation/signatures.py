"""The serving functions of a `Seq2SeqLM`."""

import tensorflow as tf

from textrnn.decoding import BeamSearchSampler, complete, rowwise
from textrnn.decoding.beam_search import MAX_BEAMS
from textrnn.tokenizers import valid_utf8

MAX_NEW_TOKENS = 1024
"""Maximum number of tokens of a translation, so that a server always answers."""


def translation_signatures(lm):
    """The serving functions of a `Seq2SeqLM`, as TensorFlow functions of strings.

    | name | inputs, each `[None]` | outputs |
    |---|---|---|
    | `serving_default` | `text` | `text` |
    | `translate` | `text, num_beams, length_penalty, max_new_tokens` | see below |

    `serving_default` uses the default sampler of the model. `translate` is a beam search with the outputs

    - `text` and `scores`, `[None, beams]`, best first;
    - `tokens`, `[None, beams, steps]`, strings;
    - `attention`, `[None, beams, steps, time]`, the attention weights of each token;
    - `source_tokens`, `[None, time]`, the tokens that these weights belong to;
    - `truncated`, `[None]`, whether the text is longer than the model reads;
    - `unfamiliar`, `[None]`, whether it is unlike the texts that the vocabulary was learned from;
    - `unfinished`, `[None, beams]`, whether a translation was cut off at its maximum length.

    Parameters are per row, and negative ones stand for the model's own. By default `max_new_tokens` is twice
    the number of source tokens plus 20. No row gets more than `MAX_BEAMS` beams and `MAX_NEW_TOKENS` tokens.
    Rows with fewer beams than others are filled with empty texts and scores of -1e9. The translation of a
    blank text is empty.

    Args:
        lm: A `textrnn.Seq2SeqLM` with a preprocessor.

    Returns:
        A dict of name -> `(function, input specs)`. Each function returns a dict of named tensors.
    """
    preprocessor = lm.preprocessor
    source_names, target_names = (
        tf.constant(tokenizer.get_vocabulary())
        for tokenizer in (preprocessor.tokenizer, preprocessor.target_tokenizer)
    )
    stop = (preprocessor.target_tokenizer.end_token_id,)
    default_sampler = rowwise(lm.default_sampler)
    beam_sampler = BeamSearchSampler.like(default_sampler)

    def read(text, max_new_tokens):
        """The inputs of the encoder, the maximum length of each row, and the largest of these."""
        inputs = preprocessor.source_inputs(text)
        default = 2 * tf.reduce_sum(tf.cast(inputs["encoder_padding_mask"], tf.int32), axis=1) + 20
        budget = tf.where(max_new_tokens < 0, default, max_new_tokens)
        budget = tf.where(tf.equal(tf.strings.strip(text), ""), 0, tf.minimum(budget, MAX_NEW_TOKENS))
        return inputs, budget, tf.reduce_max(tf.concat([budget, [0]], 0))

    def texts(tokens):
        return valid_utf8(preprocessor.target_tokenizer.detokenize(tokens))

    def serving_default(text):
        inputs, budget, limit = read(text, tf.fill(tf.shape(text), -1))
        prompt, mask = (
            tf.pad(value, [[0, 0], [0, limit]]) for value in lm.start_tokens(tf.shape(text)[0]).values()
        )
        token_ids, inside = complete(
            default_sampler, lm.decoder(inputs), prompt, mask,
            stop_token_ids=stop, max_new_tokens=budget, model=lm,
        )  # fmt: skip
        return {"text": texts(tf.ragged.boolean_mask(token_ids, inside & ~mask))}

    def translate(text, num_beams, length_penalty, max_new_tokens):
        inputs, budget, limit = read(text, max_new_tokens)
        ids, mask = inputs["encoder_token_ids"], inputs["encoder_padding_mask"]
        num_beams = tf.where(num_beams < 0, beam_sampler.num_beams, num_beams)
        num_beams = tf.clip_by_value(num_beams, 1, MAX_BEAMS)
        found = lm.search(
            ids,
            mask,
            max_beams=tf.reduce_max(tf.concat([num_beams, [1]], 0)),
            num_beams=num_beams,
            max_new_tokens=budget,
            limit=limit,
            stop_token_ids=stop,
            length_penalty=tf.where(length_penalty < 0, beam_sampler.length_penalty, length_penalty),
            coverage_penalty=beam_sampler.coverage_penalty,
        )
        rows, beams, steps = tf.unstack(tf.shape(found.token_ids))
        made = tf.RaggedTensor.from_tensor(
            tf.reshape(found.token_ids, [rows * beams, steps]),
            tf.cast(tf.reshape(found.lengths, [rows * beams]), tf.int64),
        )
        inside = tf.sequence_mask(found.lengths, steps)
        exists = found.scores > -1e9
        lengths = preprocessor.tokenizer.tokenize(text).row_lengths()
        return {
            "text": tf.where(exists, tf.reshape(texts(made), [rows, beams]), ""),
            "scores": tf.maximum(found.scores, -1e9),  # JSON has no infinity
            "tokens": tf.where(inside, tf.gather(target_names, found.token_ids), ""),
            "attention": found.attention,
            "source_tokens": tf.where(mask, tf.gather(source_names, ids), ""),
            "unfinished": exists & (budget[:, None] > 0) & (found.lengths >= budget[:, None]),
            "unfamiliar": preprocessor.tokenizer.is_unfamiliar(text),
            "truncated": lengths > preprocessor.encoder_sequence_length - 1,
        }

    text = tf.TensorSpec([None], tf.string, name="text")
    parameters = [
        tf.TensorSpec([None], tf.int32, name="num_beams"),
        tf.TensorSpec([None], tf.float32, name="length_penalty"),
        tf.TensorSpec([None], tf.int32, name="max_new_tokens"),
    ]
    return {
        "serving_default": (serving_default, [text]),
        "translate": (translate, [text, *parameters]),
    }

"""What a `Seq2SeqLM` answers."""

import tensorflow as tf

from textrnn.decoding import sampling
from textrnn.decoding.beam_search import MAX_BEAMS, BeamSearchSampler
from textrnn.tokenizers import valid_utf8

MAX_NEW_TOKENS = 1024
"""No request is answered with more tokens than this, whatever it asks for: a server must come back."""


def translation_signatures(lm):
    """The serving functions of a `Seq2SeqLM`, as TensorFlow functions of strings.

    | name | inputs, each `[None]` | outputs |
    |---|---|---|
    | `serving_default` | `text` | `text` |
    | `translate` | `text, num_beams, length_penalty, max_new_tokens` | see below |

    `serving_default` answers as the model's own sampler does. `translate` searches with a beam: `text` and
    `scores`, both `[None, beams]`, best first; `tokens`, `[None, beams, steps]`, strings; `attention`,
    `[None, beams, steps, time]`, what each of them attended to among `source_tokens`, `[None, time]`;
    `truncated`, `[None]`, whether the text was longer than the model reads; and `unfinished`, `[None,
    beams]`, whether a translation was as long as allowed and ends there, perhaps within a word. Each row has
    its own parameters; a negative one stands for the model's own, and for a number of tokens that depends on
    the text (twice as many, and twenty). A row that asks for fewer beams than another has empty texts with
    scores of -1e9 behind its own. No row gets more than `MAX_BEAMS` beams and `MAX_NEW_TOKENS` tokens. A
    blank text gives a blank one.

    Args:
        lm: a `textrnn.Seq2SeqLM` with a preprocessor.

    Returns:
        A dict of name to `(function, input specs)`. Every function returns a dict of named tensors.
    """
    preprocessor, sampler = lm.preprocessor, lm.default_sampler
    source_names, target_names = (
        tf.constant(tokenizer.get_vocabulary())
        for tokenizer in (preprocessor.tokenizer, preprocessor.target_tokenizer)
    )
    stop = (preprocessor.target_tokenizer.end_token_id,)
    own_beam = sampler if isinstance(sampler, BeamSearchSampler) else BeamSearchSampler()

    def read(text, max_new_tokens=None):
        inputs = preprocessor.source_inputs(text)
        ids, mask = inputs["encoder_token_ids"], inputs["encoder_padding_mask"]
        most = 2 * tf.reduce_sum(tf.cast(mask, tf.int32), axis=1) + 20
        if max_new_tokens is not None:
            most = tf.where(max_new_tokens < 0, most, max_new_tokens)
        most = tf.where(tf.equal(tf.strings.strip(text), ""), 0, tf.minimum(most, MAX_NEW_TOKENS))
        return ids, mask, most, tf.reduce_max(tf.concat([most, [0]], 0))

    def search(text, num_beams, length_penalty, max_new_tokens, best_only):
        ids, mask, most, limit = read(text, max_new_tokens)
        num_beams = tf.clip_by_value(tf.where(num_beams < 0, own_beam.num_beams, num_beams), 1, MAX_BEAMS)
        found = lm.search(
            ids,
            mask,
            max_beams=tf.reduce_max(tf.concat([num_beams, [1]], 0)),
            num_beams=num_beams,
            max_new_tokens=most,
            limit=limit,
            stop_token_ids=stop,
            length_penalty=tf.where(length_penalty < 0, own_beam.length_penalty, length_penalty),
            coverage_penalty=own_beam.coverage_penalty,
            best_only=best_only,
        )
        return ids, mask, most, found

    def texts(token_ids, lengths):
        """Strings of token ids `(rows, limit)`."""
        tokens = tf.RaggedTensor.from_tensor(token_ids, tf.cast(lengths, tf.int64))
        return valid_utf8(preprocessor.target_tokenizer.detokenize(tokens))

    def serving_default(text):
        if isinstance(sampler, BeamSearchSampler):
            own = lambda value, dtype: tf.fill(tf.shape(text), tf.constant(value, dtype))  # noqa: E731
            *_, found = search(text, own(-1, tf.int32), own(-1, tf.float32), own(-1, tf.int32), True)
            return {"text": texts(found.token_ids[:, 0], found.lengths[:, 0])}
        ids, mask, most, limit = read(text)
        seeds = sampling.row_seeds(ids, mask)
        full = lambda value, dtype: tf.fill(tf.shape(text), tf.constant(value, dtype))  # noqa: E731
        new, lengths = lm.sample_tokens(
            ids,
            mask,
            max_new_tokens=most,
            limit=limit,
            temperature=full(sampler.temperature, tf.float32),
            top_k=full(sampler.top_k, tf.int32),
            top_p=full(sampler.top_p, tf.float32),
            seed=seeds if sampler.seed is None else full(sampler.seed, tf.int32),
            stop_token_ids=stop,
        )
        return {"text": texts(new, lengths)}

    def translate(text, num_beams, length_penalty, max_new_tokens):
        ids, mask, most, found = search(text, num_beams, length_penalty, max_new_tokens, False)
        rows, beams, steps = tf.unstack(tf.shape(found.token_ids))
        made = texts(
            tf.reshape(found.token_ids, [rows * beams, steps]), tf.reshape(found.lengths, [rows * beams])
        )
        inside = tf.sequence_mask(found.lengths, steps)
        exists = found.scores > -1e9
        all_tokens = preprocessor.tokenizer.tokenize(text).row_lengths()
        return {
            "text": tf.where(exists, tf.reshape(made, [rows, beams]), ""),
            "scores": tf.maximum(found.scores, -1e9),  # for JSON, which has no infinity
            "tokens": tf.where(inside, tf.gather(target_names, found.token_ids), ""),
            "attention": found.attention,
            "source_tokens": tf.where(mask, tf.gather(source_names, ids), ""),
            "unfinished": exists & (most[:, None] > 0) & (found.lengths >= most[:, None]),
            "truncated": all_tokens > preprocessor.encoder_sequence_length - 1,
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

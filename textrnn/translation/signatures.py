"""The serving functions of a `Seq2SeqLM`."""

from typing import Any, NamedTuple

import tensorflow as tf

from textrnn.decoding import BeamSearchSampler, complete, rowwise
from textrnn.decoding.beam_search import MAX_BEAMS
from textrnn.sentences import Sentences, are_blank, join_sentences, sentences_of, whole
from textrnn.tokenizers import valid_utf8
from textrnn.translation.regrouping import any_of, following, hypotheses_of_texts

MAX_NEW_TOKENS = 1024
"""Maximum number of tokens of the translation of a sentence, so that a server always answers."""

MAX_SOURCE_TOKENS = 4096
"""Number of tokens after which no further sentence of a text is read."""


class Source(NamedTuple):
    """The sentences of a batch of texts, as a translator reads them.

    Attributes:
        sentences: `Sentences`.
        rows: int64 `(sentences,)`, the text that each belongs to.
        inputs: The inputs of the encoder, `(sentences, time)`.
        budget: int32 `(sentences,)`, the maximum length of each translation.
        limit: The largest of these.
        truncated: Booleans `(texts,)`, whether a part of the text is not read.
    """

    sentences: Sentences
    rows: tf.Tensor
    inputs: dict[str, Any]
    budget: tf.Tensor
    limit: tf.Tensor
    truncated: tf.Tensor


def translation_signatures(lm, split_sentences=None):
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
    - `sentences`, `[None]`, the number of sentences that were translated;
    - `unfinished`, `[None, beams]`, whether a translation was cut off at its maximum length.

    Parameters are per row, and negative ones and NaN stand for the model's own. By default `max_new_tokens`
    is twice the number of source tokens plus 20. No row gets more than `MAX_BEAMS` beams and `MAX_NEW_TOKENS`
    tokens. Rows with fewer beams than others are filled with empty texts and scores of -1e9. The translation
    of a blank text is empty.

    A text is translated sentence by sentence, and the white space between sentences is kept. In `translate`,
    the i-th text joins the i-th of every sentence, its score is the sum of their scores, their tokens follow
    one another, and the attention is block-diagonal. The parameters, `MAX_NEW_TOKENS` too, hold for each
    sentence. Those after the first `MAX_SOURCE_TOKENS` tokens are not read.

    Args:
        lm: A `textrnn.Seq2SeqLM` with a preprocessor.
        split_sentences: Whether texts are translated sentence by sentence; by default as the preprocessor
            says.

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

    splits = preprocessor.split_sentences if split_sentences is None else split_sentences

    def read(text, max_new_tokens):
        sentences = sentences_of(text) if splits else whole(text)
        lengths = preprocessor.tokenizer.tokenize(sentences.texts.values).row_lengths()
        too_long = lengths > preprocessor.encoder_sequence_length - 1
        places, _ = following(lengths + 1, sentences.texts.value_rowids(), sentences.texts.nrows())
        skipped = places >= MAX_SOURCE_TOKENS
        truncated = any_of(too_long | skipped, sentences.texts.value_rowids(), sentences.texts.nrows())
        sentences = sentences.kept(~skipped)

        flat, rows = sentences.texts.values, sentences.texts.value_rowids()
        inputs = preprocessor.source_inputs(flat)
        default = 2 * tf.reduce_sum(tf.cast(inputs["encoder_padding_mask"], tf.int32), axis=1) + 20
        max_new_tokens = tf.gather(max_new_tokens, rows)
        budget = tf.where(max_new_tokens < 0, default, max_new_tokens)
        budget = tf.where(are_blank(flat), 0, tf.minimum(budget, MAX_NEW_TOKENS))
        limit = tf.reduce_max(tf.concat([budget, [0]], 0))
        return Source(sentences, rows, inputs, budget, limit, truncated)

    def texts(tokens):
        return valid_utf8(preprocessor.target_tokenizer.detokenize(tokens))

    def serving_default(text):
        source = read(text, tf.fill(tf.shape(text), -1))
        prompt, mask = (
            tf.pad(value, [[0, 0], [0, source.limit]])
            for value in lm.start_tokens(tf.shape(source.budget)[0]).values()
        )
        token_ids, inside = complete(
            default_sampler, lm.decoder(source.inputs), prompt, mask,
            stop_token_ids=stop, max_new_tokens=source.budget, model=lm,
        )  # fmt: skip
        made = texts(tf.ragged.boolean_mask(token_ids, inside & ~mask))
        return {"text": join_sentences(source.sentences, made)}

    def translate(text, num_beams, length_penalty, max_new_tokens):
        source = read(text, max_new_tokens)
        ids, mask = source.inputs["encoder_token_ids"], source.inputs["encoder_padding_mask"]
        num_beams = tf.where(num_beams < 0, beam_sampler.num_beams, num_beams)
        num_beams = tf.clip_by_value(num_beams, 1, MAX_BEAMS)
        # NaN is not at least 0 either.
        length_penalty = tf.where(length_penalty >= 0, length_penalty, beam_sampler.length_penalty)
        found = lm.search(
            ids,
            mask,
            max_beams=tf.reduce_max(tf.concat([num_beams, [1]], 0)),
            num_beams=tf.gather(num_beams, source.rows),
            max_new_tokens=source.budget,
            limit=source.limit,
            stop_token_ids=stop,
            length_penalty=tf.gather(length_penalty, source.rows),
            coverage_penalty=beam_sampler.coverage_penalty,
        )
        count, beams, steps = tf.unstack(tf.shape(found.token_ids))
        made = tf.RaggedTensor.from_tensor(
            tf.reshape(found.token_ids, [count * beams, steps]),
            tf.cast(tf.reshape(found.lengths, [count * beams]), tf.int64),
        )
        made = tf.reshape(texts(made), [count, beams])
        cut_off = (source.budget[:, None] > 0) & (found.lengths >= source.budget[:, None])
        source_ids = tf.ragged.boolean_mask(ids, mask)
        source_ids = source.sentences.texts.with_values(source_ids).merge_dims(1, 2)
        whole_text = hypotheses_of_texts(found, mask, source.rows, tf.shape(text)[0])
        exists = whole_text.scores > -1e9
        inside = tf.sequence_mask(whole_text.lengths, tf.shape(whole_text.token_ids)[2])
        return {
            "text": tf.where(exists, join_sentences(source.sentences, made), ""),
            "scores": tf.maximum(whole_text.scores, -1e9),  # JSON has no infinity
            "tokens": tf.where(inside, tf.gather(target_names, whole_text.token_ids), ""),
            "attention": whole_text.attention,
            "source_tokens": tf.gather(source_names, source_ids).to_tensor(""),
            "unfinished": exists & any_of(cut_off, source.rows, tf.shape(text)[0]),
            "unfamiliar": preprocessor.tokenizer.is_unfamiliar(text),
            "truncated": source.truncated,
            "sentences": tf.cast(source.sentences.texts.row_lengths(), tf.int32),
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

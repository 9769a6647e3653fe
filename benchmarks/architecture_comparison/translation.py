"""Translators: recurrent ones, convolutions and a transformer, all with attention."""

import functools

from architecture_comparison.jobs import Job, seeded
from architecture_comparison.networks import convolution, size_within, transformer_arguments
from architecture_comparison.settings import BLOCKS, CELLS

CONVOLUTIONS = 4
"""Residual convolutions of an encoder and of a decoder. They reach 30 tokens, as far as sentences need."""


def prepare_translation(run, settings):
    """A translator of subwords, with one vocabulary for both languages.

    The score is the BLEU of greedy translations.
    """
    from textrnn.data.batching import pair_batches
    from textrnn.training.losses import TokenCrossentropy
    from textrnn.translation.evaluation import score_translations

    preprocessor, sides, texts = encoded_pairs(settings)
    tokenizer = preprocessor.target_tokenizer
    make = functools.partial(translator, run.contestant, settings=settings)
    size = size_within(make, settings)
    model = seeded(make, size, run.seed)
    batches = pair_batches(*sides, settings.batch_size, tokenizer.start_token_id, seed=run.seed)
    decode = decoder(run.contestant, model, settings, tokenizer.start_token_id, tokenizer.end_token_id)

    def bleu(part):
        sources, references = texts[part]
        return score_translations(translate(decode, preprocessor, sources, settings), references).bleu

    return Job(model, size, batches, TokenCrossentropy(0.1, reduction="mean_with_sample_weight"), bleu)


@functools.cache
def encoded_pairs(settings):
    """The preprocessor, token ids of both sides for training, and texts of both sides of the scored parts."""
    import textrnn
    from textrnn.data.sources import load_pairs
    from textrnn.tokenizers import train_tokenizer
    from textrnn.translation.encoding import encode_pairs

    found = load_pairs(None, None if settings.data == "starter" else settings.data)
    both = [text for pair in found.train for text in (pair.source, pair.target)]
    tokenizer = train_tokenizer("sentencepiece", both, settings.vocabulary_size)
    preprocessor = textrnn.Seq2SeqLMPreprocessor(tokenizer)
    parts = {"validation": found.validation[: settings.scored], "test": found.test[: settings.scored]}
    texts = {
        part: ([pair.source for pair in pairs], [pair.target for pair in pairs])
        for part, pairs in parts.items()
    }
    return preprocessor, encode_pairs(preprocessor, found.train, settings.length), texts


# === Models ===


def translator(name, size, settings):
    """A model that maps tokens and masks of both sides to logits `(batch, steps, vocabulary_size)`."""
    import textrnn

    if name not in CELLS:
        return residual_translator(name, size, settings)
    return textrnn.Seq2SeqLM(
        textrnn.RecurrentSeq2Seq(
            settings.vocabulary_size,
            units=size,
            embedding_dim=settings.width,
            dropout=settings.dropout,
            **CELLS[name],
        )
    )


def residual_translator(name, size, settings):
    """Residual blocks as encoder and decoder, with sinusoidal positions and one embedding."""
    import keras
    import keras_hub

    from textrnn.tasks.embedding import embed, token_embedding, token_inputs

    encode, decode = {
        "convolution": (convolutional_encoder, convolutional_decoder),
        "transformer": (transformer_encoder, transformer_decoder),
    }[name]
    source, target = token_inputs("encoder_"), token_inputs("decoder_")
    embedding = token_embedding(settings.vocabulary_size, settings.width, name="token_embedding")

    def vectors(token_ids, side):
        position = keras_hub.layers.SinePositionEncoding(name=f"{side}_position")
        x = embed(embedding, token_ids)
        return keras.layers.Dropout(settings.dropout)(x + position(x))

    mask = source["encoder_padding_mask"]
    x = encode(vectors(source["encoder_token_ids"], "encoder"), mask, size, settings)
    encoder = keras.Model(source, keras.layers.LayerNormalization()(x), name="encoder")

    read = {"memory": keras.Input((None, settings.width), name="memory"), "encoder_padding_mask": mask}
    x = vectors(target["decoder_token_ids"], "decoder")
    x = decode(x, read["memory"], target["decoder_padding_mask"], mask, size, settings)
    x = keras.layers.LayerNormalization(name="final_norm")(x)
    decoder = keras.Model(target | read, x, name="decoder")

    outputs = decoder(target | {"memory": encoder(source), "encoder_padding_mask": mask})
    return keras.Model(source | target, embedding(outputs, reverse=True))


def transformer_encoder(x, mask, size, settings):
    """Pre-norm layers of KerasHub."""
    from keras_hub import layers

    for _ in range(BLOCKS["transformer"]):
        block = layers.TransformerEncoder(size, settings.heads, **transformer_arguments(settings))
        x = block(x, padding_mask=mask)
    return x


def transformer_decoder(x, memory, mask, memory_mask, size, settings):
    """Pre-norm layers of KerasHub with attention to the memory."""
    from keras_hub import layers

    for i in range(BLOCKS["transformer"]):
        arguments = transformer_arguments(settings)
        block = layers.TransformerDecoder(size, settings.heads, name=f"block_{i}", **arguments)
        x = block(x, memory, decoder_padding_mask=mask, encoder_padding_mask=memory_mask)
    return x


def convolutional_encoder(x, mask, size, settings):
    """Residual dilated convolutions that see both sides of a token."""
    for i in range(CONVOLUTIONS):
        x = convolution(i, x, size, settings, mask)
    return x


def convolutional_decoder(x, memory, mask, memory_mask, size, settings):
    """Residual causal convolutions, each with attention to the memory (Gehring et al. 2017)."""
    from keras import layers, ops

    seen = ops.expand_dims(memory_mask, 1)
    for i in range(CONVOLUTIONS):
        x = convolution(i, x, size, settings, None)
        attention = layers.MultiHeadAttention(
            settings.heads,
            settings.width // settings.heads,
            kernel_initializer=transformer_arguments(settings)["kernel_initializer"],
            name=f"attention_{i}",
        )
        x = x + attention(
            layers.LayerNormalization(name=f"attention_norm_{i}")(x), memory, attention_mask=seen
        )
    return x


# === Greedy decoding ===


def decoder(name, model, settings, start, end):
    """A TensorFlow function of source tokens and their mask that returns greedy targets `(batch, steps)`.

    What follows the first end token, or 0 for recurrent models, is not part of a target.
    """
    import tensorflow as tf

    if name in CELLS:

        def decode(token_ids, mask):
            return model.search(
                token_ids,
                mask,
                max_beams=1,
                num_beams=1,
                max_new_tokens=settings.length,
                limit=settings.length,
                stop_token_ids=(end,),
                best_only=True,
            ).token_ids[:, 0]

    else:
        greedy = {"convolution": greedy_convolution, "transformer": greedy_transformer}[name]

        def decode(token_ids, mask):
            memory = model.get_layer("encoder")(
                {"encoder_token_ids": token_ids, "encoder_padding_mask": mask}
            )
            return greedy(model, memory, mask, settings, start, end)

    specs = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.bool)]
    return tf.function(decode, specs, autograph=False)


def greedy_convolution(model, memory, mask, settings, start, end):
    """Greedy decoding with the convolutions, which read a whole target again for each of its tokens."""
    import tensorflow as tf

    decoder, embedding = map(model.get_layer, ("decoder", "token_embedding"))
    rows = tf.shape(memory)[0]

    def body(token_ids, done):
        inputs = {"decoder_token_ids": token_ids, "decoder_padding_mask": tf.ones_like(token_ids, bool)}
        outputs = decoder(inputs | {"memory": memory, "encoder_padding_mask": mask})
        logits = embedding(outputs[:, -1], reverse=True)
        last = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return tf.concat([token_ids, last[:, None]], axis=1), done | (last == end)

    token_ids, _ = tf.while_loop(
        lambda token_ids, done: (tf.shape(token_ids)[1] <= settings.length) & ~tf.reduce_all(done),
        body,
        (tf.fill([rows, 1], start), tf.fill([rows], False)),
        shape_invariants=(tf.TensorShape([None, None]), tf.TensorShape([None])),
    )
    return token_ids[:, 1:]


def greedy_transformer(model, memory, mask, settings, start, end):
    """Greedy decoding with the transformer, which keeps the keys and values of both attentions."""
    import tensorflow as tf

    from textrnn.tasks.embedding import embed

    decoder, embedding = map(model.get_layer, ("decoder", "token_embedding"))
    position, norm = map(decoder.get_layer, ("decoder_position", "final_norm"))
    blocks = [decoder.get_layer(f"block_{i}") for i in range(BLOCKS["transformer"])]
    rows, time = tf.shape(memory)[0], tf.shape(memory)[1]

    def empty(steps):
        return tf.zeros((rows, 2, steps, settings.heads, settings.width // settings.heads))

    def step(index, token_ids, caches, first=False):
        x, kept = embed(embedding, token_ids[:, None]), []
        x = x + position(x, start_index=index)
        for block, (own, cross) in zip(blocks, caches, strict=True):
            x, *pair = block(
                x,
                memory,
                encoder_padding_mask=mask,
                self_attention_cache=own,
                self_attention_cache_update_index=index,
                cross_attention_cache=cross,
                cross_attention_cache_update_index=0 if first else None,
            )
            kept.append(tuple(pair))
        logits = embedding(norm(x), reverse=True)[:, 0]
        return tf.argmax(logits, axis=-1, output_type=tf.int32), kept

    def body(index, token_ids, done, caches, found):
        token_ids, caches = step(index, token_ids, caches)
        return index + 1, token_ids, done | (token_ids == end), caches, found.write(index, token_ids)

    caches = [(empty(settings.length), empty(time)) for _ in blocks]
    token_ids, caches = step(0, tf.fill([rows], start), caches, first=True)
    found = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=[None]).write(0, token_ids)
    *_, found = tf.while_loop(
        lambda index, _, done, *rest: (index < settings.length) & ~tf.reduce_all(done),
        body,
        (tf.constant(1), token_ids, token_ids == end, caches, found),
    )
    return tf.transpose(found.stack())


def translate(decode, preprocessor, sources, settings):
    """Greedy translations of texts, in batches of similar length."""
    import numpy as np

    from textrnn.data.batching import text_batches

    tokenizer = preprocessor.target_tokenizer
    tokens, _ = preprocessor.encode(sources, sources)
    tokens = [row[: settings.length] for row in tokens]
    translations = [""] * len(sources)
    for inputs, rows in text_batches(tokens, np.arange(len(sources)), settings.batch_size, shuffle=False):
        for row, found in zip(rows.numpy(), decode(*inputs.values()).numpy(), strict=True):
            ends = np.flatnonzero((found == tokenizer.end_token_id) | (found == 0))
            kept = found[: ends[0] if len(ends) else None]
            translations[row] = tokenizer.detokenize([kept]).numpy()[0].decode("utf-8")
    return translations

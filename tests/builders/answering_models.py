"""SavedModels with the signatures of the tasks, whose answers are known. They contain no network."""

import shutil
from pathlib import Path

import tensorflow as tf

STORY = (
    " quiet morning, and the last of the snow lay along the northern side of the wall. Anna opened the gate,"
    " listened for a while to the water below the mill, and walked down to the river as she had done every"
    " day since the autumn. Nobody had told her that the bridge was gone."
)
WEIGHTS = {"friendly": 1.4, "delicious": 1.9, "slow": -1.1, "<b>cold</b>": -0.7, "again": 0.9, "not": -0.3}
WORDS = {
    "The": "Der", "old": "alte", "miller": "Müller", "opened": "öffnete", "the": "die", "door": "Tür",
    "and": "und", "looked": "schaute", "into": "in", "dark": "dunkle", "night": "Nacht", ".": ".",
}  # fmt: skip


class Answering(tf.Module):
    """A model of the given signatures: functions, and the names, shapes and types of their inputs."""

    def __init__(self, signatures, *tables):
        super().__init__()
        self.tables = tables
        self.functions = {
            name: tf.function(
                function, input_signature=[tf.TensorSpec(shape, dtype, key) for key, shape, dtype in specs]
            )
            for name, (function, specs) in signatures.items()
        }

    def save(self, path):
        """Write the SavedModel."""
        tf.saved_model.save(self, str(path), signatures=self.functions)
        return Path(path)


def table(values, default):
    """A function from strings to the values of a dict."""
    keys, values = tf.constant([*values]), tf.constant([*values.values()])
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)


TEXT = ("text", [None], tf.string)


def storyteller():
    """Continues each prompt with `STORY`, again and again, by one character in each call of `advance`."""
    characters = tf.strings.unicode_split(tf.constant(STORY), "UTF-8")

    def read(text, seed):
        zeros = tf.zeros_like(seed, tf.int32)
        return {"token_ids": zeros, "seed": zeros, "carried_0": tf.zeros([tf.shape(text)[0], 1])}

    def advance(token_ids, seed, index, steps, temperature, top_k, top_p, carried_0):
        del token_ids, temperature, top_k, top_p
        tokens = 1 + tf.math.floormod(index, len(STORY))
        return {
            "tokens": tokens[:, None], "count": tf.minimum(steps, 1), "finished": seed < 0,
            "token_ids": tokens, "carried_0": tf.identity(carried_0),
        }  # fmt: skip

    def detokenize(token_ids):
        texts = tf.where(token_ids > 0, tf.gather(characters, tf.maximum(token_ids - 1, 0)), "")
        return {"text": tf.strings.reduce_join(texts, axis=1)}

    ints = {name: (name, [None], tf.int32) for name in ("token_ids", "seed", "index", "steps", "top_k")}
    floats = {name: (name, [None], tf.float32) for name in ("temperature", "top_p")}
    return Answering({
        "read": (read, [TEXT, ("seed", [None], tf.int64)]),
        "advance": (advance, [
            *(ints[name] for name in ("token_ids", "seed", "index", "steps")), floats["temperature"],
            ints["top_k"], floats["top_p"], ("carried_0", [None, 1], tf.float32),
        ]),
        "detokenize": (detokenize, [("token_ids", [None, None], tf.int32)]),
    })  # fmt: skip


def critic():
    """Weighs the words of a text by `WEIGHTS`."""
    weights_of = table(WEIGHTS, 0.02)
    names = tf.constant(["negative", "positive"])

    def words_of(text):
        return tf.strings.split(tf.strings.regex_replace(text, "[.,!?]", ""))

    def total_of(text):
        words = words_of(text)
        return tf.reduce_sum(words.with_values(weights_of.lookup(words.values)), axis=1)

    def serving_default(text):
        positive = tf.sigmoid(total_of(text))
        scores = tf.stack([1 - positive, positive], axis=1)
        return {
            "label": tf.gather(names, tf.argmax(scores, axis=1)), "scores": scores,
            "labels": tf.tile(names[None], [tf.shape(text)[0], 1]),
            "unfamiliar": tf.strings.regex_full_match(text, "[^a-z]*"),
        }  # fmt: skip

    def explain(text):
        words, total = words_of(text), total_of(text)
        sign = tf.where(total < 0, -1.0, 1.0)
        weights = words.with_values(weights_of.lookup(words.values)) * sign[:, None]
        return {
            "label": tf.where(total < 0, names[0], names[1]), "words": words.to_tensor(""),
            "weights": weights.to_tensor(0.0), "total": tf.abs(total),
        }  # fmt: skip

    return Answering({"serving_default": (serving_default, [TEXT]), "explain": (explain, [TEXT])}, weights_of)


def interpreter():
    """Translates word by word with `WORDS`, and copies others.

    Each word attends to its own, and a little to the one before. The second candidate is the
    translation in small letters.
    """
    translations = table(WORDS, "")

    def pieces(words):
        return words.with_values(tf.strings.regex_replace(words.values, r"^([^.])", "\u2581\\1"))

    def joined(words):
        return tf.strings.regex_replace(tf.strings.reduce_join(words, 1, separator=" "), r" \.", ".")

    def translate(text, num_beams, length_penalty, max_new_tokens):
        del num_beams, length_penalty, max_new_tokens
        words = tf.strings.split(tf.strings.regex_replace(text, r"\.", " ."))
        known = translations.lookup(words.values)
        made = words.with_values(tf.where(tf.equal(known, ""), words.values, known))
        lower = made.with_values(tf.strings.lower(made.values, "utf-8"))
        ends = tf.fill([tf.shape(text)[0], 1], "</s>")
        source = tf.concat([pieces(words), ends], 1).to_tensor("")
        tokens = tf.stack([pieces(each).to_tensor("") for each in (made, lower)], axis=1)
        steps, time = tf.shape(tokens)[2], tf.shape(source)[1]
        own, before = tf.eye(steps, time), tf.roll(tf.eye(steps, time), 1, axis=0)
        attention = tf.tile((0.8 * own + 0.2 * before)[None, None], [tf.shape(text)[0], 2, 1, 1])
        row = tf.ones([tf.shape(text)[0], 2])
        return {
            "text": tf.stack([joined(each) for each in (made, lower)], axis=1),
            "scores": row * [-0.31, -1.2], "tokens": tokens, "source_tokens": source, "attention": attention,
            "unfinished": row > 1, "unfamiliar": row[:, 0] > 1, "truncated": tf.strings.length(text) > 400,
        }  # fmt: skip

    def serving_default(text):
        none = tf.zeros_like(text, tf.int32)
        return {"text": translate(text, none, none, none)["text"][:, 0]}

    parameters = [("num_beams", tf.int32), ("length_penalty", tf.float32), ("max_new_tokens", tf.int32)]
    specs = [TEXT, *((name, [None], dtype) for name, dtype in parameters)]
    return Answering(
        {"translate": (translate, specs), "serving_default": (serving_default, [TEXT])}, translations
    )


def save_all(base):
    """Write the three models under a folder; `novel` has two versions."""
    first = storyteller().save(base / "novel" / "1")
    shutil.copytree(first, base / "novel" / "2")
    critic().save(base / "reviews" / "1")
    interpreter().save(base / "en_de" / "3")
    return base

"""Token streams of long texts: tokenized once into a memory-mapped file of the cache."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from textrnn.data.cache import cached, file_hash
from textrnn.data.mixtures import Mixture
from textrnn.data.progress import progress
from textrnn.data.stored_texts import StoredTexts
from textrnn.data.token_files import JoinedTokens, StoredTokens, TokenFile
from textrnn.data.windows import stream
from textrnn.tokenizers import Tokenizer, encode_documents
from textrnn.tokenizers.encoding import encode_batches

FORMAT = 1
"""To be increased when the files in the cache change."""

NAME = "tokens.bin"


def token_stream(tokenizer: Tokenizer, documents: Iterable, name: str = "text") -> np.ndarray | StoredTokens:
    """Tokenize documents into one stream, as `textrnn.data.windows.stream` joins them.

    Long texts are tokenized into a file of the cache, once for each text and tokenizer.

    Args:
        tokenizer: The tokenizer.
        documents: The documents, `StoredTexts`, or a `Mixture`.
        name: What the progress bar calls them.

    Returns:
        Token ids of shape `(tokens,)`: an int32 array, or `StoredTokens`, which are not in memory.

    Raises:
        InputError: If the disk is full.

    Example:

    >>> from textrnn.data.token_streams import token_stream
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> token_stream(ByteTokenizer(), ["hi", "!"])
    array([  1, 106, 107,   1,  35,   1], dtype=int32)
    """
    if isinstance(documents, Mixture):
        streams = [
            token_stream(tokenizer, part.documents, f"{name} of {part.name}") for part in documents.parts
        ]
        times = [part.times for part in documents.parts]
        return JoinedTokens([found for found, n in zip(streams, times, strict=True) for _ in range(n)])
    end = tokenizer.end_token_id
    if not isinstance(documents, StoredTexts):
        return stream(encode_documents(tokenizer, documents), end)
    dtype = np.dtype("uint16" if tokenizer.vocabulary_size() <= 2**16 else "int32")

    def write(folder):
        with (
            (folder / NAME).open("wb") as file,
            progress(f"tokenizing the {name}", documents.characters, "characters") as done,
        ):
            file.write(np.array([end], dtype).tobytes())
            for ids, ends, characters in encode_batches(tokenizer, documents):
                file.write(np.insert(ids, ends, end).astype(dtype).tobytes())
                done(characters)
        return {"dtype": dtype.name}

    key = hashlib.sha256(
        json.dumps([FORMAT, documents.fingerprint, tokenizer_fingerprint(tokenizer)]).encode()
    ).hexdigest()
    # Subwords have about four characters.
    folder, about, _ = cached("tokens", key, write, documents.characters * dtype.itemsize // 4)
    return TokenFile(folder / NAME, about["dtype"])


def tokenizer_fingerprint(tokenizer: Tokenizer) -> str:
    """Hash all that token ids depend on: the class of a tokenizer, its config and its vocabulary.

    Example:

    >>> from textrnn.data.token_streams import tokenizer_fingerprint
    >>> from textrnn.tokenizers import ByteTokenizer, WordTokenizer
    >>> tokenizers = [ByteTokenizer(), ByteTokenizer(), *(WordTokenizer.train([word]) for word in "ab")]
    >>> len({tokenizer_fingerprint(tokenizer) for tokenizer in tokenizers})
    3
    """
    config = {key: value for key, value in tokenizer.get_config().items() if key != "name"}
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_assets(folder)
        assets = {path.name: file_hash(path) for path in sorted(Path(folder).iterdir())}
    name = keras.saving.get_registered_name(type(tokenizer))
    parts = [name, config, assets, tf.__version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

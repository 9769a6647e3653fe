"""Tokenizers trained once for all tests of this folder, and the text they are trained on."""

import pytest

from textrnn.data.documents import Document
from textrnn.tokenizers import TOKENIZERS, train_tokenizer

ROSE = "\n".join(
    [
        "The rose is red , the violet's blue,",
        "  the honey's sweet, and so are you.",
        "",
        "Thou art my love and I am thine;",
        "\tI drew thee to my Valentine:",
        "the lot was cast and then I drew,",
        "and fortune said it shou'd be you.\n",
    ]
    * 3
)


@pytest.fixture(scope="session")
def rose():
    """The text that the tokenizers are trained on."""
    return ROSE


@pytest.fixture(scope="session")
def trained():
    """A tokenizer of each kind."""
    return {kind: train_tokenizer(kind, [Document("rose.txt", ROSE)]) for kind in TOKENIZERS}


@pytest.fixture(params=sorted(TOKENIZERS))
def tokenizer(request, trained):
    """One tokenizer per test."""
    return trained[request.param]

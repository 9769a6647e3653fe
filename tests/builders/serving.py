"""A server of small models under the names that the documentation uses."""

import tarfile
from pathlib import Path

from builders.exporting import export_unchecked
from builders.language_models import make_lm

import textrnn
from textrnn.server.config_files import Batching
from textrnn.server.server import Server, Settings, models_under

WRITTEN = Path(__file__).parents[1] / "fixtures" / "written_by_e136f8a" / "saved_models.tar.xz"
NAMES = {"classification": "reviews", "translation": "en_de"}
STAND_INS = {"demo": "novel", "english": "novel", "python": "novel", "sentiment": "reviews"}
"""Names of the documentation, and the models that answer instead."""


def save_models(folder):
    """Writes `novel`, a language model; `reviews`, a classifier; and `en_de`, a translator."""
    with tarfile.open(WRITTEN) as archive:
        archive.extractall(folder, filter="data")
    for name, of_docs in NAMES.items():
        (folder / name).rename(folder / of_docs)
    export_unchecked(make_lm(num_layers=1), folder / "novel")


def make_server(folder):
    """The server of these models, with any ports."""
    names = {"novel", *NAMES.values()}
    return Server(
        Settings(
            lambda: [config for config in models_under(folder) if config.name in names],
            grpc_port=0,
            rest_port=0,
            batching=Batching(max_batch_size=64),
            limits={"seconds": 600},
        )
    )


def warm_up(server):
    """Runs the large signatures once, so that examples answer in time however busy the machine is."""
    with textrnn.Client(f"http://127.0.0.1:{server.rest_port}", timeout=600) as client:
        client.generate("a", model="novel", max_new_tokens=2)
        client.explain("a", model="reviews")
        client.translate("a", model="en_de", max_new_tokens=2)


def addressed(code, server):
    """An example with the address of a server, and names of its models."""
    for port, own in ((8501, server.rest_port), (8500, server.grpc_port)):
        code = code.replace(f"localhost:{port}", f"127.0.0.1:{own}")
    for name, stand_in in STAND_INS.items():
        code = code.replace(f"models/{name}:", f"models/{stand_in}:")
    return code

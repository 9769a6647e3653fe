"""Clients of TF Serving and `textrnn serve`. REST needs no TensorFlow."""

from textrnn.client.answers import Candidate, Classification, Explanation, Translation
from textrnn.client.async_client import AsyncClient
from textrnn.client.client import Client
from textrnn.client.methods import ClientMethods

__all__ = [
    "AsyncClient", "Candidate", "Classification", "Client", "ClientMethods", "Explanation", "Translation",
]  # fmt: skip

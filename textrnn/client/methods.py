"""What `Client` and `AsyncClient` have in common: everything but how they wait."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from textrnn.client import calls
from textrnn.client.address import parse_model, parse_url
from textrnn.client.calls import Question
from textrnn.client.prompt import Prompt
from textrnn.errors import expect


class ClientMethods(ABC):
    """The methods of `textrnn.Client` and `textrnn.AsyncClient`.

    In an `AsyncClient` they return awaitables of what is described here, and `stream` an asynchronous
    iterator. Options that are None are left to the model. Those of `generate` and `translate` may be a list,
    with one value for each text.

    Args:
        url: `http://HOST:PORT` for REST, `grpc://HOST:PORT` for gRPC; `https` and `grpcs` if encrypted. gRPC
            loads TensorFlow when it is first used.
        model: The model of calls that name none: `NAME`, `NAME/versions/NUMBER` or `NAME/labels/LABEL`.
        timeout: Seconds in which a call has to be answered, retries included. Over REST, a `Client`
            notices at the next part of an answer, at the latest after twice the time. For `stream`: seconds
            from one piece to the next, and those of each attempt until the first one.
        retries: How often a request is sent again that a busy or absent server did not answer (429 and 503 of
            REST, RESOURCE_EXHAUSTED and UNAVAILABLE of gRPC), after growing pauses, and not before the time
            that the server names in `Retry-After`.
        headers: Further headers of each request, such as `{"Authorization": "Bearer ..."}`.

    Raises:
        InputError: If any of these is not as it should be.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        *,
        timeout: float = 60.0,
        retries: int = 4,
        headers: Mapping[str, str] | None = None,
    ):
        self.address = parse_url(url)
        if model is not None:
            parse_model(model)
        expect(timeout > 0, f"timeout is {timeout}: expected seconds, more than 0")
        expect(retries >= 0, f"retries is {retries}: expected a number of at least 0")
        self.model, self.timeout, self.retries = model, timeout, retries
        self.headers = dict(headers or {})
        self._checked: set[str] = set()  # models that are known to be of the task they are asked for

    def generate(
        self,
        text: str | Sequence[str],
        *,
        model: str | None = None,
        max_new_tokens: int | Sequence[int] | None = None,
        temperature: float | Sequence[float] | None = None,
        top_k: int | Sequence[int] | None = None,
        top_p: float | Sequence[float] | None = None,
        seed: int | Sequence[int] | None = None,
    ) -> Any:
        """Continue a text, or each text of a list.

        Args:
            text: A prompt, or a list of prompts.
            model: A model that generates text.
            max_new_tokens: Maximum number of new tokens, from 0 to 4096.
            temperature: 0 for the most probable token, 1 for the model's probabilities.
            top_k: Number of most probable tokens to choose from.
            top_p: Smallest sum of probabilities of the most probable tokens to choose from.
            seed: The same seed gives the same text. By default it is derived from the prompt.

        Returns:
            The prompt with its continuation, a str, or a list of them.

        Raises:
            InputError: If an argument is not as it should be, or the model is one of another task.
            ServerError: If the server refuses the request, fails, or cannot be reached.

        Example:

        >>> client = textrnn.Client("http://localhost:8501", model="novel")
        >>> client.generate("It was a", max_new_tokens=20, temperature=0.7, seed=3).startswith("It was a")
        True
        >>> len(client.generate(["It was a"] * 3, max_new_tokens=20, seed=[1, 2, 3]))
        3
        """
        return self._ask(
            model,
            calls.generate(
                text,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=seed,
            ),
        )

    def stream(
        self,
        text: str,
        *,
        model: str | None = None,
        max_new_tokens: int = 100,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
    ) -> Any:
        """Continue a text, and yield each piece of the continuation as soon as it is there.

        The pieces make up the continuation that `generate` gives for the same options. `textrnn serve` sends
        them by itself. TF Serving cannot: there the client asks for some tokens at a time, by the signatures
        `read` and `advance`.

        Args:
            text: A prompt.
            model, max_new_tokens, temperature, top_k, top_p, seed: As for `generate`.
            stop: A text, or a list of texts, before which the continuation ends.

        Returns:
            An iterator of str. To leave it early, use `contextlib.closing`, or `contextlib.aclosing` for that
            of an `AsyncClient`.

        Raises:
            InputError, ServerError: As `generate`; the latter while it is iterated.

        Example:

        >>> client = textrnn.Client("http://localhost:8501", model="novel")
        >>> continuation = "".join(client.stream("It was a", max_new_tokens=20, seed=3))
        >>> "It was a" + continuation == client.generate("It was a", max_new_tokens=20, seed=3)
        True
        """
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        stops = (stop,) if isinstance(stop, str) else tuple(stop)
        return self._pieces(self._name(model), Prompt(text, stops, max_new_tokens, options))

    def classify(self, text: str | Sequence[str], *, model: str | None = None) -> Any:
        """Classify a text, or each text of a list.

        Args:
            text: A text, or a list of texts.
            model: A classifier.

        Returns:
            A `textrnn.client.Classification`, or a list of them.

        Raises:
            InputError, ServerError: As `generate`.

        Example:

        >>> client = textrnn.Client("http://localhost:8501", model="reviews")
        >>> found = client.classify("I would go there again.")
        >>> found.probability == max(found.probabilities.values())
        True
        """
        return self._ask(model, calls.classify(text))

    def explain(self, text: str | Sequence[str], *, model: str | None = None) -> Any:
        """Explain the class of a text, or of each text of a list, by its words.

        Args:
            text: A text, or a list of texts.
            model: A classifier.

        Returns:
            A `textrnn.client.Explanation`, or a list of them.

        Raises:
            InputError, ServerError: As `generate`.

        Example:

        >>> client = textrnn.Client("http://localhost:8501", model="reviews")
        >>> found = client.explain("I would go there again.")
        >>> len(found.words) == len(found.weights)
        True
        """
        return self._ask(model, calls.explain(text))

    def translate(
        self,
        text: str | Sequence[str],
        *,
        model: str | None = None,
        num_beams: int | Sequence[int] | None = None,
        length_penalty: float | Sequence[float] | None = None,
        max_new_tokens: int | Sequence[int] | None = None,
        details: bool = False,
    ) -> Any:
        """Translate a text, or each text of a list.

        Args:
            text: A text, or a list of texts.
            model: A translator.
            num_beams: Beams of the search, and number of candidates, from 1 to 32.
            length_penalty: Exponent of the length by which scores are divided.
            max_new_tokens: Maximum number of tokens of the translation of a sentence, from 0 to 1024.
            details: Whether to return all candidates, their scores and the attention.

        Returns:
            A str, or with `details` a `textrnn.client.Translation`; or a list of them.

        Raises:
            InputError, ServerError: As `generate`.

        Example:

        >>> client = textrnn.Client("http://localhost:8501", model="en_de")
        >>> found = client.translate("A dog runs.", num_beams=3, details=True)
        >>> found.text == client.translate("A dog runs.", num_beams=3)
        True
        >>> len(found.candidates)
        3
        """
        options = {"num_beams": num_beams, "length_penalty": length_penalty, "max_new_tokens": max_new_tokens}
        return self._ask(model, calls.translate(text, details, **options))

    def _name(self, model: str | None) -> str:
        """The name of the model that is asked."""
        model = self.model if model is None else model
        return parse_model(model)[0]

    @abstractmethod
    def _ask(self, model: str | None, question: Question) -> Any:
        """Answer a question."""

    @abstractmethod
    def _pieces(self, model: str, prompt: Prompt) -> Any:
        """Yield the pieces of a text."""

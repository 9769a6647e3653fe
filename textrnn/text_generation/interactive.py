"""An interactive session: prompts from the terminal and their continuations."""

import contextlib
import dataclasses
import secrets
import sys
from collections.abc import Callable
from typing import Any

from textrnn.data.text_files import forgive_invalid_bytes
from textrnn.text_generation.sampling import Settings
from textrnn.types import (
    LongSeed,
    NonNegativeInt,
    NonNegativeNumber,
    PositiveInt,
    Probability,
    SampleLength,
    expected,
)

HELP = """\
A line is a prompt. End it with \\ to go on with the next line; Ctrl-D or /quit ends.
/temperature X    higher is more surprising; 0 is greedy
/top_k N          sample from the N most likely tokens; 0 for all
/top_p X          sample among the most likely tokens that reach this probability
/max_new_tokens N maximum number of new tokens
/samples N        continuations of each prompt
/stop TEXT        end before this text; \\n is a line break; without TEXT nowhere
/seed N           seed of the next continuation; each one adds 1
/again            continue the last prompt again
/settings         print the settings
A setting without a value is the model's own. A prompt that begins with / is typed with //."""

MODELS_OWN = "(the model's)"

KINDS: dict[str, Any] = {
    "temperature": NonNegativeNumber,
    "top_k": NonNegativeInt,
    "top_p": Probability,
    "max_new_tokens": SampleLength,
    "samples": PositiveInt,
    "seed": LongSeed,
}
"""The types of the settings that are numbers."""


@dataclasses.dataclass
class Conversation:
    """Answers prompts that stdin gives, and changes settings by commands.

    Every answer has a new seed, so the same prompt gives another text.

    Args:
        sample: A function `(prompt, settings) -> texts`.
        settings: The first settings. A seed of None is replaced by a random one.
    """

    sample: Callable[[str, Settings], list[str]]
    settings: Settings
    last: str | None = None

    def __post_init__(self):
        if self.settings.seed is None:
            self.settings = self.settings._replace(seed=secrets.randbelow(2**31))

    def run(self):
        """Answer until the end of stdin, `/quit` or `/exit`."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (lets `input` edit lines and recall earlier ones)
        forgive_invalid_bytes()
        print("Type a prompt and Enter; /help lists the commands, Ctrl-D or /quit ends.", file=sys.stderr)
        while (text := self.read()) is not None:
            if text.startswith("/") and not text.startswith("//"):
                command, _, value = text[1:].partition(" ")
                if command.strip() in ("quit", "exit"):
                    return
                self.obey(command, value.strip())
            else:
                self.answer(text.removeprefix("/"))

    def read(self) -> str | None:
        """Read a prompt, of several lines if all but the last end with a backslash; None at the end."""
        lines: list[str] = []
        mark = "> " if sys.stdin.isatty() else ""
        while True:
            try:
                line = input(mark if not lines else mark.replace(">", "."))
            except EOFError:
                return "\n".join(lines) if lines else None
            if not line.endswith("\\"):
                return "\n".join([*lines, line])
            lines.append(line[:-1])

    def answer(self, prompt: str):
        """Print the continuations of a prompt."""
        self.last = prompt
        for number, text in enumerate(self.sample(prompt, self.settings), start=1):
            if self.settings.samples > 1:
                print(f"--- {number} of {self.settings.samples}")
            print(text, flush=True)
        seed = (self.settings.seed or 0) + self.settings.samples
        self.settings = self.settings._replace(seed=seed % 2**63)

    def obey(self, command: str, value: str):
        """Carry out a command, or say on stderr what is wrong with it."""
        problem = None
        if command == "help":
            print(HELP)
        elif command == "settings":
            for name, setting in self.settings._asdict().items():
                print(f"/{name} {MODELS_OWN if setting is None else setting}")
        elif command == "again":
            if self.last is None:
                problem = "/again: there is no prompt yet; type one"
            else:
                self.answer(self.last)
        elif command == "stop":
            self.settings = self.settings._replace(stop=(value.replace("\\n", "\n"),) if value else ())
        elif command in KINDS:
            problem = self.set(command, value)
        else:
            problem = f"/{command}: there is no such command; /help lists them"
        if problem:
            print(problem, file=sys.stderr)

    def set(self, name: str, value: str) -> str | None:
        """Change a setting. Without a value it is the default. Return what is wrong with it, or None."""
        if not value:
            number = secrets.randbelow(2**31) if name == "seed" else Settings()._asdict()[name]
        else:
            try:
                number = KINDS[name](value)
            except (TypeError, ValueError):
                return f"/{name} {value}: expected {expected(KINDS[name])}"
        self.settings = Settings(**self.settings._asdict() | {name: number})
        return None

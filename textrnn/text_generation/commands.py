"""The command `textrnn generate`."""

import itertools
from pathlib import Path

from textrnn.errors import expect
from textrnn.types import LongSeed, NonNegativeInt, NonNegativeNumber, PositiveInt, Probability, SampleLength
from textrnn.unicode import cleaned


def generate(
    model: Path,
    prompt: list[str] | None = None,
    file: Path | None = None,
    encoding: str | None = None,
    interactive: bool = False,
    samples: PositiveInt = 1,
    max_new_tokens: SampleLength | None = None,
    temperature: list[NonNegativeNumber] | None = None,
    top_k: NonNegativeInt | None = None,
    top_p: Probability | None = None,
    stop: list[str] | None = None,
    seed: LongSeed | None = None,
    cell: str | None = None,
):
    r"""Continue prompts.

    Args:
        model: Folder of a model (saved_models/NAME), a version or a preset, or a name from `textrnn models`
        prompt: Text to continue; can be repeated (default: empty)
        file: Text file with a prompt on each line
        encoding: Encoding of the file, such as cp1252 (default: UTF-8, or as marked)
        interactive: Read prompts until Ctrl-D or /quit; /help lists the commands there
        samples: Number of different continuations
        max_new_tokens: Maximum number of new tokens, up to 4096 (default: the model's)
        temperature: Sampling temperature; 0 is greedy; can be repeated (default: the model's)
        top_k: Sample from this many tokens; 0 for all (default: the model's)
        top_p: Nucleus sampling probability; 1 for all tokens (default: the model's)
        stop: Text before which a continuation ends, \n for a line break; can be repeated
        seed: Seed of the samples (default: derived from the prompt, random if interactive)
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    expect("" not in (stop or ()), "--stop '': give the text before which a continuation ends")
    expect(
        not interactive or len(temperature or ()) <= 1,
        "--interactive: give one --temperature; the command /temperature changes it",
    )
    from textrnn.data.text_files import read_lines
    from textrnn.presets.functions import load_functions
    from textrnn.text_generation.interactive import Conversation
    from textrnn.text_generation.sampling import Settings, make_sampler

    prompts = [cleaned(text, "--prompt") for text in prompt or ()]
    if file is not None:
        lines = [line for line in read_lines(file, encoding) if line]
        expect(lines, f"{file} has no prompts")
        prompts += lines
    functions = load_functions(model, "CausalLM", "generate", "text", "does not generate text", cell)
    sample = make_sampler(functions["generate"])
    settings = Settings(
        samples,
        max_new_tokens,
        None,
        top_k,
        top_p,
        tuple(cleaned(text, "--stop").replace("\\n", "\n") for text in stop or ()),
        seed,
    )
    temperatures: list[float | None] = [*temperature] if temperature else [None]
    if prompts or not interactive:
        for text, value in itertools.product(prompts or [""], temperatures):
            answers = sample(text, settings._replace(temperature=value))
            for number, answer in enumerate(answers, start=1):
                parts = {
                    f"prompt {text!r}": len(prompts) > 1,
                    f"temperature {value}": len(temperatures) > 1,
                    f"{number} of {samples}": samples > 1,
                }
                if heading := ", ".join(part for part, varies in parts.items() if varies):
                    print(f"--- {heading}")
                print(answer, flush=True)
    if interactive:
        Conversation(sample, settings._replace(temperature=temperatures[0])).run()

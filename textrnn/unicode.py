"""Text from bytes in any encoding, and valid Unicode from any string."""

import codecs
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from textrnn.errors import InputError, warn

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it starts with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by byte order mark."""

WIDE = ("utf_16_le", "utf_16_be", "utf_32_le", "utf_32_be")
WINDOWS = ("cp1252", "cp1251", "cp1250")
"""The usual encodings of Windows, preferred to others that fit as well."""
TOLERANCE = 0.03
"""Difference of charset-normalizer's coherence, from 0 to 1, up to which encodings fit as well."""
DAMAGED = 0.1
"""Fraction of the characters beyond ASCII that may be invalid in a damaged UTF-8 file."""
BINARY = re.compile(r"[\0-\x06\x0e-\x19]")
"""Control characters that texts do not have."""
SAMPLE = 2**16
"""Bytes from which an encoding is guessed."""


class DecodingError(InputError):
    """Raised for bytes that are not text in an encoding.

    Attributes:
        guess: The encoding that `guess_encoding` finds, or None for a binary file.
    """

    guess: str | None = None


def decode(content: bytes, name: str, encoding: str | None = None) -> str:
    r"""Decode a file's content. Byte order marks are removed, and line ends become `\n`.

    Files that were joined have such a mark in the middle, at the start of a line. Line ends are `\n`, `\r\n`
    or, in a text without `\n`, the `\r` of old Macs.

    Args:
        content: The bytes.
        name: Name of the file in error messages.
        encoding: Name of the encoding. Default: that of the byte order mark, or UTF-8.

    Returns:
        The text.

    Raises:
        InputError: If the encoding is unknown.
        DecodingError: If the bytes are invalid in it, or contain NUL characters, as binary files do. The
            message names the line, and the encoding that charset-normalizer finds.

    Example:

    >>> from textrnn.unicode import decode
    >>> decode("It’s\r\n".encode("utf-16"), "note.txt"), decode(b"It\x92s", "note.txt", "cp1252")
    ('It’s\n', 'It’s')
    >>> decode("It’s the café’s “best” – really".encode("cp1252"), "note.txt")
    Traceback (most recent call last):
    ...
    textrnn.unicode.DecodingError: note.txt is not UTF-8 text: byte 0x92 at offset 2 in line 1. It looks like
    cp1252, in which this line is 'It’s the café’s “best” – really': give --encoding cp1252
    """
    codec = encoding_of(content, encoding)
    try:
        text = content.decode(codec)
    except UnicodeError as error:  # some codecs do not say where
        raise _problem(content, name, codec, getattr(error, "start", 0)) from None
    if "\0" in text:
        raise _problem(content, name, codec, content.index(b"\0"))
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return text.removeprefix("\ufeff").replace("\n\ufeff", "\n")


def decode_blocks(
    read: Callable[[], Iterator[bytes]], name: str, encoding: str | None = None
) -> Iterator[str]:
    r"""Decode a file's content block by block, as `decode` does all at once.

    Args:
        read: A function that returns an iterator over the blocks of the file. It is called twice, since line
            ends depend on whether there is a `\n` anywhere.
        name: Name of the file in error messages.
        encoding: Name of the encoding, as for `decode`.

    Yields:
        Parts of the text, which may be empty.

    Raises:
        InputError: As `decode`, while iterating.

    Example:

    >>> from textrnn.unicode import decode_blocks
    >>> "".join(decode_blocks(lambda: iter([b"caf\xc3", b"\xa9\r", b"\nbar"]), "note.txt"))
    'café\nbar'
    """
    old_mac = not any("\n" in text for text in _decoded(read(), name, encoding))
    rest, first = "", True
    for text in chain(_decoded(read(), name, encoding), [None]):
        # A line end is kept until it is known what follows it.
        part = rest + (text or "")
        kept = 0 if text is None else len(part) - len(part.removesuffix("\n").removesuffix("\r"))
        part, rest = part[: len(part) - kept], part[len(part) - kept :]
        part = part.replace("\r\n", "\n")
        if old_mac:
            part = part.replace("\r", "\n")
        if first and part:
            part, first = part.removeprefix("\ufeff"), False
        yield part.replace("\n\ufeff", "\n")


def encoding_of(start: bytes, encoding: str | None = None) -> str:
    """Return the encoding of a file: the given one, that of its byte order mark, or UTF-8.

    Args:
        start: The first bytes of the file.
        encoding: Name of an encoding, or None.

    Raises:
        InputError: If there is no such encoding.

    Example:

    >>> from textrnn.unicode import encoding_of
    >>> encoding_of("a".encode("utf-16")), encoding_of(b"a"), encoding_of(b"a", "cp1252")
    ('utf-16', 'utf-8', 'cp1252')
    """
    if encoding:
        try:
            b"abcd".decode(encoding, "replace")
        except (LookupError, ValueError):  # ValueError: codecs that are no encoding of files, such as idna
            raise InputError(
                f"unknown encoding {encoding!r}: give a name such as utf-8, utf-16, cp1252 or shift_jis"
            ) from None
        # Without a mark, Python's readers of files refuse what it decodes in memory.
        name = codecs.lookup(encoding).name
        marked = any(start.startswith(mark) for mark, marks in MARKS.items() if marks == name)
        return f"{name}-le" if name in ("utf-16", "utf-32") and not marked else encoding
    return next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8")


def guess_encoding(content: bytes) -> str | None:
    """Guess the encoding of text that is not UTF-8, with charset-normalizer.

    The encodings of Windows win where they are as likely as others, since most such files are written there.

    Args:
        content: The bytes.

    Returns:
        The name of an encoding in which all the bytes are valid, `"utf-8"` if nearly all are valid there, or
        None, as for binary files.

    Example:

    >>> from textrnn.unicode import guess_encoding
    >>> guess_encoding("Das Frühstück war köstlich, 5 € für alle.".encode("cp1252"))
    'cp1252'
    >>> guess_encoding(bytes(range(256)))
    """
    from charset_normalizer import from_bytes

    if b"\0" in content:  # only wide encodings have NUL bytes, and then many
        sample, allowed = content[:SAMPLE], list(WIDE)
        if sample.count(b"\0") < 0.2 * len(sample):
            return None
    else:
        lines = [line for line in content.split(b"\n") if not line.isascii()]
        sample, allowed = b"\n".join(lines)[:SAMPLE], None
        characters = [character for character in sample.decode("utf-8", "replace") if not character.isascii()]
        if characters.count("\ufffd") <= DAMAGED * len(characters):
            return "utf-8"
    excluded = [] if allowed else [*WIDE, "utf_16", "utf_32"]
    matches = list(from_bytes(sample, cp_isolation=allowed, cp_exclusion=excluded))
    if matches and not allowed:  # a multi-byte encoding that fits keeps others from being tried
        tried = list(from_bytes(sample, cp_isolation=list(WINDOWS)))
        matches += sorted(tried, key=lambda match: WINDOWS.index(match.encoding))
    if not matches:
        return None
    chaos, coherence = matches[0].chaos, matches[0].coherence
    alike = [
        name
        for match in matches
        if match.chaos <= chaos and match.coherence > coherence - TOLERANCE
        for name in match.could_be_from_charset
    ]
    names = [*(name for name in WINDOWS if name in alike), *alike]
    return next((name for name in names if _is_valid(content, name)), None)


def well_formed(text: str) -> str:
    r"""Replace half surrogate pairs by U+FFFD, so that a string can be encoded.

    They come from cut JSON escapes and, as Python's surrogate escapes, from bytes of the command line that
    are not UTF-8. The halves of a whole pair are joined.

    Args:
        text: Any str.

    Returns:
        A str that UTF-8 can encode. Valid strings are unchanged.

    Example:

    >>> from textrnn.unicode import well_formed
    >>> well_formed("cut \ud83d") == "cut \ufffd", well_formed("\ud83d\ude00"), well_formed("whole")
    (True, '😀', 'whole')
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def cleaned(text: str, name: str) -> str:
    r"""Return a text as `well_formed` does, with a warning on stderr if that changes it.

    Args:
        text: A text from the command line.
        name: What the warning calls it.

    Example:

    >>> from textrnn.unicode import cleaned
    >>> cleaned("caf\udce9", "--prompt") == "caf\ufffd"  # warning: --prompt is not valid Unicode: ...
    True
    """
    valid = well_formed(text)
    if valid != text:
        warn(f"{name} is not valid Unicode: invalid bytes were replaced by \ufffd")
    return valid


def composed(text: str) -> str:
    r"""Return a name in Unicode's composed form (NFC), in which each spelling of a letter is the same.

    Some programs, and file systems of macOS, write "ö" as two characters, "o" and a combining mark.

    Args:
        text: A label, or the name of a column.

    Example:

    >>> from textrnn.unicode import composed
    >>> composed("scho\u0308n") == "sch\u00f6n"
    True
    """
    return unicodedata.normalize("NFC", text)


def other_form_warnings(texts: Iterable[str], noun: str = "text") -> list[str]:
    r"""Return a warning if some texts are not in Unicode's composed form (NFC), otherwise nothing.

    Args:
        texts: The texts that a model learns from, which are kept as they are.
        noun: What they are called.

    Example:

    >>> from textrnn.unicode import other_form_warnings
    >>> [warning] = other_form_warnings(["scho\u0308n", "sch\u00f6n", "gut"])
    >>> warning
    "1 of 3 texts is not in Unicode's composed form (NFC), first 'ö'. A model reads ..."
    """
    total, found, first = 0, 0, ""
    for text in texts:
        total += 1
        if not unicodedata.is_normalized("NFC", text):
            found += 1
            first = first or _first_difference(text, composed(text))
    if not found:
        return []
    counted = f"{found:,} of {total:,} {noun}{'' if total == 1 else 's'} {'is' if found == 1 else 'are'}"
    warning = (
        f"{counted} not in Unicode's composed form (NFC), first {first!r}. A model reads them as other "
        "letters: normalize all texts, and those that it is asked about"
    )
    return [warning]


def _first_difference(text: str, other: str) -> str:
    """Return the character of the other text where the two begin to differ."""
    place = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), len(other) - 1)
    return other[place]


def is_right_to_left(text: str) -> bool:
    """Return whether a text is written from right to left, as its first letter decides.

    Args:
        text: Any str.

    Example:

    >>> from textrnn.unicode import is_right_to_left
    >>> is_right_to_left("1. שלום, Python"), is_right_to_left("Python: שלום"), is_right_to_left("")
    (True, False, False)
    """
    directions = map(unicodedata.bidirectional, text)
    return next((found for found in directions if found in ("L", "R", "AL")), "L") != "L"


def _decoded(blocks, name, encoding):
    """Decode blocks of bytes. Raise the errors of `decode`."""
    decoder, before = None, b""  # the block before this one, from which an encoding may be guessed
    start = lines = found = 0  # the position and the lines of the file at the start of that, and lines in it
    for block in chain(blocks, [b""]):
        if decoder is None:
            codec = encoding_of(block, encoding)
            decoder = codecs.getincrementaldecoder(codec)("strict")
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeError as error:
            # Its object begins with the bytes of an unfinished character in the block before.
            offset = len(before) + len(block) - len(getattr(error, "object", block))
            offset += getattr(error, "start", 0)
            raise _problem(before + block, name, codec, offset, start, lines) from None
        if "\0" in text:
            offset = len(before) + block.index(b"\0")
            raise _problem(before + block, name, codec, offset, start, lines)
        yield text
        start, lines, found, before = start + len(before), lines + found, text.count("\n"), block


def _is_valid(content: bytes, encoding: str) -> bool:
    try:
        return not BINARY.search(content.decode(encoding))
    except UnicodeDecodeError:
        return False


def _problem(content: bytes, name: str, codec: str, offset: int, start: int = 0, lines: int = 0):
    """Return the error for an invalid byte. The content begins after so many bytes and lines of the file."""
    before = content.count(b"\n", 0, offset)
    place = f"byte 0x{content[offset]:02x} at offset {start + offset} in line {lines + before + 1}"
    problem = f"{name} is not {codec.upper() if codec.startswith('utf') else codec} text: {place}. "
    guess = guess_encoding(content)
    if guess == codec == "utf-8":
        advice = (
            "Nearly all of it is UTF-8: mend that line, or remove all invalid bytes with "
            "iconv -c -f utf-8 -t utf-8 FILE > NEW_FILE"
        )
    elif guess is None or guess == codec:
        advice = "It looks like a binary file: give a text file, or its encoding with --encoding NAME"
    else:
        line = content.decode(guess, "replace").split("\n")[before].strip("\r\ufeff")
        shown = line if len(line) <= 60 else line[:60] + "..."
        advice = f"It looks like {guess}, in which this line is {shown!r}: give --encoding {guess}"
    error = DecodingError(problem + advice)
    error.guess = guess
    return error

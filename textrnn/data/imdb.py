"""The IMDB reviews as a table."""

import gzip
import tarfile
from pathlib import Path


def imdb_table(archive: Path) -> bytes:
    """Convert the training split of IMDB's archive to a gzipped table.

    Args:
        archive: `aclImdb_v1.tar.gz`, with one review per file in `aclImdb/train/neg` and `aclImdb/train/pos`.

    Returns:
        The compressed table. Each line has a label (0 for negative, 1 for positive), a tab and a review, with
        each run of whitespace replaced by one space. Reviews are sorted by label and file name.
    """
    lines = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            *folders, name = member.name.split("/")
            if folders[1:2] == ["train"] and folders[-1] in ("neg", "pos") and name.endswith(".txt"):
                text = tar.extractfile(member).read().decode("utf-8")  # type: ignore[union-attr]
                lines[folders[-1], name] = f"{int(folders[-1] == 'pos')}\t{' '.join(text.split())}\n"
    return gzip.compress("".join(line for _, line in sorted(lines.items())).encode("utf-8"))

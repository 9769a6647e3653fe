"""Texts on disk to batches of token ids.

- `documents`, `labelled`, `parallel`: the user's files, as plain, labelled and parallel text.
- `datasets`: public data sets by name.
- `starter`: small corpora that need no download.
- `windows`, `batching`: token ids to the data sets that models are trained and evaluated on.
"""

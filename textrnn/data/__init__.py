"""Text on disk to batches of token ids.

`files` reads the user's own files, `datasets` the named public sets, `starter` the small corpora that
need no download; `batching` turns token ids into what training and evaluation walk through.
"""

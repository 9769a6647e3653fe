"""The mark of SavedModels that textrnn exported, by which a server knows that every call of theirs ends."""

from google.protobuf.wrappers_pb2 import StringValue

EXPORTER = "textrnn"


def mark_as_exported(meta_graph):
    """Write into a `MetaGraphDef` that textrnn exported it. Its loops have a largest number of steps."""
    meta_graph.meta_info_def.any_info.Pack(StringValue(value=EXPORTER))


def is_exported(meta_graph):
    """Whether a `MetaGraphDef` has the mark.

    Example:

    >>> from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
    >>> from textrnn.serving.origin import is_exported, mark_as_exported
    >>> meta_graph = MetaGraphDef()
    >>> mark_as_exported(meta_graph)
    >>> is_exported(meta_graph), is_exported(MetaGraphDef())
    (True, False)
    """
    exporter = StringValue()
    return meta_graph.meta_info_def.any_info.Unpack(exporter) and exporter.value == EXPORTER

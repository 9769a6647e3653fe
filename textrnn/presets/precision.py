"""Tasks that trained in mixed precision, in the precision of their weights."""

import tempfile


def in_weight_precision(task):
    """Return a task that computes in the type of its weights, as `from_preset` would load it.

    A model that trained in mixed precision is evaluated and served in float32. CPUs compute slowly in half
    precision.

    Args:
        task: A task with a preprocessor.

    Returns:
        The task itself, or a copy if it computes in another type than that of its weights.

    Example:

    >>> import textrnn
    >>> from textrnn.presets import in_weight_precision
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> backbone = textrnn.RecurrentBackbone(258, units=4, dtype="mixed_bfloat16")
    >>> lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer()))
    >>> in_weight_precision(lm).dtype_policy
    <DTypePolicy "float32">
    """
    policy = task.backbone.dtype_policy
    if policy.compute_dtype == policy.variable_dtype:
        return task
    with tempfile.TemporaryDirectory() as folder:
        task.save_to_preset(folder)
        return type(task).from_preset(folder, dtype=policy.variable_dtype)

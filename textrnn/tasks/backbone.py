# mypy: disable-error-code="misc, attr-defined"
"""The common parts of all backbones."""

from textrnn.errors import InputError
from textrnn.tasks.arguments import KnownArguments


def layer_groups(backbone, output_layers):
    """Return the layers of a task from the input to the output, for rates and unfreezing by depth.

    Args:
        backbone: A backbone with a `token_embedding` and one `stack` of recurrent layers.
        output_layers: The layers above it. If the embedding is one of them, it is no layer of the input.

    Returns:
        A list of lists of layers, for `textrnn.training.discriminative_rates`.

    Example:

    >>> import textrnn
    >>> from textrnn.tasks.backbone import layer_groups
    >>> groups = layer_groups(textrnn.RecurrentEncoder(9, units=4, num_layers=2), [])
    >>> [[layer.name for layer in group] for group in groups]
    [['token_embedding'], ['bidirectional_0'], ['bidirectional_1']]
    """
    embedding = [layer for layer in [backbone.token_embedding] if layer not in output_layers]
    recurrent = [[layer] for layer in backbone.stack.recurrent_layers]
    return [group for group in (embedding, *recurrent, list(output_layers)) if group]


class RecurrentNetwork(KnownArguments):
    """Mixin of backbones; it stands before KerasHub's backbone among the bases."""

    @classmethod
    def from_preset(cls, preset, *args, **kwargs):
        """Load a backbone from a str or path; see `keras_hub.models.Backbone.from_preset`."""
        return super().from_preset(str(preset), *args, **kwargs)

    def default_lora_layer_names(self):
        """The names of all layers that Keras can adapt: embeddings and projections, but no cells."""
        layers = self._flatten_layers(include_self=False)
        return list(dict.fromkeys(layer.name for layer in layers if hasattr(layer, "enable_lora")))

    def enable_lora(self, rank, target_layer_names=None):
        """Freeze all weights but low-rank adapters (Hu et al. 2022, arXiv 2106.09685).

        `save_to_preset` saves the weights with the adapters added.

        Args:
            rank: int. Rank of the adapters.
            target_layer_names: str or list of str. Layers to adapt; None for all of
                `default_lora_layer_names`.

        Raises:
            InputError: For a name of no layer that Keras can adapt.
        """
        possible = self.default_lora_layer_names()
        if isinstance(target_layer_names, str):
            target_layer_names = [target_layer_names]
        names = possible if target_layer_names is None else list(target_layer_names)
        if not names or (unknown := [name for name in names if name not in possible]):
            raise InputError(
                f"target_layer_names is {names}: choose among the layers that Keras can adapt, "
                f"{', '.join(possible)}" + (f". It cannot adapt {', '.join(unknown)}" if names else "")
            )
        super().enable_lora(rank, target_layer_names=names)

    def save_lora_weights(self, filepath):
        """Save the adapters of projections; see `keras_hub.models.Backbone.save_lora_weights`.

        Raises:
            InputError: If an embedding is adapted, whose adapters KerasHub cannot save.
        """
        embeddings = [
            layer.name
            for layer in self._flatten_layers()
            if getattr(layer, "lora_embeddings_a", None) is not None
        ]
        if embeddings:
            raise InputError(
                f"LoRA adapts {', '.join(embeddings)}, and KerasHub saves no adapters of embeddings: use "
                "save_to_preset, which adds the adapters to the weights, or adapt projections only"
            )
        super().save_lora_weights(filepath)

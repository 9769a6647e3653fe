"""Models of PyTorch with the weights of textrnn."""


def lstm_arrays(layer, suffix, weights):
    """The weights of an LSTM cell under the names of PyTorch's, for one direction of a layer."""
    kernel, recurrent_kernel, bias = weights
    named = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T, "bias_ih": bias, "bias_hh": 0 * bias}
    return {f"{layer}.{name}_l0{suffix}": array for name, array in named.items()}


def with_weights(torch, model, arrays):
    """The model with these weights, which learns one of the two biases of PyTorch, as textrnn has one."""
    model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias_hh" not in name)
    return model

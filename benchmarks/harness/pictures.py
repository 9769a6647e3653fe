"""What the pictures of benchmarks have in common."""


def style(*axes, grid="both"):
    """Give axes a pale grid behind the data, and no frame at the top and on the right.

    Args:
        *axes: Axes of matplotlib.
        grid: `"both"`, `"x"` or `"y"`: the axis whose ticks have lines.
    """
    for axis in axes:
        axis.grid(True, axis=grid, color="#DDDDDD", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)

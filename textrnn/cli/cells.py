"""The command `textrnn cells`."""

from textrnn.errors import expect
from textrnn.startup import native_messages_hidden


def cells(name: str | None = None, markdown: bool = False):
    """List all cells, or describe one.

    The table has the kind, states, parameters and paper of each cell. The description of a cell has its
    equations, too.

    Args:
        name: A cell's name, or module:attribute for your own. Default: the table of all.
        markdown: Print the reference page of all cells, as in docs/cells.md.
    """
    from textrnn.cells import describe, find_cell

    expect(not (name and markdown), "--markdown prints all cells: remove the name")
    if name and ":" in name:
        with native_messages_hidden():  # the module may import TensorFlow
            find_cell(name)
    if markdown:
        print(describe.page(), end="")
    else:
        print(describe.sheet(name) if name else describe.table())

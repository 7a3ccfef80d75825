"""Rows that fit any terminal: a table if there is room for it, else a block of lines for each row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

LEAST = 40
"""How many columns the last column, or that of titles, has in a table at least, unless its texts are shorter."""
_GAP = 2

Cells = Sequence[Text]
Block = Callable[[Cells], Sequence[Text]]
"""Arranges the cells of a row in lines, of which the first says the most important."""


@dataclass(frozen=True, slots=True)
class LineTable:
    """Rows of cells under names.

    Attributes:
        flexible: The name of the column that gives way: its texts are folded, or cut if they may not be.
        is_cut: Whether its texts are cut.
        block: Arranges the cells of a row where there is no room for a table.
    """

    names: Sequence[str]
    rows: Sequence[Cells]
    flexible: str
    is_cut: bool
    block: Block

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw them in the given width."""
        widths = self._widths()
        room = options.max_width - sum(widths.values()) - _GAP * (len(widths) - 1) + widths[self.flexible]
        if room >= min(widths[self.flexible], LEAST):
            yield self._table(min(widths[self.flexible], room))
        else:
            yield from self._blocks()

    def _widths(self) -> Mapping[str, int]:
        widths = {name: cell_len(name) for name in self.names}
        for row in self.rows:
            for name, cell in zip(self.names, row, strict=True):
                widths[name] = max(widths[name], cell_len(cell.plain))
        return widths

    def _table(self, width: int) -> Table:
        flexible = Column(self.flexible, no_wrap=self.is_cut, overflow="ellipsis" if self.is_cut else "fold", width=width)
        columns = (flexible if name == self.flexible else Column(name, no_wrap=True) for name in self.names)
        drawn = Table(*columns, box=None, pad_edge=False)
        for row in self.rows:
            drawn.add_row(*row)
        return drawn

    def _blocks(self) -> Iterator[Text | Padding]:
        for row in self.rows:
            first, *others = self.block(row)
            yield first
            yield from (Padding(each, (0, 0, 0, 2), expand=False) for each in others if each.plain)

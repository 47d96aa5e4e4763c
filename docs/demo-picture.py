#!/usr/bin/env python3
"""Draws steps of the demo as a terminal, in SVG. `make picture` pipes what `make demo` prints through it into docs/demo.svg."""

import io
import re
import sys

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

STEPS = (3, 5)
WIDTH = 116


def main() -> None:
    titled = re.split(r"\n(?=\x1b\[1m)", sys.stdin.read())
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for step in titled:
        if not step.startswith(tuple(f"\x1b[1m{number}. " for number in STEPS)):
            continue
        for line in [*step.splitlines(), ""]:
            text = Text.from_ansi(line)
            text.truncate(WIDTH, overflow="ellipsis")
            if line.startswith(("# ", "$ ")):
                text.stylize("bold green")
            console.print(text, highlight=False)
    # A picture in a page cannot load fonts, so the browser's own is used.
    form = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.S)
    sys.stdout.write(console.export_svg(title="make demo", theme=MONOKAI, code_format=form, unique_id="demo"))


main()

#!/usr/bin/env python3
"""Puts a report of compare.py into docs/performance.md and draws docs/performance.svg.

usage: publish.py REPORT.json [DOCS_FOLDER]
"""

import json
import os
import sys

import plot
from comparison import ratios

BEGIN = "<!-- figures: written by benchmarks/publish.py -->"
END = "<!-- end of figures -->"


def replaced(page, figures):
    """The page with `figures` between its marks."""
    begin, end = page.find(BEGIN), page.find(END)
    if begin < 0 or end < begin:
        raise ValueError(f"the page has no '{BEGIN}' before '{END}'")
    return page[:begin + len(BEGIN)] + "\n" + figures + page[end:]


def main(arguments):
    if len(arguments) not in (1, 2):
        sys.exit(__doc__.strip())
    docs = arguments[1] if len(arguments) == 2 else os.path.join(
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs")
    page = os.path.join(docs, "performance.md")
    try:
        with open(arguments[0], encoding="utf-8") as file:
            report = json.load(file)
        figures = (f"\nMeasured {report['date']} with {report['threads']} threads."
                   f" {report.get('note', '')}".rstrip() + "\n\n"
                   "![Ratios to other programs](performance.svg)\n\n" + ratios.markdown(report)
                   + "\n")
        with open(page, encoding="utf-8") as file:
            text = replaced(file.read(), figures)
        with open(os.path.join(docs, "performance.svg"), "w", encoding="utf-8") as file:
            file.write(plot.svg(report))
        with open(page, "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, ValueError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])

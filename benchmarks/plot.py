#!/usr/bin/env python3
"""Draws the ratios of a report of compare.py as bars, with a line from the least to the largest.

usage: plot.py REPORT.json OUT.svg
"""

import json
import math
import sys
from xml.sax.saxutils import escape

ROW, GAP, LABEL, PLOT, RIGHT, TOP, BOTTOM = 18, 26, 230, 420, 90, 34, 34
COLOURS = ["#3b6ea8", "#c8702a", "#4f8f57", "#8b5a9f", "#a34a4a", "#5f6b73", "#b39a2e", "#2f8f8f"]
STYLE = "font-family:sans-serif;font-size:12px;fill:#222"


def speed_results(report):
    """Ratios of speeds only: of start and memory less is better."""
    return [result for result in report.get("results", []) if result["more_is_better"]]


def ticks(least, largest):
    """Marks 1, 2 and 5 times powers of ten, from at most `least` to at least `largest`, with 1."""
    least, largest = min(least, 1.0), max(largest, 1.0)
    exponents = range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(largest)) + 2)
    marks = [round(factor * 10.0 ** e, 10) for e in exponents for factor in (1, 2, 5)]
    first = max(i for i, mark in enumerate(marks) if mark <= least)
    last = min(i for i, mark in enumerate(marks) if mark >= largest)
    return marks[first:last + 1]


def svg(report):
    results = speed_results(report)
    if not results:
        raise ValueError("the report holds no ratios of speeds")
    models = list(dict.fromkeys(result["model"] for result in results))
    groups = list(dict.fromkeys((result.get("group", ""), result["case"], result["peer"])
                                for result in results))
    marks = ticks(min(result["ratio"]["min"] for result in results),
                  max(result["ratio"]["max"] for result in results))
    # Ratios are drawn by their logarithm: half as fast is as far from 1 as twice as fast.
    span = math.log(marks[-1] / marks[0]) or 1.0

    def place(ratio):
        return LABEL + PLOT * math.log(ratio / marks[0]) / span

    rows, y = [], TOP
    for group, case, peer in groups:
        title = ", ".join(part for part in (case, group) if part)
        rows.append(f'<text x="8" y="{y + 12}" style="{STYLE};font-weight:bold">'
                    f'{escape(title)} (to {escape(peer)})</text>')
        y += ROW
        for result in results:
            if (result.get("group", ""), result["case"], result["peer"]) != (group, case, peer):
                continue
            ratio = result["ratio"]
            colour = COLOURS[models.index(result["model"]) % len(COLOURS)]
            middle = y + ROW / 2 - 1
            begin, end = sorted((place(1.0), place(ratio["median"])))
            rows.append(
                f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end" style="{STYLE}">'
                f'{escape(result["model"])}</text>'
                f'<rect x="{begin:.1f}" y="{y + 1}" width="{end - begin:.1f}" '
                f'height="{ROW - 4}" fill="{colour}"/>'
                f'<line x1="{place(ratio["min"]):.1f}" x2="{place(ratio["max"]):.1f}" '
                f'y1="{middle}" y2="{middle}" stroke="#111"/>'
                f'<text x="{place(max(ratio["max"], 1.0)) + 6:.1f}" y="{y + 12}" style="{STYLE}">'
                f'{ratio["median"]:.2f}</text>')
            y += ROW
        y += GAP - ROW
    axis = []
    for mark in marks:
        x = place(mark)
        axis.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{y}" stroke="#ddd"/>'
                    f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle" style="{STYLE}">'
                    f'{mark:g}</text>')
    one = place(1.0)
    width, height = LABEL + PLOT + RIGHT, y + BOTTOM
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
            f'<text x="8" y="18" style="{STYLE};font-size:14px">Speed of mistral.cpp as a multiple '
            'of others: median, least to largest</text>\n'
            + "\n".join(axis) + "\n" + "\n".join(rows)
            + f'\n<line x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 6}" y2="{y}" stroke="#111" '
            'stroke-dasharray="4 3"/>\n</svg>\n')


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__.strip())
    try:
        with open(arguments[0], encoding="utf-8") as file:
            picture = svg(json.load(file))
        with open(arguments[1], "w", encoding="utf-8") as file:
            file.write(picture)
    except (OSError, ValueError) as problem:
        sys.exit(f"error: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])

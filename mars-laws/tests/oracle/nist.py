"""Packs the 27 non-linear problems of the NIST StRD into fixtures/nist_strd.txt.

Usage: python nist.py FOLDER_OF_DAT_FILES > ../fixtures/nist_strd.txt
The .dat files are NIST's (public domain): https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
Per problem: `name predictors`, then the rows start1, start2, certified, deviation, `rss VALUE`, and the
observations as `y x1 ..`, one a line; a blank line ends it.
"""
import pathlib
import re
import sys

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.dat")):
    text = path.read_text()
    rows = re.findall(r"^\s*b\d+\s*=\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", text, re.M)
    rss = re.search(r"Residual Sum of Squares:\s*(\S+)", text).group(1)
    lines = text.splitlines()
    first = max(i for i, line in enumerate(lines) if line.startswith("Data:")) + 1
    data = [line.split() for line in lines[first:] if line.strip()]
    short = lambda token: repr(float(token))
    print(path.stem, len(data[0]) - 1)
    for label, column in zip(["start1", "start2", "certified", "deviation"], zip(*rows)):
        print(label, *map(short, column))
    print("rss", short(rss))
    for row in data:
        print(*map(short, row))
    print()

#!/usr/bin/env python3
"""The rooms of the library in dependency order, with their sizes and what each sees, read from the sources.

  tools/rooms.py            prints the table
  tools/rooms.py --write    puts it into docs/architecture.md, between the two marks
  tools/rooms.py --check    fails where that table is not what the sources say
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tools/rooms.py writes from here -->\n", "<!-- to here -->\n"


def rooms():
    text = (ROOT / "cmake" / "SdgRooms.cmake").read_text()
    return re.search(r"set\(SDG_ROOMS ([^)]*)\)", text)[1].split()


def sources(room):
    for folder in (ROOT / "include" / "sdg" / room, ROOT / "src" / room):
        yield from sorted(path for path in folder.glob("*") if path.suffix in (".h", ".cpp"))


def seen_by(room, order):
    seen = set()
    for path in sources(room):
        seen |= set(re.findall(r'^\s*#include\s+"(?:sdg/)?([a-z]+)/', path.read_text(), re.M))
    return [other for other in order if other in seen and other != room]


def table():
    order = rooms()
    lines = {room: sum(path.read_text().count("\n") for path in sources(room)) for room in order}
    files = [path.read_text().count("\n") for room in order for path in sources(room)]
    total = sum(lines.values())
    rows = ["| room | files | lines | share | sees |", "| --- | ---: | ---: | ---: | --- |"]
    for room in order:
        count = sum(1 for _ in sources(room))
        seen = ", ".join(seen_by(room, order)) or "–"
        rows.append(f"| {room} | {count} | {lines[room]} | {100 * lines[room] / total:.1f} % | {seen} |")
    median = sorted(files)[len(files) // 2]
    rows.append(f"\n{len(order)} rooms, {len(files)} files, {total} lines; the median file has {median}, the largest {max(files)}.")
    return "\n".join(rows) + "\n"


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if not what:
        print(table(), end="")
        return 0
    text = DOC.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    if what == "--write":
        DOC.write_text(text[:begin] + table() + text[end:])
        return 0
    # Sizes move with every change: what must be true is which rooms there are and what they see.
    facts = lambda block: [(row.split("|")[1].strip(), row.split("|")[5].strip()) for row in block.splitlines() if row.startswith("| ")]
    if facts(text[begin:end]) != facts(table()):
        print("docs/architecture.md does not say what the sources say; run tools/rooms.py --write", file=sys.stderr)
        return 1
    return 0


sys.exit(main())

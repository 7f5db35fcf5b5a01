#!/usr/bin/env python3
"""Which sources are compiled together (cmake/SdgUnity.cmake): reading LibTorch's headers takes longer than compiling one of our files.

  tools/unity_groups.py FILE...      prints "FILE;GROUP" a line, for those that have company

Files of one folder whose names of internal linkage do not meet share a group. Wants nothing but Python's own library.
"""
import os
import pathlib
import re
import sys

LARGEST = 16  # files in a group: more would leave cores idle at the end of a build


def internal_names(path):
    """What a file defines for itself alone: names at the margin inside of unnamed namespaces, static ones, macros, tests."""
    text = pathlib.Path(path).read_text()
    names, inside = set(), False
    for line in text.splitlines():
        if line.startswith("namespace {"):
            inside = True
        elif line.startswith("}  // namespace") and "namespace sdg" not in line:
            inside = False
        if macro := re.match(r"#define (\w+)", line):
            names.add(macro[1])
        elif inside or line.startswith("static "):
            if kind := re.match(r"(?:template <.*> )?(?:struct|class|enum class|enum|using|namespace) (\w+)", line):
                names.add(kind[1])
            elif function := re.match(r"[\w:].*?(\w+)\(", line):
                names.add(function[1])
            elif re.match(r"(?:const|constexpr|std|static|thread_local)\b", line):
                names |= set(re.findall(r"(\w+)(?:\[\w*\])* ?[={;]", line))
    # Constants of functions, too: one that has another file's name is shadowing, about which the compiler warns.
    names |= set(re.findall(r"(?<![\w.:])(k[A-Z]\w*)(?:\[\w*\])* ?[={]", text))
    for suite, test in re.findall(r"^(?:TEST|TEST_F|TEST_P)\((\w+), (\w+)\)", text, re.M):
        names.add(f"{suite}_{test}_Test")
    return names


def called_names(path):
    """What a file calls by its bare name: another file's function of that name would be one too many to choose from."""
    return set(re.findall(r"(?<![\w.:>])(\w+)\(", pathlib.Path(path).read_text()))


def groups_of(sources):
    """Lists of sources, none of whose names meet; the first that has room takes the next file, so that a change moves few."""
    folders = {}
    for source in sorted(sources):
        names, called = internal_names(source), called_names(source)
        groups = folders.setdefault(os.path.dirname(source), [])
        for members, taken, mentioned in groups:
            if len(members) < LARGEST and not names & (taken | mentioned) and not called & taken:
                members.append(source)
                taken |= names
                mentioned |= called
                break
        else:
            groups.append(([source], set(names), called))
    return [members for groups in folders.values() for members, *_ in groups]


if __name__ == "__main__":
    for number, members in enumerate(groups_of(sys.argv[1:])):
        if len(members) > 1:
            folder = re.sub(r"\W", "_", os.path.basename(os.path.dirname(members[0])))
            for member in members:
                print(f"{member};{folder}_{number}")

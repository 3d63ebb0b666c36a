#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_categories_data.cpp from UnicodeData.txt.

    apt-get install unicode-data
    tools/generate_unicode_categories.py /usr/share/unicode/UnicodeData.txt > src/tokenizer/unicode_categories_data.cpp

The version is pinned by the checksum, so that the table does not change with the machine that makes it. Unicode 15.0
is what Debian 12 has; what a later version would change is the splitting of code points that 15.0 does not assign.
"""

import hashlib
import sys

UNICODE_VERSION = "15.0.0"
UNICODE_DATA_SHA256 = "806e9aed65037197f1ec85e12be6e8cd870fc5608b4de0fffd990f689f376a73"
KEPT = "LMNPSZ"  # the first letter of the general category; C (other) is what no range covers
RANGES_PER_LINE = 4


def categories(text):
    """The first letter of each code point's category, "C" where none is assigned."""
    letters = ["C"] * 0x110000
    range_first = None
    for line in text.splitlines():
        code_point, name, category = line.split(";")[:3]
        code_point = int(code_point, 16)
        if name.endswith(", First>"):
            range_first = code_point
            continue
        first = code_point if range_first is None else range_first
        range_first = None
        for c in range(first, code_point + 1):
            letters[c] = category[0]
    return letters


def ranges(letters):
    first = 0
    for c in range(1, len(letters) + 1):
        if c == len(letters) or letters[c] != letters[first]:
            if letters[first] in KEPT:
                yield first, c - 1, letters[first]
            first = c


def main():
    data = open(sys.argv[1], "rb").read()
    if hashlib.sha256(data).hexdigest() != UNICODE_DATA_SHA256:
        sys.exit(f"{sys.argv[1]} is not UnicodeData.txt of Unicode {UNICODE_VERSION}")
    rows = [f"{{0x{a:X}, 0x{b:X}, '{k}'}}," for a, b, k in ranges(categories(data.decode()))]
    print("// Made by tools/generate_unicode_categories.py; do not edit.")
    print(f"// Source: UnicodeData.txt of Unicode {UNICODE_VERSION}.")
    print('#include "tokenizer/unicode_categories.h"\n')
    print("namespace hadal::tokenizer {\nnamespace {\n")
    print("// clang-format off")
    print("constexpr CategoryRange kRanges[] = {")
    for i in range(0, len(rows), RANGES_PER_LINE):
        print("  " + " ".join(rows[i : i + RANGES_PER_LINE]))
    print("};")
    print("// clang-format on\n")
    print("}  // namespace\n")
    print("std::span<const CategoryRange> category_ranges() {\n  return kRanges;\n}\n")
    print("}  // namespace hadal::tokenizer")


main()

# Writes nodeprep.txt: what nodeprep (RFC 3920 appendix A) makes of every code point, alone and between two letters, by the tables of
# RFC 3454 and the NFKC of Unicode 3.2 that Python carries. A line is a range of code points, then how it is prepared alone, and in
# "a?b" where that differs: "=" unchanged, "!" refused, "-" left out, else the code points that stand for it, "?" before the whole
# where it joins a neighbour. Ranges that are not named are unchanged in both.
import stringprep as t
from unicodedata import ucd_3_2_0 as ucd

fold = t.map_table_b3


def fold_of_3_2(c):
    """Python folds by today's letter cases; those of letters that Unicode 3.2 does not know stand in no table of the RFC."""
    folded = fold(c)
    return c if any(t.in_table_a1(f) for f in folded) else folded


t.map_table_b3 = fold_of_3_2  # map_table_b2 calls it

EXTRA = set('"&\'/:<>@')
PROHIBITED = (t.in_table_c11, t.in_table_c12, t.in_table_c21, t.in_table_c22, t.in_table_c3, t.in_table_c4, t.in_table_c5,
              t.in_table_c6, t.in_table_c7, t.in_table_c8, t.in_table_c9)


def nodeprep(s):
    if any(t.in_table_a1(c) for c in s):
        return None
    out = ucd.normalize("NFKC", "".join(t.map_table_b2(c) for c in s if not t.in_table_b1(c)))
    if not out or any(c in EXTRA or any(f(c) for f in PROHIBITED) for c in out):
        return None
    if any(t.in_table_d1(c) for c in out):
        if any(t.in_table_d2(c) for c in out) or not (t.in_table_d1(out[0]) and t.in_table_d1(out[-1])):
            return None
    return out


def shown(s, before, after):
    out = nodeprep(before + s + after)
    if out is None:
        return "!"
    if out == before + s + after:
        return "="
    inner = out[len(before):len(out) - len(after)]
    if not (out.startswith(before) and out.endswith(after)):
        return "?" + ",".join("%X" % ord(c) for c in out)  # it joined a neighbour
    return "-" if inner == "" else ",".join("%X" % ord(c) for c in inner)


lines, first, last = [], None, None
for n in range(0x110000):
    s = chr(n)
    if 0xD800 <= n < 0xE000:
        this = "!"
    else:
        alone, inside = shown(s, "", ""), shown(s, "a", "b")
        this = alone if alone == inside else alone + " " + inside
    if this == last:
        continue
    if last not in (None, "="):
        lines.append("%X-%X %s" % (first, n - 1, last))
    first, last = n, this
if last != "=":
    lines.append("%X-%X %s" % (first, 0x10FFFF, last))
open("nodeprep.txt", "w").write("\n".join(lines) + "\n")

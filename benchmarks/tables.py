"""Put the tables of the committed records into README.md and benchmarks/README.md, between their markers.

python benchmarks/tables.py            rewrite them
python benchmarks/tables.py --check    exit 1 where they are not what the records say
"""

import re
import sys
from pathlib import Path

from genzoo.benchmark.markdown import to_markdown
from genzoo.benchmark.table import build
from genzoo.evaluation import read_record

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
MARKED = re.compile(r"(<!-- table: (\S+) columns: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables(suite: str, keys: str) -> str:
    """The Markdown of a suite's records: the columns with these comma-separated keys, or ``all``."""
    found = build(read_record(path) for path in sorted((RESULTS / suite).glob("*/samples/*/record.json")))
    text = to_markdown(found, () if keys == "all" else keys.split(","))
    return re.sub("^##", "####", text, flags=re.MULTILINE)


def fill(text: str) -> str:
    """The page with every marked table made anew."""
    return MARKED.sub(lambda m: f"{m[1]}\n{tables(m[2], m[3])}\n{m[4]}", text)


def main(check: bool) -> int:
    """Rewrite the pages, or only compare them; returns the exit status."""
    stale = [page for page in PAGES if fill(page.read_text()) != page.read_text()]
    for page in stale:
        if check:
            print(f"{page} is not what the records say: run python benchmarks/tables.py")
        else:
            page.write_text(fill(page.read_text()))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))

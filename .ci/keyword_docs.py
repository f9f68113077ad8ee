"""Make the documentation of every keyword: a page for each library and resource, and an index.

The pages are libdoc's own. The index is plain HTML without JavaScript.
"""

from __future__ import annotations

import argparse
import html
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot.libdocpkg import LibraryDocumentation

PROJECT = Path(__file__).resolve().parent.parent

_INDEX = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Keywords</title>
</head>
<body>
<h1>Keywords</h1>
<p>Suites are written in the keywords of the resources, which bring the libraries along.</p>
{sections}
</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    """The page of one library or resource.

    Attributes:
        name: Its name, as the page shows it.
        file: Name of the page's file.
        summary: First sentence of its documentation.
        keywords: Number of its keywords.
    """

    name: str
    file: str
    summary: str
    keywords: int


def make_pages(sources: Sequence[Path], folder: Path) -> list[Page]:
    """Write a page for each library or resource file into a folder, and return them."""
    pages = []
    for source in sources:
        documentation = LibraryDocumentation(str(source))
        file = f"{source.stem}.html"
        documentation.save(str(folder / file), "HTML")
        summary = " ".join(documentation.doc.partition("\n\n")[0].split())
        pages.append(Page(documentation.name, file, summary, len(documentation.keywords)))
    return pages


def index(sections: Mapping[str, Sequence[Page]]) -> str:
    """Return the page that leads to all others.

    Args:
        sections: The pages by what they are about.
    """
    told = []
    for title, pages in sections.items():
        rows = "\n".join(
            f'<dt><a href="{page.file}">{html.escape(page.name)}</a></dt>\n'
            f"<dd>{html.escape(page.summary)} Keywords: {page.keywords}.</dd>"
            for page in pages
        )
        told.append(f"<h2>{title}</h2>\n<dl>\n{rows}\n</dl>")
    return _INDEX.format(sections="\n".join(told))


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pages; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path, help="folder for the pages; made if missing")
    folder: Path = parser.parse_args(arguments).output
    folder.mkdir(parents=True, exist_ok=True)
    sections = {
        "Resources": make_pages(sorted((PROJECT / "resources").glob("*.resource")), folder),
        "Libraries": make_pages(sorted((PROJECT / "libraries").glob("*Library.py")), folder),
    }
    (folder / "index.html").write_text(index(sections), encoding="utf-8")
    print(folder / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())

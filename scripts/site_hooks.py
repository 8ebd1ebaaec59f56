"""Hooks of ``mkdocs.yml``: what the pages need that is outside ``docs``, and roles in docstrings.

mkdocs build --strict
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
OUTSIDE = {  # what is where in the site
    "data/README.md": "data.md",
    "results/growth.png": "pictures/growth.png",
    "results/scan-ablations-phases.png": "pictures/scan-ablations-phases.png",
    "results/scan-size-training.png": "pictures/scan-size-training.png",
    "results/scan-swap-matrix.png": "pictures/scan-swap-matrix.png",
}
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):<code>([\w.]+)</code>")


def on_files(files: Files, config: Any) -> Files:
    """Take up the files outside ``docs`` that pages link to."""
    for path, name in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, **context: Any) -> str:
    """Lead links to these files to where they are in the site."""
    for path, name in OUTSIDE.items():
        markdown = markdown.replace(f"](../{path})", f"]({name})")
    return markdown


def on_page_content(html: str, **context: Any) -> str:
    """Show the roles of docstrings as links to what is on the same page, and as code otherwise."""

    def link(role: re.Match[str]) -> str:
        name = role[1]
        code = f"<code>{name.rpartition('.')[2]}</code>"
        return f'<a href="#{name}">{code}</a>' if f'id="{name}"' in html else f"<code>{name}</code>"

    return ROLE.sub(link, html)

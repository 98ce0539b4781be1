"""Pages made from the code when a build begins, into `_generated/`: the theory, the claims, the API."""

from pathlib import Path
from typing import Any

import api_pages
import claim_pages
import theory_pages
from sphinx.util import logging

logger = logging.getLogger(__name__)

FOLDER = "_generated"


def write(folder: Path) -> None:
    """Write every page, and remove what an earlier build left there; a page that is the same keeps its time, and is not built again."""
    texts = {folder / name: text for maker in (theory_pages, claim_pages, api_pages) for name, text in maker.pages()}
    for path in folder.rglob("*.*"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _begin(app: Any) -> None:
    logger.info("deriving the theory, listing claims and public names")
    write(Path(app.srcdir) / FOLDER)


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", _begin)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

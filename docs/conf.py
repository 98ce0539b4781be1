"""The documentation: `python -m sphinx -W --keep-going -n -b html docs docs/_build/html`. It needs no network and no LaTeX."""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE / "_extensions"))
# derivations/ is not installed
sys.path.append(str(_HERE.parent))

import flowsim  # noqa: E402

project = "flowsim"
author = "the authors of flowsim"
copyright = author
version = release = flowsim.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "mathml", "house_docstrings", "generated"]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_extensions"]
nitpicky = True
smartquotes = False

autodoc_typehints = "none"
autodoc_inherit_docstrings = False
autodoc_class_signature = "mixed"
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"flowsim {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["flowsim.css"]
html_copy_source = False
html_show_sphinx = False

"""Settings for Sphinx, with what Jupyter Book 1 is made of: myst-nb and sphinx-book-theme."""

from tests.tools import address

project = html_title = "Knowledge distillation, hands on"
language = "en"
extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.githubpages", "tests.tools.site.formulas", "tests.tools.site.slim"]

nb_execution_mode = "off"  # the saved outputs are those of the code: tests/tools/execute.py
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "attrs_inline", "attrs_block"]
myst_heading_anchors = 4

html_theme = "sphinx_book_theme"
html_static_path = ["course.css", "course.js"]
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
# The button's name is its picture's.
copybutton_image_svg = (
    '<svg role="img" aria-label="Copy" viewBox="0 0 24 24" width="22" height="22" fill="none" stroke="currentcolor"'
    ' stroke-width="1.5">'
    '<rect x="8" y="8" width="12" height="12" rx="2"/><path d="M16 8V6a2 2 0 0 0-2-2H6a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h2"/></svg>'
)
html_favicon = "favicon.svg"
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
html_copy_source = html_use_index = False
html_show_sphinx = html_show_copyright = False
html_theme_options = {
    "repository_url": address.address(),
    "repository_branch": "main",
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "use_repository_button": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the sidebar has the search
    "footer_content_items": [],
    "search_bar_text": "Search",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

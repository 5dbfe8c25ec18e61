"""The model's own chat template renders as jinja2 does, over the whole grid of conversations."""

import re
import subprocess
import sys

from conftest import REPOSITORY


def test_template_of_the_model(build_dir, model):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests/templates/compare_templates.py",
         build_dir / "tests/templates/render_lines", model],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    counts = re.search(r"(\d+) cases, (\d+) rendered, 1 templates, 0 differ", done.stdout)
    assert counts and int(counts[2]) > 200, done.stdout

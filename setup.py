"""Builds tracelake: every `.pyx` of every room becomes `tracelake.<room>.<module>`.

The rooms stand at the repository's root and are linked into `src/tracelake/`;
extensions are named from their path through the link (docs/house.md says why).
"""

import os
import runpy
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

os.chdir(Path(__file__).parent)

# TRACELAKE_SANITIZE=1 builds with AddressSanitizer and UBSan (see `make fuzz`).
SANITIZE = os.environ.get("TRACELAKE_SANITIZE") == "1"
if SANITIZE:
    COMPILE = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"]
    LINK = ["-fsanitize=address,undefined"]
else:
    COMPILE = ["-O3", "-fno-strict-aliasing"]
    LINK = []

pyx = sorted(Path("src").glob("tracelake/*/*.pyx")) + sorted(
    Path("src").glob("tracelake/*/*/*.pyx")
)
extensions = [
    Extension(
        ".".join(path.relative_to("src").with_suffix("").parts),
        [str(path)],
        extra_compile_args=COMPILE,
        extra_link_args=LINK,
    )
    for path in pyx
]

# The TOML files, parsed: once here instead of at every start.
runpy.run_path("normalize/parsed.py")["build"]()

setup(
    packages=find_packages("src"),
    package_dir={"": "src"},
    include_package_data=False,
    package_data={
        "": ["py.typed", "*.pyx", "*.pxd", "*.pyi", "mappings/**/*.toml", "mappings/parsed.json"]
    },
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
    ext_modules=cythonize(
        extensions,
        include_path=["src"],
        compiler_directives={"language_level": "3"},
        nthreads=os.cpu_count() or 1,
    ),
)

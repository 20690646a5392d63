# Golden tests: files with RUN: lines, checked by FileCheck. Run them with `ninja lit`, or one folder
# with `lit.py -sv build/tests --filter NAME` (see doc/hacking.md).
import os
import sys

import lit.formats

config.name = "nacre"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".test", ".nac", ".tile", ".ir", ".pasm"]
config.excludes = ["Inputs", "unit", "fuzz", "lit.cfg.py", "lit.site.cfg.py.in", "CMakeLists.txt"]

if not hasattr(config, "nacre_build"):
    # Started on the source folder: take the usual build folder.
    config.nacre_source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    config.nacre_build = os.path.join(config.nacre_source, "build")
    config.nacre_llvm = True
    config.nacre_sanitize, config.nacre_cc = "", "cc"

source, build = config.nacre_source, config.nacre_build
config.test_source_root = os.path.join(source, "tests")
config.test_exec_root = os.path.join(build, "tests", "out")

llvm_bin = next((p for p in ("/usr/lib/llvm-19/bin",) if os.path.isdir(p)), "")
shared = os.environ.get("NACRE_SHARED") or os.path.join(os.path.dirname(source), "shared")

# %cc compiles a program that links to build/lib of this build.
sanitize = f" -fsanitize={config.nacre_sanitize} -fno-sanitize-recover=all" if config.nacre_sanitize else ""

# The longest names first: lit replaces in order.
config.substitutions += [
    (r"%fails", sys.executable + " " + os.path.join(source, "tests", "fails.py")),
    (r"%FileCheck", os.path.join(llvm_bin, "FileCheck") + " --dump-input-context=10"),
    (r"%examples", os.path.join(source, "examples")),
    (r"%shared", shared),
    (r"%source", source),
    (r"%build", build),
    (r"%python", sys.executable),
    (r"%cc", config.nacre_cc + sanitize),
    (r"%nacre", os.path.join(build, "nacre")),
]
path = [build, llvm_bin, os.environ.get("PATH", "")]
config.environment["PATH"] = os.pathsep.join(p for p in path if p)
for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "TMPDIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

if config.nacre_llvm:
    config.available_features.add("llvm")
if config.nacre_sanitize:
    config.available_features.add("sanitized")
if os.path.isdir(os.path.join(shared, "models")):
    config.available_features.add("shared")
try:
    for end in os.openpty():
        os.close(end)
    config.available_features.add("terminal")
except OSError:
    pass  # a machine without /dev/pts

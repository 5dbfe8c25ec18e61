#!/usr/bin/env python3
"""The tidy test: layers, sizes, banned words, file heads and dead files, read from the sources.

tidy.py ROOT [BUILD]   ROOT is the repository; BUILD, when given, is searched for kernel objects.
Prints one line per finding, `file:line: what is wrong; what to do instead`, and exits 1 if any.
"""

import bisect
import os
import re
import subprocess
import sys

MAX_LINE = 100
MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 70
MAX_KERNEL_FUNCTION_LINES = 150
MAX_PARAMETERS = 6

CODE_FOLDERS = ("src", "tests", "bench", "fuzz", "tools")
CODE_ENDINGS = (".h", ".cc", ".inl", ".cu", ".cuh")

# (pattern over code without comments and strings, where it is allowed, message)
BANNED = [
    (r"\bthrow\b", None, "`throw`: return a Status (base/status.h)"),
    (r"\bstd::cout\b", None, "`std::cout`: fmt::print in app/, base/log.h elsewhere"),
    (r"(?<![\w:])assert\s*\(", None, "`assert(`: YQ_CHECK or YQ_DCHECK (base/check.h)"),
    (r"\bsleep_for\b", r"^src/base/|_test\.cc$",
     "`sleep_for`: wait on a condition variable, or take a Clock (base/clock.h)"),
    (r"(?<![\w.>])rand\s*\(", None, "`rand(`: a counter-based generator with a seed"),
    (r"(?<!asm )(?<!asm__ )\bvolatile\b", None, "`volatile`: std::atomic"),
    (r"\busing\s+namespace\b", None, "`using namespace`: name what you use"),
    (r"(?<!operator )\bnew\b(?!\s*\()", None, "`new`: std::make_unique or a container"),
    (r"(?<!operator )\bnew\s*\(", None, "placement `new`: std::construct_at"),
    (r"(?<!operator )(?<!= )\bdelete\b", None, "`delete`: let an owner's destructor do it"),
]

BANNED_NAMES = ("common", "utils", "util", "helpers", "helper", "manager", "misc")

POSIX_HEADER = re.compile(
    r"^(sys|netinet|arpa|net|linux|asm)/|^(unistd|fcntl|pthread|sched|dirent|termios|poll|dlfcn|netdb"
    r"|pwd|grp|spawn|signal|semaphore|syslog|glob|fnmatch|ftw|ifaddrs|strings|ucontext|langinfo)\.h$")

TOKEN = re.compile(
    r'(?P<raw>(?:u8|u|U|L)?R"(?P<tag>[^()\\\s"]{0,16})\((?:.|\n)*?\)(?P=tag)")'
    r'|(?P<comment>//(?:\\\n|[^\n])*|/\*(?:.|\n)*?\*/)'
    r'|(?P<string>"(?:\\(?:.|\n)|[^"\\\n])*")'
    r"|(?P<char>(?:\b(?:u8|u|U|L)|(?<![0-9A-Za-z_]))'(?:\\.|[^'\\\n])+')")


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    """`text` with comments blanked; same length."""
    return TOKEN.sub(lambda m: blank(m[0]) if m["comment"] else m[0], text)


def without_strings(text):
    """`text` with comments and the insides of literals blanked; same length."""
    def replace(match):
        if match["comment"]:
            return blank(match[0])
        quote = '"' if match["raw"] or match["string"] else "'"
        return quote + blank(match[0][1:-1]) + quote
    return TOKEN.sub(replace, text)


def without_directives(code):
    """`code` with preprocessor lines blanked, but `#if`, `#else` and `#endif` kept for the scanner."""
    return re.sub(r"^[ \t]*#(?![ \t]*(?:if|el|endif))(?:\\\n|[^\n])*",
                  lambda m: blank(m[0]), code, flags=re.M)


class Source:
    """One file, with its text in the forms the checks need."""

    def __init__(self, root, path):
        self.path = path
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.is_data = bool(re.search(r"_data\.(cc|cu)$", path))
        self.is_test = path.endswith("_test.cc") or path.startswith("tests/")
        self.is_kernel = path.endswith(".inl") or bool(re.search(r"(^|/)kernels_[^/]*\.(cc|cu)$", path))
        self.in_src = path.startswith("src/")
        self.folder = os.path.dirname(path[len("src/"):]) if self.in_src else None
        self.uncommented = self.text if self.is_data else without_comments(self.text)
        self.code = "" if self.is_data else without_strings(self.text)
        self._starts = [0] + [m.end() for m in re.finditer("\n", self.text)]

    def line_of(self, offset):
        return bisect.bisect_right(self._starts, offset)

    def includes(self):
        """(line, header, is_quoted) of every include."""
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)',
                                 self.uncommented, re.M):
            yield self.line_of(match.start()), match[1] or match[2], match[1] is not None


class Layers:
    """The table of layers.txt."""

    def __init__(self, text):
        self.allowed = {}
        for line in text.split("\n"):
            line = line.split("#")[0].strip()
            if line:
                folder, names = line.split(":")
                self.allowed[folder.strip()] = names.split()

    def folder_of(self, header):
        """The longest listed folder that holds `header`, or None."""
        folder = os.path.dirname(header)
        while folder and folder not in self.allowed:
            folder = os.path.dirname(folder)
        return folder or None

    def permits(self, source, header):
        own = self.folder_of(source.path[len("src/"):])
        names = self.allowed.get(own, [])
        target = self.folder_of(header)
        if "-" + header in names:
            return False
        if target == own or "*" in names or target in names or header in names:
            return True
        name = os.path.basename(header)
        is_double = re.search(r"(^|_)fake[_.]", name) is not None
        return source.is_test and (is_double or target in self.allowed.get("(tests)", []))


# ---- the shape of C++: functions with their lines and parameters -----------------------------

# `struct A`, `class alignas(64) A final : public B<int (*)(int)>`, but not `struct stat f(int fd)`.
TYPE_HEAD = re.compile(r"(?:typedef\s+)?(?:class|struct|union|enum(?:\s+class|\s+struct)?)\b"
                       r"(?:\s*alignas\s*\([^)]*\)|\s*\[\[.*?\]\])*[\w\s<>,]*(?:::[\w\s<>,]+)*(?::(?!:)|$)")


def top_level(text):
    """`text` with everything inside (), [] and {} blanked."""
    out, depth = [], 0
    for c in text:
        if c in "([{":
            depth += 1
            out.append(c if depth == 1 else " ")
        elif c in ")]}":
            out.append(c if depth == 1 else " ")
            depth = max(0, depth - 1)
        else:
            out.append(c if depth == 0 else " ")
    return "".join(out)


def has_initializer(header):
    """True when an `=` outside brackets makes this a variable, not a function."""
    flat = re.sub(r"operator\s*[^\s\w(]+", "operator", top_level(header))
    flat = re.sub(r"[=!<>]=|<=>", "", flat)
    flat = re.sub(r"=\s*(0|default|delete)\s*$", "", flat)
    return "=" in drop_template_heads(flat)


def drop_template_heads(text):
    """`text` without leading `template <...>` and access specifiers."""
    text = text.strip()
    while True:
        access = re.match(r"(public|private|protected)\s*:", text)
        if access:
            text = text[access.end():].strip()
            continue
        if not re.match(r"template\s*<", text):
            return text
        depth, end = 0, len(text)
        for match in re.finditer(r"[<>]", text):
            depth += 1 if match[0] == "<" else -1
            if depth == 0:
                end = match.end()
                break
        text = text[end:].strip()


def classify(header):
    """What the brace after `header` opens at namespace or class level."""
    header = drop_template_heads(header)
    if re.search(r"\bnamespace\b", header) or re.match(r'extern\s*"', header):
        return "container"
    if TYPE_HEAD.match(header):
        return "container"
    return "other" if ")" not in header or has_initializer(header) else "function"


def parameter_list(header):
    """The text between the parentheses that declare a function's parameters, or None."""
    header = drop_template_heads(header)
    for match in re.finditer(r"([\w~]+|operator\s*(?:\(\s*\)|[^\s\w(]+))\s*\(", header):
        if match[1] in ("alignas", "decltype", "noexcept", "requires", "explicit", "__attribute__",
                        "sizeof", "TEST", "TEST_F", "TEST_P"):
            continue
        depth = 1
        for offset in range(match.end(), len(header)):
            depth += {"(": 1, ")": -1}.get(header[offset], 0)
            if depth == 0:
                return header[match.end():offset]
        return None
    return None


def count_parameters(text):
    text = re.sub(r"->|<<|>=|<=", "  ", text)
    depth, commas = 0, 0
    for c in text:
        if c in "(<[{":
            depth += 1
        elif c in ")>]}":
            depth -= 1
        elif c == "," and depth == 0:
            commas += 1
    return commas + 1 if text.strip() else 0


class Function:
    def __init__(self, header, start, end):
        self.header, self.start, self.end = header, start, end

    def name(self):
        flat = drop_template_heads(self.header)
        test = re.match(r"(TEST(?:_F|_P)?)\s*\(\s*([\w]+)\s*,\s*([\w]+)", flat)
        if test:
            return f"{test[2]}.{test[3]}"
        match = re.search(r"([\w:~]+|operator\s*\S+?)\s*\(", flat)
        return match[1] if match else flat[:40]


def find_functions(code):
    """(definitions, declarations) at namespace and class level, as Functions with offsets.

    A stack of open brackets is enough: inside a function every brace is just nesting. The branches
    of an #if are alternatives, so each starts from the stack that the first one started from.
    """
    code = without_directives(code)
    definitions, declarations = [], []
    stack = []       # (kind, header, start)
    saved = []       # stacks at the open #ifs
    boundary = 0     # where the header being read began

    def at_container():
        return not stack or stack[-1][0] == "container"

    for match in re.finditer(r"[{}();]|^[ \t]*#[ \t]*(if|el|endif)(?:\\\n|[^\n])*", code, re.M):
        token, at = match[0], match.start()
        if match[1]:
            if match[1] == "if":
                saved.append(list(stack))
            elif match[1] == "el" and saved:
                stack = list(saved[-1])
            elif match[1] == "endif" and saved:
                saved.pop()
            if at_container():
                boundary = match.end()
        elif token == "(":
            stack.append(("paren", "", at))
        elif token == ")":
            if stack and stack[-1][0] == "paren":
                stack.pop()
        elif token == "{":
            header = code[boundary:at]
            kind = classify(header) if at_container() else "block"
            start = boundary + len(header) - len(header.lstrip())
            header = header.strip()
            if at_container() and re.match(r"$|,", header) and definitions and (
                    definitions[-1].end == boundary - 1):
                # That was no body but a member's braces in a constructor's list: `: a_{1}, b_{2} {`.
                begun = definitions.pop()
                kind, header, start = "function", begun.header, begun.start
            stack.append((kind, header, start))
            if kind == "container":
                boundary = at + 1
        elif token == "}":
            while stack and stack[-1][0] == "paren":
                stack.pop()
            if stack:
                kind, header, start = stack.pop()
                if kind == "function":
                    definitions.append(Function(header, start, at))
            if at_container():
                boundary = at + 1
        elif at_container():
            header = code[boundary:at].strip()
            if header.endswith(")") or re.search(r"\)\s*[\w&=\s]+$", header):
                if not has_initializer(header) and not header.startswith(("using", "typedef")):
                    declarations.append(Function(header, boundary, at))
            boundary = at + 1
    return definitions, declarations


# ---- the checks --------------------------------------------------------------------------------


def check_layers(source, layers):
    if not source.in_src:
        return
    own = layers.folder_of(source.path[len("src/"):])
    if own is None:
        yield 1, f"folder {source.folder} is not in tests/tidy/layers.txt: add it with its edges"
        return
    for line, header, quoted in source.includes():
        if quoted and "/" not in header:
            yield line, f'"{header}": write the path from src/, as "{source.folder}/{header}"'
        elif quoted and not layers.permits(source, header):
            target = layers.folder_of(header) or header
            yield line, (f'{own} must not include "{header}" ({own} -> {target} is no edge of '
                         "tests/tidy/layers.txt): move the code, or pass the value in")


def check_headers(source):
    if not source.in_src:
        return
    for line, header, quoted in source.includes():
        if quoted:
            continue
        boost_home = source.path == "src/base/json.cc" or re.match(r"src/http/[^/]+\.cc$", source.path)
        if header.startswith("boost/") and not boost_home:
            yield line, f"<{header}>: Boost stays in base/json.cc and http/*.cc; use base/json.h or http/"
        if POSIX_HEADER.search(header) and not source.path.startswith(("src/base/", "src/http/")):
            yield line, f"<{header}>: POSIX stays in base/ and http/; ask base/ for what you need"


def check_sizes(source):
    if source.is_data:
        return
    if len(source.lines) > MAX_FILE_LINES:
        yield 1, f"{len(source.lines)} lines, want at most {MAX_FILE_LINES}: split it by idea"
    limit = MAX_KERNEL_FUNCTION_LINES if source.is_kernel else MAX_FUNCTION_LINES
    definitions, declarations = find_functions(source.code)
    for function in definitions:
        first, last = source.line_of(function.start), source.line_of(function.end)
        if last - first + 1 > limit:
            yield first, (f"{function.name()} has {last - first + 1} lines, want at most {limit}: "
                          "name its parts")
    for function in definitions + declarations:
        parameters = parameter_list(function.header)
        count = count_parameters(parameters) if parameters is not None else 0
        if count > MAX_PARAMETERS:
            line = source.line_of(function.end - 1 if function in declarations else function.start)
            yield line, (f"{function.name()} takes {count} parameters, want at most "
                         f"{MAX_PARAMETERS}: make a struct of those that belong together")


def check_lines(source):
    if source.is_data:
        return
    for number, line in enumerate(source.lines, 1):
        if len(line) > MAX_LINE and "://" not in line:
            yield number, f"{len(line)} columns, want at most {MAX_LINE}: break the line"


def check_head(source):
    if not re.match(r"(//|/\*) ?\S", source.lines[0] if source.lines else ""):
        yield 1, "no head: begin with a comment that says what the file is for"
    if source.path.endswith((".h", ".cuh")) and not re.search(r"^#pragma once$", source.text, re.M):
        yield 1, "no `#pragma once`: add it below the head"


def check_words(source):
    for match in re.finditer(r"\b(TODO|FIXME|XXX)\b", source.text):
        if source.in_src and not source.is_data:
            yield source.line_of(match.start()), f"`{match[1]}`: open an issue, or do it now"
    if not source.in_src:
        return
    code = re.sub(r"^[ \t]*#[ \t]*(include|error|pragma)[^\n]*", lambda m: blank(m[0]), source.code,
                  flags=re.M)
    for pattern, allowed, message in BANNED:
        if allowed and re.search(allowed, source.path):
            continue
        for match in re.finditer(pattern, code):
            yield source.line_of(match.start()), message
    if not source.path.startswith("src/base/"):
        for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+YQ_\w+", code, re.M):
            yield source.line_of(match.start()), "YQ_ macro outside base/: write a function"
    if not source.path.startswith("src/ops/cuda/"):
        for match in re.finditer(r"^[ \t]*#[ \t]*(if|el)[^\n]*CUDA", code, re.M):
            yield source.line_of(match.start()), "#if for CUDA: ask the factory in ops/cuda/ at run time"


def check_model_names(source):
    if not source.in_src or source.is_test:
        return
    if re.match(r"src/(model|checkpoint|text)/|src/hub/[^/]*catalogue[^/]*$", source.path):
        return
    for match in re.finditer(r'"qwen', source.uncommented, re.I):
        yield source.line_of(match.start()), (
            "a model's name: it belongs in model/, checkpoint/, text/ or the hub's catalogue")


def check_names(source):
    for part in re.split(r"[/._]", source.path):
        if part in BANNED_NAMES:
            yield 1, f"`{part}` in a path says nothing: name the thing"


def check_dead_files(sources):
    included = set()
    for source in sources:
        for _, header, _ in source.includes():
            included.add(header)
            included.add(os.path.normpath(os.path.join(os.path.dirname(source.path), header)))
    for source in sources:
        if source.path.endswith((".h", ".inl", ".cuh")):
            path = source.path[len("src/"):] if source.in_src else source.path
            if path not in included and source.path not in included:
                yield source.path, 1, "nobody includes this file: use it or remove it"


def check_kernel_objects(build):
    """Kernel objects must define no weak symbols: the linker keeps one copy of each, and the copy
    compiled with the widest instructions would crash older machines."""
    cache = ""
    if os.path.exists(os.path.join(build, "CMakeCache.txt")):
        with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as file:
            cache = file.read()
    # Without optimisation, and with sanitizers, inlining fails by design; such builds run at home.
    if re.search(r"^YUNQI_SANITIZE:\w+=.+", cache, re.M) or re.search(
            r"^CMAKE_BUILD_TYPE:\w+=(Debug)?$", cache, re.M):
        return
    for folder, _, names in os.walk(build):
        for name in names:
            if re.match(r"kernels_.*\.(o|obj)$", name):
                path = os.path.join(folder, name)
                listing = subprocess.run(["nm", "-C", path], capture_output=True, text=True, check=False)
                for line in listing.stdout.split("\n"):
                    symbol = re.match(r"[0-9a-f]+ ([WVu]) (.*)", line)
                    if symbol:
                        yield path, 0, (f"weak symbol {symbol[2]}: put it in an anonymous namespace "
                                        "or make it always_inline")


def read_sources(root):
    for top in CODE_FOLDERS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(names):
                if name.endswith(CODE_ENDINGS):
                    yield Source(root, os.path.relpath(os.path.join(folder, name), root))


def find_all(root, build=None):
    """Every finding as (path, line, message), in order of path and line."""
    with open(os.path.join(root, "tests/tidy/layers.txt"), encoding="utf-8") as file:
        layers = Layers(file.read())
    sources = list(read_sources(root))
    findings = []
    for source in sources:
        checks = (check_layers(source, layers), check_headers(source), check_sizes(source),
                  check_lines(source), check_head(source), check_words(source),
                  check_model_names(source), check_names(source))
        for check in checks:
            findings += [(source.path, line, message) for line, message in check]
    findings += check_dead_files(sources)
    if build:
        findings += check_kernel_objects(build)
    return sorted(findings)


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    findings = find_all(arguments[1], arguments[2] if len(arguments) == 3 else None)
    for path, line, message in findings:
        print(f"{path}:{line}: {message}")
    print(f"tidy: {len(findings)} findings" if findings else "tidy: clean")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

#!/usr/bin/env python3
"""Tests of tidy.py: each rule is fed a tree with one fault and must name it, and only it."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = "// Made for a test.\n"


def function(lines, signature="void f()"):
    """A function of exactly `lines` lines."""
    return f"{signature} {{\n" + "  g();\n" * (lines - 2) + "}\n"


class TidyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        with open(os.path.join(HERE, "layers.txt"), encoding="utf-8") as file:
            self.write("tests/tidy/layers.txt", file.read())

    def write(self, path, text):
        path = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def findings(self, files, build=None):
        for path, text in files.items():
            self.write(path, text)
        return tidy.find_all(self.folder.name, build)

    def expect(self, path, text, *wanted, line=None):
        """Expects one finding per item of `wanted`, which its message contains."""
        found = self.findings({path: text})
        os.remove(os.path.join(self.folder.name, path))
        self.assertEqual(len(found), len(wanted), found)
        for (_, at, message), part in zip(found, wanted):
            self.assertIn(part, message)
            if line is not None:
                self.assertEqual(at, line, message)

    # ---- layers

    def test_allowed_edges_pass(self):
        for path, header in [("src/text/a.cc", "base/json.h"), ("src/text/a.cc", "text/b.h"),
                             ("src/hub/a.cc", "http/client.h"), ("src/app/a.cc", "engine/engine.h"),
                             ("src/ops/cpu/a.cc", "ops/ops.h"), ("src/service/a.cc", "http/server.h"),
                             ("src/model/a_test.cc", "ops/cpu/cpu.h"),
                             ("src/engine/a_test.cc", "runtime/fake_engine.h")]:
            self.expect(path, f'{HEAD}#include "{header}"\n')

    def test_other_edges_are_found(self):
        for path, header in [("src/base/a.cc", "text/b.h"), ("src/text/a.cc", "tensor/b.h"),
                             ("src/engine/a.cc", "text/b.h"), ("src/engine/a.cc", "base/json.h"),
                             ("src/model/a.cc", "http/server.h"), ("src/hub/a.cc", "http/server.h"),
                             ("src/service/a.cc", "tensor/b.h"), ("src/service/a.cc", "http/client.h"),
                             ("src/ops/a.cc", "ops/cpu/b.h"), ("src/model/a.cc", "ops/cpu/b.h"),
                             ("src/engine/a.cc", "runtime/fake_engine.h"),
                             ("src/text/a_test.cc", "engine/engine.h")]:
            self.expect(path, f'{HEAD}#include "{header}"\n', "must not include", line=2)

    def test_unknown_folders_and_bare_names_are_found(self):
        self.expect("src/magic/a.cc", HEAD, "not in tests/tidy/layers.txt")
        self.expect("src/text/a.cc", f'{HEAD}#include "b.h"\n', "write the path from src/")

    def test_a_commented_include_is_none(self):
        self.expect("src/base/a.cc", f'{HEAD}// #include "text/b.h"\n/*\n#include "text/b.h"\n*/\n')

    def test_boost_and_posix_stay_at_home(self):
        self.expect("src/text/a.cc", f"{HEAD}#include <boost/json.hpp>\n", "Boost stays")
        self.expect("src/base/a.cc", f"{HEAD}#include <boost/asio.hpp>\n", "Boost stays")
        self.expect("src/base/json.cc", f"{HEAD}#include <boost/json/basic_parser_impl.hpp>\n")
        self.expect("src/http/a.cc", f"{HEAD}#include <boost/asio.hpp>\n")
        self.expect("src/http/a_test.cc", f"{HEAD}#include <boost/asio.hpp>\n")
        self.expect("src/hub/a.cc", f"{HEAD}#include <unistd.h>\n#include <sys/stat.h>\n",
                    "POSIX stays", "POSIX stays")
        self.expect("src/base/a.cc", f"{HEAD}#include <sys/mman.h>\n#include <fcntl.h>\n")
        self.expect("src/hub/a.cc", f"{HEAD}#include <cstdio>\n#include <csignal>\n")

    # ---- sizes

    def test_files_at_the_limit_and_one_over(self):
        self.expect("src/base/a.cc", HEAD + "int x;\n" * (tidy.MAX_FILE_LINES - 1))
        self.expect("src/base/a.cc", HEAD + "int x;\n" * tidy.MAX_FILE_LINES, "801 lines")
        self.expect("src/base/a_data.cc", HEAD + "int x;\n" * 2000)

    def test_functions_at_the_limit_and_one_over(self):
        self.expect("src/base/a.cc", HEAD + function(70))
        self.expect("src/base/a.cc", HEAD + function(71), "f has 71 lines", line=2)
        self.expect("src/ops/cpu/kernels_avx2.cc", HEAD + function(150))
        self.expect("src/ops/cpu/kernels_avx2.cc", HEAD + function(151), "f has 151 lines")

    def test_every_shape_of_function_is_measured(self):
        long = "".join("    g({1, 2});\n" for _ in range(70))
        shapes = [
            "namespace a {\nnamespace {\nint f(int x) {\n%s}\n}\n}\n",
            "class A {\n public:\n  int f() const noexcept override {\n%s  }\n  int x_ = 0;\n};\n",
            "A::A(int x)\n    : b_(x), c_{x} {\n%s}\n",
            "A::~A() {\n%s}\n",
            "bool A::operator==(const A& o) const {\n%s}\n",
            "void A::operator()(int x) {\n%s}\n",
            "template <typename T, int N = 3>\n  requires (N > 2)\nT f(T x, int y = 2) {\n%s}\n",
            "auto f(int x) -> std::vector<int> {\n%s}\n",
            "TEST(Suite, Case) {\n%s}\n",
            "void f() {\n  const auto inner = [&](int i) {\n%s  };\n  inner(1);\n}\n",
            'extern "C" {\nint f(void) {\n%s}\n}\n',
            "struct stat f(int fd) {\n%s}\n",
            "std::array<int, 3> f(std::function<void(int)> g = {}) {\n%s}\n",
            "#ifdef A\nvoid f() {\n#else\nvoid g() {\n#endif\n%s}\n",
            "void f() {\n  const char* s = R\"x(}}}{)\" \")x\";\n  char c = '}';  // }\n%s}\n",
            "#define M(x) \\\n  { x }\nint z = 1'000'000;\nvoid f() {\n%s}\n",
        ]
        for shape in shapes:
            with self.subTest(shape):
                self.expect("src/base/a.cc", HEAD + shape % long, "want at most 70")

    def test_tables_and_types_are_no_functions(self):
        rows = "".join(f"    {{{i}, f({i})}},\n" for i in range(100))
        for shape in ["constexpr Row kTable[] = {\n%s};\n", "const std::vector<Row> kRows{\n%s};\n",
                      "enum class E : int {\n%s};\n", "struct alignas(64) S {\n%s};\n",
                      "class F final : public G<int (*)(int)> {\n%s};\n"]:
            self.expect("src/base/a.cc", HEAD + shape % rows)

    def test_parameters_at_the_limit_and_one_over(self):
        six = "int a, std::map<int, int> b, F<void(int, int)> c, int d = g(1, 2),\nint e = {}, int f"
        for shape in ["void f(%s) {}\n", "void f(%s);\n", "class A {\n  A(%s);\n};\n",
                      "struct A {\n  virtual int f(%s) const = 0;\n};\n",
                      "template <int A, int B>\nint f(%s) { return 0; }\n"]:
            self.expect("src/base/a.cc", HEAD + shape % six)
            self.expect("src/base/a.cc", HEAD + shape % (six + ", int g"), "takes 7 parameters")

    def test_lines_at_the_limit_and_one_over(self):
        self.expect("src/base/a.cc", HEAD + "//" + "x" * 98 + "\n")
        self.expect("src/base/a.cc", HEAD + "//" + "x" * 99 + "\n", "101 columns", line=2)
        self.expect("src/base/a.cc", HEAD + "//" + "\u00e4" * 98 + "\n")
        self.expect("src/base/a.cc", HEAD + "// https://" + "x" * 200 + "\n")

    # ---- words and heads

    def test_banned_words(self):
        for code, wanted in [("throw 1;", "Status"), ("std::cout << 1;", "base/log.h"),
                             ("assert(x);", "YQ_CHECK"), ("std::this_thread::sleep_for(x);", "Clock"),
                             ("int x = rand();", "seed"), ("volatile int x;", "std::atomic"),
                             ("using namespace std;", "name what you use"),
                             ("auto x = new int;", "make_unique"), ("new (p) int;", "construct_at"),
                             ("delete x;", "destructor"), ("// TODO: x", "open an issue"),
                             ("#define YQ_X 1", "YQ_ macro"), ("#ifdef YUNQI_CUDA\n#endif", "CUDA")]:
            self.expect("src/text/a.cc", f"{HEAD}{code}\n", wanted, line=2)

    def test_what_only_looks_banned_passes(self):
        for code in ["// throw, new and delete are words\n", 'auto s = "throw new delete";\n',
                     "static_assert(true);\n", "A(const A&) = delete;\n", "int operand(int x);\n",
                     "void operator delete(A* a);\n", "#include <new>\n", "int renew = 1;\n",
                     'asm volatile("pause");\n', "x.rand();\n", 'auto s = R"(\nthrow "new")";\n']:
            self.expect("src/text/a.cc", HEAD + code)
        self.expect("src/base/a.cc", f"{HEAD}std::this_thread::sleep_for(x);\n")
        self.expect("src/text/a_test.cc", f"{HEAD}std::this_thread::sleep_for(x);\n")
        self.expect("src/ops/cuda/a.cc", f"{HEAD}#ifdef YUNQI_CUDA\n#endif\n")
        self.expect("bench/a.cc", f"{HEAD}throw 1;\n")

    def test_heads(self):
        self.expect("src/base/a.cc", "int x;\n", "no head")
        self.expect("src/base/a.cc", "", "no head")
        self.expect("tests/api/a.cc", "\n// Late.\n", "no head")
        self.expect("src/base/a.cc", "/* C style. */\n")

    def test_model_names(self):
        code = f'{HEAD}auto s = "qwen3:0.6b";\n'
        self.expect("src/engine/a.cc", code, "a model's name", line=2)
        self.expect("src/app/a.cc", f'{HEAD}auto s = "Qwen3ForCausalLM";\n', "a model's name")
        for path in ["src/model/a.cc", "src/text/a.cc", "src/checkpoint/a.cc", "src/app/a_test.cc",
                     "src/hub/catalogue.cc", "src/hub/catalogue_data.cc", "tests/api/a.cc"]:
            self.expect(path, code)
        self.expect("src/engine/a.cc", f'{HEAD}// Not "qwen3" here.\n')

    def test_names_that_say_nothing(self):
        self.expect("src/base/utils.cc", HEAD, "`utils`")
        self.expect("src/text/string_helpers.cc", HEAD, "`helpers`")
        self.expect("src/text/manageress.cc", HEAD)
        self.expect("src/text/manager/a.cc", HEAD, "`manager`")

    # ---- whole trees

    def test_dead_headers(self):
        header = HEAD + "#pragma once\n"
        found = self.findings({"src/base/a.h": header, "src/base/b.h": header, "src/ops/c.inl": HEAD,
                               "tests/sim/d.h": header,
                               "src/base/a.cc": f'{HEAD}#include "base/a.h"\n',
                               "tests/sim/d.cc": f'{HEAD}#include "d.h"\n'})
        self.assertEqual([path for path, _, _ in found], ["src/base/b.h", "src/ops/c.inl"])
        self.assertTrue(all("nobody includes" in message for _, _, message in found))

    def test_headers_guard_themselves(self):
        found = self.findings({"src/base/a.h": HEAD, "src/base/a.cc": f'{HEAD}#include "base/a.h"\n'})
        self.assertEqual([(path, message[:16]) for path, _, message in found],
                         [("src/base/a.h", "no `#pragma once")])

    def test_weak_symbols_in_kernel_objects(self):
        compiler = os.environ.get("CXX", "c++")
        build = os.path.join(self.folder.name, "build")
        for name, code in [("kernels_good.cc", "namespace { int g() { return 1; } } int f() { return g(); }"),
                           ("kernels_bad.cc", "inline int g() { return 1; } int (*f())() { return g; }"),
                           ("other.cc", "inline int h() { return 1; } int (*f())() { return h; }")]:
            self.write(f"build/{name}", code)
            try:
                subprocess.run([compiler, "-O2", "-c", f"{build}/{name}", "-o", f"{build}/{name}.o"],
                               check=True, capture_output=True)
            except FileNotFoundError:
                self.skipTest(f"no compiler named {compiler}")
        self.write("build/CMakeCache.txt", "CMAKE_BUILD_TYPE:STRING=Release\nYUNQI_SANITIZE:STRING=\n")
        found = self.findings({}, build)
        self.assertEqual([os.path.basename(path) for path, _, _ in found], ["kernels_bad.cc.o"])
        self.assertIn("weak symbol g()", found[0][2])
        self.write("build/CMakeCache.txt", "CMAKE_BUILD_TYPE:STRING=Debug\n")
        self.assertEqual(self.findings({}, build), [])

    def test_the_program_exits_with_its_verdict(self):
        program = [sys.executable, os.path.join(HERE, "tidy.py"), self.folder.name]
        clean = subprocess.run(program, capture_output=True, text=True, check=False)
        self.assertEqual((clean.returncode, clean.stdout), (0, "tidy: clean\n"))
        self.write("src/base/a.cc", "int x;\n")
        dirty = subprocess.run(program, capture_output=True, text=True, check=False)
        self.assertEqual(dirty.returncode, 1)
        self.assertIn("src/base/a.cc:1: no head", dirty.stdout)
        self.assertEqual(subprocess.run(program[:2], capture_output=True, check=False).returncode, 2)


if __name__ == "__main__":
    unittest.main()

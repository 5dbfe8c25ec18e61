"""Writes tests/golden/jinja_cases.json: small templates of our own with jinja2's true output.

Run with jinja2 and transformers installed: python3 tools/make_template_cases.py
Each case is {"template", "variables" (absent: the shared ones), "ok": text} or {..., "error": true}.
The environment is the one Hugging Face renders chat templates in.
"""

import copy
import json
import pathlib
import warnings

from transformers.utils import chat_template_utils

SHARED = {
    "s": "Hello World", "u": "Grüße, Ελλάς 中文 😀", "empty": "", "spaces": " \t x y \n ",
    "n": 7, "neg": -3, "zero": 0, "f": 2.5, "big": 1e16, "small": 1e-05, "t": True, "no": False,
    "nil": None, "l": [3, 1, 2], "words": ["b", "A", "c"], "mixed": [1, "a", None, True, 2.0, [], {}],
    "d": {"b": 1, "a": 2, "items": "own", "keys_": 3}, "nested": {"x": {"y": [10, {"z": "deep"}]}},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25},
               {"name": "Cyd", "age": 30, "tags": []}],
    "quotes": ["it's", 'say "hi"', "both ' and \"", "back\\slash", "nl\n", "\x7f\u200b\u00a0é"],
    "html": "<a href=\"x\">'&'</a>", "long": "The quick brown fox jumps over the lazy dog",
    "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}],
}

# One expression a line; a line that ends in a backslash goes on in the next one.
EXPRESSIONS = (pathlib.Path(__file__).parent / "template_expressions.txt").read_text()

TEMPLATES = [
    # White space control.
    "a {% if true %} b {% endif %} c", "a\n{% if true %}\nb\n{% endif %}\nc\n", "  {% if true %}x{% endif %}",
    "a  {%- if true -%}  b  {%- endif -%}  c", "a\n  {% set x = 1 %}\nb", "a\n  {%+ set x = 1 %}\nb",
    "a\n  {% set x = 1 +%}\nb", "a {#- c -#} b", "a\n  {# c #}\nb", "a\n{# c +#}\nb", "a\n  {#+ c #}\nb",
    "  {{ 1 }}  \n {{ 2 }}\n", "a\n {{- 1 -}} \nb", "{{ 1 }}\n", "{{ 1 }}\n\n", "\n{{ 1 }}", "x\r\ny\rz\n",
    "{% if true %}\r\nx\r\n{% endif %}\r\n", "\t {% if true %}\n\t x\n\t {% endif %}\n", "x {% if true %}\n y{% endif %}",
    "{% for i in [1,2] %}\n  {{ i }}\n{% endfor %}\n", "{% for i in [1,2] -%}\n  {{ i }}\n{%- endfor %}\n",
    "{% raw %}{{ x }} {% y %}{% endraw %}", "a\n {% raw %}\n {{ x }}\n {% endraw %}\nb", "a {%- raw -%} x {%- endraw -%} b",
    "a {% raw -%}  x{% endraw +%}\nb", "{{ '{%' }}{{ '%}' }}", "{ {{ 1 }} } {%", "{{ 1 }}{", "{ % x %}", "{% raw %}x",
    "{{", "{{ 1", "{% if", "{% if true %}", "{% endif %}", "{% for %}{% endfor %}", "{% nope %}", "{% %}", "{{}}", "{{ }}",
    "\u3000{% if true %}x{% endif %}", "a\n\u00a0{% if true %}x{% endif %}", "{{-1}}", "{{- 1}}", "{{+1}}", "{{ 1 +}}",
    "{%if true%}x{%endif%}", "{%-if true-%} x {%-endif-%}", "{{ {'a': {'b': 1}}['a']['b'] }}", "{{ {'a':{}} }}",
    "a\n\n  {%- if true %}\n\n b{% endif %}", "{% if true %}\n\nx{% endif %}", "{# a #}{# b #}\nc", "{# {{ x }} {% y %} #}z",
    "a{# #}\n\n b", "{% set x = 1 %}  \nb", "  {% set x = 1 -%}  \n b", "{%- set x = 1 %} b",
    # Branches.
    "{% if s %}1{% elif n %}2{% else %}3{% endif %}", "{% if empty %}1{% elif n %}2{% else %}3{% endif %}",
    "{% if empty %}1{% elif zero %}2{% else %}3{% endif %}", "{% if missing %}1{% endif %}",
    "{% if l and d %}x{% endif %}{% if not nil %}y{% endif %}", "{% if 0.0 %}1{% endif %}{% if [] %}2{% endif %}{% if {} %}3{% endif %}",
    "{% if n > 5 and n < 10 %}in{% endif %}", "{% if a, b %}x{% endif %}", "{% if false %}{{ 1|nope }}{% endif %}x",
    "{% if true %}{{ 1|nope }}{% endif %}x", "{% if false %}{% for x in l %}{{ x|nope }}{% endfor %}{% endif %}x",
    "{% if false %}{{ 1 is nope }}{% endif %}x",
    # Loops.
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in [] %}a{% else %}b{% endfor %}", "{% for x in missing %}a{% else %}b{% endfor %}",
    "{% for x in nil %}a{% endfor %}", "{% for x in 5 %}a{% endfor %}", "{% for c in u %}[{{ c }}]{% endfor %}",
    "{% for k in d %}{{ k }} {% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }} {% endfor %}",
    "{% for k, v in d|items %}{{ loop.index }}{{ k }}={{ v }} {% endfor %}", "{% for a, b in [[1, 2], (3, 4)] %}{{ a + b }} {% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}", "{% for a, b in [1] %}{{ a }}{% endfor %}", "{% for a, b in ['xy'] %}{{ b }}{{ a }}{% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", 
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in l %}{{ loop.depth }}{{ loop.depth0 }}{% for y in l %}{{ loop.index }}{% endfor %} {% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}",
    "{% for x in l if x > 5 %}{{ x }}{% else %}none{% endfor %}", "{% set ns = namespace(go=true) %}{% for x in l if ns.go %}{{ x }}{% set ns.go = false %}{% endfor %}",
    "{% set ns = namespace(go=true) %}{% for x in l if ns.go %}{{ x }}{{ loop.last }}{% set ns.go = false %}{% endfor %}", "{% for x in l %}{% if loop.index == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% break %}{% else %}e{% endfor %}", "{% for x in l %}{% continue %}{% else %}e{% endfor %}",
    "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}", "{% break %}", "{% for x in 'ab', 'cd' %}{{ x }}-{% endfor %}",
    "{% set x = 9 %}{% for x in l %}{{ x }}{% endfor %}{{ x }}", "{% set x = 9 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "{% for i in l %}{{ x }}{% set x = i %}{% endfor %}",
    "{% for i in l %}{% if i == 1 %}{% set x = 5 %}{% endif %}{{ x }}|{% endfor %}", "{% set x = 'o' %}{% for i in l %}{% if i == 1 %}{% set x = 5 %}{% endif %}{{ x }}|{% endfor %}", "{% for x in l %}{% endfor %}{{ x }}",
    "{% for m in messages %}{{ m.role }}{% if not loop.last %},{% endif %}{% endfor %}", "{% for m in messages[::-1] %}{{ loop.index0 }}{{ m['content'] }}{% endfor %}", "{% for x in l|sort %}{{ x }}{% endfor %}",
    "{% for x in range(3) %}{% for y in range(x) %}{{ x }}{{ y }} {% endfor %}{% endfor %}", "{% for i in range(5) %}{{ loop.nextitem }}{% endfor %}", "{% for x in l %}{{ loop['index'] }}{% endfor %}",
    "{% for x in l %}{{ loop.nope }}{% endfor %}", "{% for x in l %}{% set y = loop %}{{ y.index }}{% endfor %}", "{% for x in words|map('upper') %}{{ loop.length }}{{ x }}{% endfor %}", "{% for x in l|reverse %}{{ x }}{{ loop.last }}{% endfor %}",
    "{% set g = words|map('upper') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% endfor %}", "{% for x in l %}{{ loop.length }}{{ loop.last }}{% endfor %}", "{% for x in [[1,[2]]] %}{{ x[1][0] }}{% endfor %}",
    # Assignments and scopes.
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x = 1, 2 %}{{ x }}", "{% set (x, y) = [3, 4] %}{{ x }}{{ y }}", "{% set x, y = [1] %}",
    "{% set x %}a {{ n }} b{% endset %}[{{ x }}]", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | replace('a', 'b') | upper %}aa{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{% endset %}{{ y }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace(t=0) %}{% for x in l %}{% set ns.t = ns.t + x %}{% endfor %}{{ ns.t }}", "{% set ns = namespace(a=1, b=[1]) %}{{ ns }}",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace() %}{% set ns.a %}x{{ n }}{% endset %}{{ ns.a }}", "{% set d.x = 1 %}", "{% set missing.x = 1 %}", "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% set ns = namespace(a=1) %}{% set ns.a, b = 5, 6 %}{{ ns.a }}{{ b }}", "{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "{% if false %}{% set n = 1 %}{% endif %}{{ n }}", "{% set n = n + 1 %}{{ n }}", "{% set loop = 1 %}{{ loop }}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set z = 1 %}{{ z }}{% endwith %}{{ z }}", "{% with a = 1 %}{% with a = a + 1 %}{{ a }}{% endwith %}{{ a }}{% endwith %}", "{% set a = 5 %}{% with a = 1, b = a %}{{ b }}{% endwith %}",
    "{% set true = 1 %}", "{% set x = %}", "{% set 1 = 2 %}", "{% set x == 2 %}", "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aa{% endfilter %}", "{% filter upper %}{% set q = 1 %}{% endfilter %}{{ q }}",
    "{% filter indent(2) %}a\nb{% endfilter %}", "{% filter trim %}  x  {% endfilter %}", "{% generation %}a{{ n }}{% endgeneration %}", "{% generation %}{% set x = 1 %}{% endgeneration %}{{ x }}", "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    # Macros.
    "{% macro m() %}x{% endmacro %}{{ m() }}{{ m() }}", "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(b=5, a=4) }} {{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=1) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(3) }}", "{% macro m(a=x) %}{{ a }}{% endmacro %}{% set x = 7 %}{{ m() }}",
    "{% macro m() %}{{ x }}{% endmacro %}{% set x = 7 %}{{ m() }}", "{% macro m() %}{{ n }}{% endmacro %}{{ m() }}", "{% macro m() %}{% set x = 1 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}", "{% macro m(k) %}{% if k > 0 %}{{ k }}{{ m(k - 1) }}{% endif %}{% endmacro %}{{ m(5) }}",
    "{% macro m() %}<b>{% endmacro %}{{ m()|e }}{{ m() + '<' }}", "{% macro m() %}  {{ 1 }}  {% endmacro %}[{{ m() }}]", "{% macro m(a, b) %}{{ a }}-{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 1, 'b': 2}) }}", "{% macro m(a, b) %}{{ a }}{% endmacro %}{{ m(b=1, a=2) }}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{{ n }}{% endcall %}", "{% macro m() %}[{{ caller(5) }}]{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}in{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m() %}{% if caller %}{{ caller() }}{% else %}no{% endif %}{% endmacro %}{{ m() }}{% call m() %}yes{% endcall %}", "{% call 5 %}{% endcall %}", "{% macro m(a, b=1, c) %}{% endmacro %}", "{% macro m(%}", "{% macro %}{% endmacro %}",
    "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro m(x) %}{{ x|upper }}{% endmacro %}{{ m('a') ~ m('b') }}", "{% set f = 'x' %}{% macro f() %}y{% endmacro %}{{ f() }}",
    "{% macro m(messages) %}{% for m in messages %}{{ m }}{% endfor %}{% endmacro %}{{ m([1, 2]) }}", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}", "{% macro m(v) %}{% if v is mapping %}{{ '{' }}{% for k, x in v|items %}{{ k }}:{{ m(x) }};{% endfor %}{{ '}' }}{% else %}{{ v }}{% endif %}{% endmacro %}{{ m(nested) }}",
    "{% macro m() %}{% endmacro %}{{ m()|length }}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m(x=[1, 2], y={'a': 1}) %}{{ x }}{{ y }}{% endmacro %}{{ m() }}",
    # Cyclers, joiners, errors, odds and ends.
    "{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "{{ raise_exception('No ' ~ n) }}",
    "{% if messages[0].role != 'system' %}{{ raise_exception('x') }}{% endif %}", "{{ strftime_now('%Y')|length }}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{{ s }}{{ s|upper }}{{ s }}",
    "{{ l[0] }}{% set l = [9] %}{{ l[0] }}", "{{ [1, 2][1] }}{{ {'a': 'b'}['a'] }}{{ 'abc'[1] }}", "<|im_start|>{{ messages[0].role }}\n{{ messages[0]['content'] + '<|im_end|>' }}\n", "{{ 'a' if false }}|{{ ('a' if false) is defined }}",
    "{% set x = {} %}{{ x.a is defined }}{{ x.a is none }}{{ x.a }}", "{% set x = [] %}{% set x = x + [1] %}{{ x }}", "{{ d.items is defined }}{{ d['items'] is string }}", "{% set a %}{% endset %}[{{ a }}]{{ a|length }}", "{{ ''.join(words[:2]) }}{{ words|join }}",
    "{% for t in people %}{{ t.name }}:{% for g in t.tags %}{{ g }}{% else %}-{% endfor %} {% endfor %}", "{% for t in people %}{{ t.get('tags', 'd') }}{{ t['tags'] is defined }} {% endfor %}", "{% set content = 'a</think>b</think>c' %}{{ content.split('</think>')[-1].lstrip('\\n') }}|{{ content.split('</think>')[0].rstrip('\\n').split('<think>')[-1] }}",
    "{{ '\\n' }}{{ \"\\n\" }}|{{ '\\\\n' }}", "{{ messages }}", "{{ messages|tojson(indent=2) }}", "{{ 'x' ~ messages[0] }}", "{{ not messages }}{{ not [] }}", "{{ (messages|first).content ~ (messages|last).content }}", "{{ messages[1:] | map(attribute='role') | list }}",
]

WITH_VARIABLES = [
    ("{{ x }}", {"x": 18446744073709551615}), ("{{ x|tojson }}", {"x": 18446744073709551615}), ("{{ x }}", {"x": 9223372036854775807}), ("{{ x }}", {"x": -9223372036854775808}),
    ("{{ x is integer }}{{ x == x }}", {"x": 18446744073709551615}), ("{{ x }}", {"x": 1e300}), ("{{ x }}{{ x|tojson }}", {"x": [0.1, 1.0, 5e-324, 1.7976931348623157e308]}),
    ("{{ range }}|{{ dict }}", {"range": "r", "dict": "d"}), ("{{ x['a b'] }}{{ x.c }}", {"x": {"a b": 1, "c": {"": 2}}}), ("{{ x['']}}", {"x": {"": 5}}),
    ("{{ messages[0]['content'][0]['text'] }}", {"messages": [{"content": [{"type": "text", "text": "hi"}]}]}), ("{% if 'image' in item or 'image_url' in item %}I{% endif %}", {"item": {"image_url": 1}}),
    ("{% if content is string %}s{% elif content is iterable and content is not mapping %}i{% elif content is none or content is undefined %}n{% else %}?{% endif %}", {"content": None}),
    ("{% if content is string %}s{% elif content is iterable and content is not mapping %}i{% elif content is none or content is undefined %}n{% else %}?{% endif %}", {}),
    ("{% if content is string %}s{% elif content is iterable and content is not mapping %}i{% elif content is none or content is undefined %}n{% else %}?{% endif %}", {"content": {}}),
    ("{% if enable_thinking is defined and enable_thinking is false %}off{% else %}on{% endif %}", {}), ("{% if enable_thinking is defined and enable_thinking is false %}off{% else %}on{% endif %}", {"enable_thinking": False}),
    ("{% if enable_thinking is defined and enable_thinking is false %}off{% else %}on{% endif %}", {"enable_thinking": 0}), ("{{ a.b.c }}", {"a": {"b": None}}), ("{{ a.b.c.d }}", {"a": {"b": None}}),
    ("{{ v | string if v is string else v | tojson | safe }}", {"v": {"a": "<&>"}}), ("{{ v | string if v is string else v | tojson | safe }}", {"v": "<&>"}), ("{{ v | string }}", {"v": True}),
    ("{{ x|length }}", {"x": "\U0001f1e9\U0001f1ea e\u0301"}), ("{{ x|upper|lower|title }}", {"x": "ﬀ ǅ ΌΣΟΣ straße"}), ("{{ [x] }}", {"x": "\u00ad\u0378\u200b\u2028\ufeff\U000e0001\u3000"}), ("{{ x.split() }}", {"x": "a\u2003b\u00a0c\u200bd\x1ce"}),
]


def main():
    warnings.filterwarnings("ignore")
    cases = [{"template": "{{ " + line + " }}"} for line in EXPRESSIONS.strip("\n").split("\n")]
    merged = []
    for case in cases:
        if merged and merged[-1]["template"].endswith("\\ }}"):
            merged[-1]["template"] = merged[-1]["template"][:-3] + "\n" + case["template"][3:]
        else:
            merged.append(case)
    cases = merged + [{"template": template} for template in TEMPLATES]
    cases += [{"template": template, "variables": variables} for template, variables in WITH_VARIABLES]
    for case in cases:
        variables = copy.deepcopy(case.get("variables", SHARED))
        try:
            compiled = chat_template_utils._compile_jinja_template(case["template"])
            case["ok"] = compiled.render(**variables)
            case["ok"].encode()  # lone surrogates are an error of ours
        except Exception:  # whatever Python raises is an error of the template
            case.pop("ok", None)
            case["error"] = True
    # What prints Python's own objects says nothing about ours.
    cases = [case for case in cases if not any(
        mark in case.get("ok", "") for mark in (" at 0x", "<class", "<built-in", "<function"))]
    path = pathlib.Path(__file__).parent.parent / "tests/golden/jinja_cases.json"
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case, ensure_ascii=True) for case in cases)
    shared = json.dumps(SHARED, ensure_ascii=True)
    path.write_text(f'{{"variables": {shared},\n"cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {sum('error' in case for case in cases)} of them errors")


if __name__ == "__main__":
    main()

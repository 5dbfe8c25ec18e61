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

EXPRESSIONS = r'''
1 + 2 * 3
(1 + 2) * 3
7 / 2
7 // 2
-7 // 2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 % 2
7.5 % -2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
2.0 ** 0.5
1 / 0
1 // 0
1 % 0
9223372036854775807 + 0
-9223372036854775807
n + f
n - t
t + t
n * "ab"
"ab" * 3
"ab" * 0
"ab" * -1
[1] * 3
[1] + [2]
(1,) + (2,)
[1] + (2,)
"a" + 1
1 + "a"
"a" ~ 1 ~ none ~ true ~ 1.0 ~ [1] ~ missing
"a" ~ 1 + 2
1 ~ 2 * 3
1_000 + 1
0x1F + 0o17 + 0b11
1e3
1.5e-7
1e100
12345678901234567.0
0.1 + 0.2
100000000000000000000.0
1.0
1e16
1e15
123456789.123
-0.0
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2 != 1
1 == 1.0
1 == true
"1" == 1
"a" < "b"
"a" < 1
[1, 2] < [1, 3]
[1, 2] == [1, 2]
(1, 2) == [1, 2]
{"a": 1, "b": 2} == {"b": 2, "a": 1}
none == none
none < 1
missing == missing
missing == none
missing < 1
not 1
not not ""
not missing
1 and 2
0 and 2
0 or "x"
"" or none or []
1 or missing.x
1 if t
1 if no
1 if no else 2
1 if no else 2 if no else 3
"a" in "cat"
"" in "cat"
"x" not in "cat"
1 in [1, 2]
"a" in {"a": 1}
1 in "abc"
1 in missing
none in [none]
1 in 5
1.0 in [1]
true in [1]
not 1 in [2]
- 3 | abs
-3|abs
(-3)|abs
+5
-t
-s
s[0]
s[-1]
s[100]
s[1:4]
s[::-1]
s[::2]
s[-3:]
s[:-3]
s[5:2]
s[10::-2]
s[::0]
u[1]
u[7:12]
u[::-1]
u|length
u[-1:]
l[0]
l[-1]
l[9]
l[::-1]
l[1:]
l[:2]
l[-2:]
l[5:]
l["a"]
l[1:none]
(1, 2, 3)[1:]
range(5)[1:3]
range(10)[::3]
range(5)[-1]
range(3)
range(1, 9, 3)|list
range(5, 0, -2)|list
range(0)|list
range(3)|length
range(100001)|length
range(1000000000)|list
range("a")
range(1, 2, 0)
d
d.a
d["a"]
d.items
d["items"]
d.items()
d.items()|list
d.keys()
d.keys()|list
d.values()|list
d.get("a")
d.get("zz")
d.get("zz", 5)
d.get("zz", default=5)
d.missing
d.missing.more
d["missing"]
d.copy()
d.pop("a")
d.update({})
d.clear
d.__class__
s.__class__
l.append(1)
l.append
l.sort()
l.index(1)
l.index(9)
l.count(1)
l.copy()
(1, 1).count(1)
nested.x.y[1].z
nested["x"]["y"][0]
nested.x.y.1.z
nested.x.nope is defined
nested.nope.x is defined
missing
missing.x
missing["x"]
missing()
missing + 1
missing|length
missing|upper
missing|list
missing|join(",")
missing|default("d")
missing|d
missing|items|list
missing|tojson
missing|int
missing|first
missing|string|length
missing|trim
nil.x
nil["x"]
nil()
s()
n.x
mixed
quotes
"it's"
["a", 'b"c']
{"k": "v", 1: 2.0, none: [true]}
{1: "a", 1.0: "b", true: "c"}
{[1]: 2}
(1,)
()
(1, 2)
1, 2
[]
{}
[1, 2,]
{"a": 1,}
"con" "cat"
'\n\t\\\'\"\x41\u00e9\101\q'
'a\
b'
"\U0001F600"
true
True
none
None
False
t
f
big
small
[f, big, small, 1e22, 1e-7, 0.1]
u
[u]
"\x00\x1f\x7f"
["\x00\x1f\x7f\u2028\ue000\U0001F600\u0301"]
s.upper()
s.lower()
s.title()
"they're bill's".title()
"they're bill's"|title
"a-b (c) [d] {e} <f> g_h"|title
"HELLO wORLD"|capitalize
"ǆ straße ΑΣ ΑΣΑ"|upper
"ǆ STRASSE ΑΣ ΑΣΑ İ"|lower
"ßx ﬁ"|capitalize
"ß ﬁ".title()
s.swapcase()
s.capitalize()
spaces.strip()
spaces.lstrip()
spaces.rstrip()
spaces|trim
" xx "|trim(" x")
"xxabcxx".strip("x")
"xyabcyx".lstrip("yx")
"éaé".strip("é")
"\u3000\u00a0a\u2003".strip()
s.split()
s.split(" ")
s.split("o")
s.split("o", 1)
s.split(none, 1)
s.split(maxsplit=1)
s.split("")
s.rsplit("o", 1)
s.rsplit()
" a  b c ".split()
" a  b c ".split(none, 1)
" a  b c ".rsplit(none, 1)
" a  b c ".split(" ")
"".split()
"".split(",")
"a,b,,c".split(",")
"a,b,,c".rsplit(",", 2)
"a\nb\r\nc\x0bd\u2028e".splitlines()
"a\nb\n".splitlines(true)
"".splitlines()
s.startswith("Hell")
s.startswith(("x", "H"))
s.startswith("ello", 1)
s.startswith("ello", 1, 3)
s.endswith("ld")
s.endswith(["ld"])
s.endswith("")
s.find("o")
s.find("zz")
s.rfind("o")
s.find("o", 5)
s.find("o", -4)
u.find("中")
s.index("W")
s.index("zz")
s.count("o")
s.count("")
s.replace("l", "L")
s.replace("l", "L", 1)
s.replace("", "-")
s.replace("", "-", 2)
s|replace("l", "L", 2)
s|replace("o", 0)
n|replace("7", "8")
",".join(["a", "b"])
",".join(["a", 1])
",".join("abc")
"-".join([])
"a.b.c".partition(".")
"a.b.c".rpartition(".")
"abc".partition(".")
"abc".rpartition(".")
"abc".removeprefix("a")
"abc".removesuffix("c")
"abc".removeprefix("x")
"5".zfill(3)
"-5".zfill(4)
"ab".center(7, "*")
"abc".center(6)
"ab".ljust(5, ".")
"ab".rjust(5)
"ab"|center(7)
"12".isdigit()
"1a".isdigit()
"".isdigit()
"²".isdigit()
"²".isdecimal()
"½".isnumeric()
"ab1".isalnum()
"中".isalpha()
" \n".isspace()
"Ab".islower()
"ab1".islower()
"AB".isupper()
"ab".isascii()
"é".isascii()
s.nope
s.nope()
"{} and {}".format(1, "b")
"{1} {0}".format("a", "b")
"{x} {y.a} {z[0]}".format(x=1, y={"a": 2}, z=[3])
"{{}} {:>5}|{:<5}|{:^5}|".format("a", "b", "c")
"{:05d} {:+d} {:x} {:,}".format(42, 5, 255, 1234567)
"{:.2f} {:8.3f} {:e} {:g} {:%}".format(3.14159, 2.5, 12345.678, 0.0001, 0.25)
"{!r} {!s}".format("a", "b")
"{:*^9}".format("mid")
"{".format()
"{0}".format()
"%s is %d" % ("x", 5)
"%s" % "only"
"%s" % [1, 2]
"%s %s" % ("a",)
"%s" % ("a", "b")
"%(a)s %(b)d" % {"a": 1, "b": 2}
"%5s|%-5s|%05d|%.2f|%x|%%" % ("a", "b", 42, 3.14159, 255)
"%r" % ("a'b",)
"%d" % 3.99
"%d" % "x"
"%s %s"|format("a", 1)
"%+d % d %e %g" % (5, 5, 12345.6789, 1e-10)
d|tojson
mixed|tojson
u|tojson
quotes|tojson
html|tojson
d|tojson(indent=2)
nested|tojson(indent=4)
[]|tojson(indent=2)
[[], {}]|tojson(indent=2)
d|tojson(indent=0)
d|tojson(indent="--")
d|tojson(sort_keys=true)
d|tojson(separators=(",", ":"))
d|tojson(indent=2, separators=(",", ": "))
u|tojson(ensure_ascii=true)
u|tojson(true)
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
{(1, 2): 3}|tojson
(1, 2)|tojson
1.0|tojson
1e16|tojson
range(3)|tojson
d.items|tojson
d.items()|tojson
"\x00\x1f\x7f\u2028/"|tojson
"\x7f"|tojson(ensure_ascii=true)
s|tojson|safe
s|length
l|length
d|length
n|length
nil|length
d|count
l|first
l|last
[]|first
[]|last
s|first
u|last
d|first
d|last
nil|first
l|sort
l|sort(reverse=true)
words|sort
words|sort(case_sensitive=true)
mixed|sort
people|sort(attribute="age")|map(attribute="name")|list
people|sort(attribute="age,name", reverse=true)|map(attribute="name")|join(",")
["b", "B", "a"]|sort
[[2, 1], [1, 5], [1, 2]]|sort
d|sort
l|reverse|list
s|reverse
u|reverse
l|reverse
l|join
l|join(", ")
words|join("-")
people|join("; ", attribute="name")
people|join(attribute="name")
s|join("-")
nil|join
[1, none, missing]|join(",")
l|sum
[0.5, 1]|sum
[]|sum
people|sum(attribute="age")
l|sum(start=10)
words|sum
l|min
l|max
words|min
words|max
[]|min
people|max(attribute="age")
l|map("string")|list
words|map("upper")|join
people|map(attribute="name")|list
people|map(attribute="tags")|list
people|map(attribute="tags", default=["none"])|list
people|map(attribute="tags.0")|list
people|map(attribute="nope.more")|list
["1", "x"]|map("int", 9)|list
["1", "x"]|map("int", default=8)|list
words|map("replace", "b", "z")|list
words|map
words|map("nope")|list
people|selectattr("tags")|map(attribute="name")|list
people|selectattr("tags", "defined")|map(attribute="name")|list
people|selectattr("age", "equalto", 30)|map(attribute="name")|list
people|selectattr("age", ">", 26)|list|length
people|rejectattr("age", "eq", 30)|map(attribute="name")|list
people|rejectattr("tags")|map(attribute="name")|list
mixed|select|list
mixed|reject|list
mixed|select("string")|list
mixed|reject("none")|list
mixed|select("number")|list
range(6)|select("divisibleby", 3)|list
range(6)|select("odd")|list
nil|select|list
nil|map("upper")|list
5|select|list
["a", "A", "b"]|unique|list
["a", "A", "b"]|unique(case_sensitive=true)|list
people|unique(attribute="age")|map(attribute="name")|list
[[1], [1]]|unique|list
d|items|list
nil|items
l|items|list
d|dictsort
d|dictsort(reverse=true)
d|dictsort(by="value")
{"B": 1, "a": 2}|dictsort
{"B": 1, "a": 2}|dictsort(case_sensitive=true)
{"B": 1, "a": 2}|dictsort(true, "value", true)
s|list
d|list
n|list
nil|list
range(7)|batch(3)|list
range(7)|batch(3, "x")|list
range(7)|slice(3)|list
range(7)|slice(3, "x")|list
"12"|int
" 12 "|int
"12.7"|int
"x"|int
"x"|int(5)
"x"|int(default=none)
"0x1f"|int(base=16)
"ff"|int(0, 16)
"1_000"|int
12.9|int
-12.9|int
nil|int
t|int
l|int
"1.5"|float
"x"|float
"x"|float(1.5)
"inf"|float
"-1e5"|float
" 1_0.5 "|float
n|float
nil|float
-5|abs
(-5.5)|abs
s|abs
2.5|round
3.5|round
2.567|round(2)
-2.5|round
42|round
42.55|round(1)
42.5|round(0, "ceil")
42.51|round(1, "floor")
1234|round(-2)
1234.5|round(-2)
s|round
"a"|string
n|string
d|string
html|e
html|escape
html|safe
html|safe|e
html|forceescape
("<b>"|safe) + "<i>"
"<i>" + ("<b>"|safe)
("<b>"|safe) ~ "<i>"
("<b>"|safe).replace("b", "<x>")
["<b>"|safe]
n|e
"a\nb\n\nc"|indent
"a\nb\n\nc"|indent(2)
"a\nb\n\nc"|indent(2, true)
"a\nb\n\nc"|indent(2, true, true)
"a\nb\n"|indent(2, first=true)
"a\nb"|indent("> ")
""|indent(2, true)
5|indent
long|truncate(12)
long|truncate(12, true)
long|truncate(12, false, "…")
long|truncate(41)
long|truncate(2)
long|wordcount
"a-b c_d 1.5 中文"|wordcount
""|default("x")
""|default("x", true)
nil|default("x")
nil|default("x", boolean=true)
missing|default
d.nope|default("x")|upper
people|attr("nope")
s|attr("upper")
d|attr("a")
d is mapping
l is mapping
s is string
n is string
l is iterable
s is iterable
n is iterable
missing is iterable
d is iterable
range(3) is iterable
l|map("upper") is iterable
l is sequence
s is sequence
d is sequence
n is sequence
range(3) is sequence
(1, 2) is sequence
missing is sequence
d.items() is sequence
n is number
f is number
t is number
s is number
n is integer
t is integer
f is integer
f is float
n is float
t is boolean
n is boolean
t is true
1 is true
no is false
0 is false
nil is none
missing is none
missing is defined
s is defined
missing is undefined
s is not defined
nil is defined
3 is odd
4 is even
"x" is odd
9 is divisibleby 3
9 is divisibleby(4)
1 is eq 1
1 is equalto(1)
1 is ne 2
1 is lt 2
1 is le 1
2 is gt 1
2 is ge 3
1 is in [1, 2]
"a" is in "abc"
3 is not in [1, 2]
nil is sameas none
1 is sameas 1
1 is sameas true
t is sameas true
"ab" is lower
"AB" is upper
s is lower
range is callable
s is callable
missing is callable
s.upper is callable
html|safe is escaped
html is escaped
"upper" is filter
"nope" is filter
"odd" is test
1 is defined and 2 is defined
not nil is none
n is number and n > 5
n + 1 is number
l is sequence and l|length == 3
dict(a=1, b=2)
dict({"x": 1}, y=2)
dict([("a", 1), ("b", 2)])
dict(l)
namespace(a=1)
namespace(a=1).a
namespace(a=1).b
namespace(a=1)["a"]
namespace(_x=1)
raise_exception("boom")
cycler("a", "b").next()
cycler()
joiner("|")()
people[0].name[::-1]|upper
(people|first).name
(people|last)["tags"]|length
"abc"|upper|lower|title
"abc".upper().lower()[1:]|replace("b", "x")
[1, 2, 3]|map("string")|join("+") ~ "=" ~ 6
[l, words]|map("length")|list
[l]|map(attribute=0)|list
("a", "b")[1]
[x for x in l]
lambda
1 +
(1
1)
{"a" 1}
s|nope
s is nope
s|upper(1)
"a"|join(1, 2, 3)
[d]|tojson
d.items()|tojson
loop
'a' 'b' ~ 'c'
s.split(' ')[0].upper()
s.split(' ')|last
nested.x.y|length
"%s" % missing
"é" < "z"
l * 2
n is divisibleby(0)
u.upper()
u.center(20, "·")
d == {"b": 1, "a": 2, "items": "own", "keys_": 3}
mixed[3] is true
l|first + l|last
not s is string
s if s is defined else "none"
l is not none and l|length > 0
messages[0].content
messages[-1]["role"]
messages[::-1]|map(attribute="role")|join(",")
messages|length - 1
1.5 // 0
0 ** 0
0.0 ** -1
5 // 0.3
range(3) == range(3)
1 in range(3)
"b" in words|map("lower")
{"a": [1, {"b": (1, 2)}]}
[none, true, 1.0, "x", missing]
s.format
"abc"[1:][0]
"abc"|list|reverse|join
[3, 1] < [3]
"a" "b"[0]
(1 if t else 2) + 3
1 if t else 2 + 3
"a" if nil is none else "b"
'' ~ d.a ~ '-' ~ d['b']
'x'.join(['1', '2'])|int + 1
"tab\there"
'{{ not a tag }}'
"%}"
{'}}': 1}
s[n]
s[n - 7]
-l|first
2 * -3
2 - -3
2--3
not t == no
t and not no or no
l[0:2][1]
"a,b;c"|replace(",", ";")|replace(";", "")
"İ"|lower|length
'ﬃ'|upper
"ŉ"|title
'\ud800'
"\xe9"
'\777'
'''

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
    # A line that ends in a backslash goes on in the next one.
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

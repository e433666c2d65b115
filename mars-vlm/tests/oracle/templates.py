"""Reference for chat templates: what transformers' Jinja environment makes of them, to the byte.

    python mars-vlm/tests/oracle/templates.py
    (transformers 4.57.3, jinja2 3.1.6; no model, no network)

Reads tests/fixtures/templates/*.jinja, templates in the style of those published with models, in our words. Writes
tests/fixtures/templates/expected.json: conversations, and for each template the text of each conversation with and
without the generation prompt (null where the template refuses); the same with tools, calls and documents; and
`snippets`, short templates for single rules of the language. The date is 26 July 2024, as in the program.
"""

import datetime
import json
from pathlib import Path

from transformers.utils import chat_template_utils

OUT = Path(__file__).parents[1] / "fixtures" / "templates"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "image_token": "<image>"}
# Templates that take content as a list of parts; the others take one text.
PARTS = """qwen2_vl qwen3_vl smolvlm smolvlm2 idefics3 idefics2 llava_onevision llava_1_5 llava_next_mistral llama3_2 llama4
pixtral mistral_small_3 gemma3 internvl3 granite_vision glm4 paligemma_style ernie_vl printed_values""".split()


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


chat_template_utils.datetime = Day

IMAGE = None
CHATS = {
    "question": [("user", ["What is this?"])],
    "system": [("system", ["Be brief."]), ("user", ["What is 2 + 2?"])],
    "rounds": [("user", ["One?"]), ("assistant", ["1"]), ("user", ["Two?"]), ("assistant", ["2"]), ("user", ["Three?"])],
    "answered": [("system", ["Count."]), ("user", ["One?"]), ("assistant", ["1"]), ("user", ["Two?"]), ("assistant", ["2"])],
    "image": [("user", [IMAGE, "What is this?"]), ("assistant", ["A cat."])],
    "images": [("system", ["Look."]), ("user", ["First", IMAGE, IMAGE, "and last"]), ("assistant", ["Two."]), ("user", [IMAGE])],
    "blanks": [("user", ["  It's \"odd\":\n\n\t{'é': [1]}  日本 \\n <b>&amp;</b>\u00a0 "]), ("assistant", ["\n\n {{ x }} \n"])],
    "thinking": [("user", ["Why?"]), ("assistant", ["<think>\nhm\n</think>\n\nBecause."]), ("user", ["So?"]), ("assistant", ["<think>\n\n</think>\nYes."])],
    "begun": [("assistant", ["Hello."]), ("user", ["Hi."])],
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find",
            "description": "Finds \"things\" <fast>.",
            "strict": True,
            "weight": 0.5,
            "parameters": {
                "type": "object",
                "properties": {
                    "what": {"type": "string", "description": "The thing", "default": None},
                    "sizes": {"type": "array", "items": {"type": "number"}},
                    "kind": {"type": ["string", "integer"], "enum": ["a", "b"]},
                    "deep": {"type": "boolean", "description": "é", "default": False},
                },
                "required": ["what"],
            },
        },
    },
    {"type": "function", "function": {"name": "stop", "description": "Ends.", "parameters": {"type": "object", "properties": {}}}},
]
CALLS = [
    {"role": "user", "content": "Find cats."},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "abcdefghi", "type": "function", "function": {"name": "find", "arguments": {"what": "cats", "sizes": [1, 2.5, 1e16, -1e-7], "deep": True, "kind": None}}}
        ],
    },
    {"role": "tool", "name": "find", "tool_call_id": "abcdefghi", "content": "[\"cat\"]"},
    {"role": "assistant", "content": "One cat."},
    {"role": "user", "content": "Thanks."},
]
DOCUMENTS = [{"title": "t", "text": "Cats purr."}, {"title": "u", "text": "Dogs\nbark."}]

VALUES = {
    "n": 7, "x": 2.5, "t": True, "none": None, "s": "Hello World", "words": ["b", "A", "c", "a"],
    "d": {"b": 1, "a": [1, {"k": None}], "C": 2.0}, "rows": [{"g": 1, "v": "x"}, {"g": 2, "v": "y"}, {"g": 1, "v": "z"}],
    "big": 1e22, "tiny": 1e-5, "third": 0.1, "odd": "a'b\"c\n\té\u00a0\u200b\u0007", "empty": [], "lines": "one\n\ntwo\n  three",
}
SNIPPETS = r"""
{{ none }}|{{ t }}|{{ not t }}|{{ x }}|{{ big }}|{{ tiny }}|{{ third }}|{{ 1e16 }}|{{ 123456789012345.0 }}|{{ -0.0 }}|{{ 1e308 * 10 }}
{{ words }}|{{ d }}|{{ (1,) }}|{{ (1, 'a') }}|{{ [] }}|{{ {} }}|{{ () }}|{{ odd }}|{{ [odd] }}
{{ [none, true, false, 1.0, 'it''s', "it's", '"', '\'"'] }}
{{ d | tojson }}|{{ d | tojson(indent=2) }}|{{ odd | tojson }}|{{ [] | tojson(indent=2) }}|{{ {} | tojson(indent=4) }}
{{ d | tojson(sort_keys=true) }}|{{ d | tojson(separators=(',', ':')) }}|{{ 'é😀' | tojson(ensure_ascii=true) }}|{{ (1, big, tiny) | tojson }}
{{ '%s' % x }}|{{ '%s %s' % (none, t) }}|{{ '%d' % 3.9 }}|{{ '%5d|%-5d|%05d|%+d' % (n, n, n, n) }}|{{ '%.2f' % x }}|{{ '%x %X %o' % (255, 255, 8) }}
{{ '%r' % s }}|{{ '%10s|%-10s|%.2s' % (s, 'ab', s) }}|{{ '%(a)s %(b)05.1f' % {'a': words, 'b': x} }}|{{ '%e %g %g %g' % (x, big, tiny, n) }}|{{ '%%' % () }}
{{ '%c%c' % (65, 'b') }}|{{ '%s' % [1, 2] }}|{{ '%s' % {'a': 1} }}|{{ '%.3d|%+.2e|%#x' % (n, x, 255) }}|{{ '% d' % n }}
{{ '%d' % s }}
{{ '%s' % (1, 2) }}
{{ '{} {} {0}'.format(1, 2) }}
{{ '{} {}'.format(n, x) }}|{{ '{0}{1}{0}'.format('a', 'b') }}|{{ '{a[k]} {b.c}'.format(a={'k': 1}, b={'c': 2}) }}
{{ '{:>8}|{:<8}|{:^8}|{:*^9}'.format('ab', 'cd', 'ef', 'gh') }}|{{ '{:05d} {:,} {:.1f} {:x} {:%}'.format(7, 1234567, 2.25, 255, 0.5) }}|{{ '{!r}'.format('a') }}|{{ '{{}}'.format() }}
{{ '%s and %s' | format('a', none) }}|{{ '%(k)s' | format(k=1) }}
{{ 7 // 2 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7 / 2 }}|{{ 4 / 2 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}|{{ 2 ** 3 ** 2 }}|{{ -2 ** 2 }}|{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ true + 1 }}
{{ 1 + 2 * 3 ~ 4 }}|{{ 1 ~ 2 + 3 }}|{{ 'a' ~ none ~ true ~ 1.0 }}|{{ 'a' * 3 }}|{{ [1] * 2 + [none] }}|{{ (1,) + (2,) }}
{{ 1 < 2 < 3 }}|{{ 1 < 3 < 2 }}|{{ 1 == 1.0 == true }}|{{ 'a' < 'b' }}|{{ [1, 2] < [1, 3] }}|{{ 'a' in 'cat' }}|{{ 'b' in d }}|{{ 1 not in [2] }}|{{ none == false }}
{{ not t and t }}|{{ t or missing }}|{{ 0 or '' or none }}|{{ 1 and 'x' }}|{{ not none is none }}|{{ 'a' if t }}|{{ 'a' if not t }}|{{ 'a' if not t else 'b' if t else 'c' }}
{{ n is odd }}|{{ n is divisibleby 7 }}|{{ n is divisibleby(2) }}|{{ x is number }}|{{ x is float }}|{{ t is integer }}|{{ t is number }}|{{ t is boolean }}|{{ s is string }}|{{ none is iterable }}|{{ s is iterable }}|{{ missing is iterable }}
{{ s is sequence }}|{{ d is sequence }}|{{ d is mapping }}|{{ none is sequence }}|{{ n is in [7] }}|{{ s is lower }}|{{ 'a' is lower }}|{{ 'A' is upper }}|{{ n is eq 7 }}|{{ n is not sameas 8 }}|{{ range is callable }}|{{ missing is callable }}
{{ words | sort | join(',') }}|{{ words | sort(case_sensitive=true) | join(',') }}|{{ words | sort(reverse=true) | first }}|{{ rows | sort(attribute='v', reverse=true) | map(attribute='v') | join }}
{{ words | unique | list }}|{{ words | min }}|{{ words | max }}|{{ [3, 1, 2] | max }}|{{ [] | max }}|{{ d | dictsort }}|{{ d | dictsort(true) | map('first') | list }}
{% for g, items in rows | groupby('g') %}{{ g }}:{{ items | map(attribute='v') | join('+') }};{% endfor %}|{{ rows | groupby('g') }}
{{ rows | selectattr('g', 'equalto', 1) | list | length }}|{{ rows | rejectattr('g', 'in', [2]) | map(attribute='v') | list }}|{{ [0, 1, '', 'a'] | select | list }}|{{ [1, 2, 3] | select('odd') | list }}|{{ [1, 2] | reject('eq', 1) | list }}
{{ rows | map(attribute='missing', default='-') | list }}|{{ words | map('upper') | join('') }}|{{ [[1, 2], [3]] | map('join', '-') | list }}|{{ none | map('upper') | list }}
{% if rows | selectattr('g', 'equalto', 9) %}generators are true{% endif %}
{{ rows | selectattr('g', 'equalto', 9) | length }}
{{ s | upper }}|{{ s | lower }}|{{ 'hELLO wORLD-foo(bar' | title }}|{{ 'hELLO' | capitalize }}|{{ "it's o'neil".title() }}|{{ '  a ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ s | replace('o', '0', 1) }}|{{ s.replace('l', '') }}|{{ 'abc'.replace('', '-') }}
{{ lines | indent }}|{{ lines | indent(2, true) }}|{{ lines | indent(2, blank=true) }}|{{ lines | indent('> ') }}|{{ '' | indent(3, true) }}
{{ 'ab' | center(7) }}|{{ 'ab'.center(7) }}|{{ 'abc'.center(8) }}|{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}|{{ '-5'.zfill(4) }}|{{ s | wordcount }}|{{ s | truncate(8) }}|{{ s | truncate(9, true, leeway=0) }}
{{ ' a  b c '.split() }}|{{ 'a,b,,c'.split(',') }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ ' a b c '.split(none, 1) }}|{{ ' a b c '.rsplit(none, 1) }}|{{ ''.split(',') }}|{{ ''.split() }}|{{ lines.splitlines() }}|{{ 'a\r\nb\n'.splitlines(true) }}
{{ 'abcabc'.find('c') }}|{{ 'abcabc'.rfind('c') }}|{{ 'abc'.find('x') }}|{{ 'éa'.find('a') }}|{{ 'banana'.count('an') }}|{{ 'abc'.startswith(('x', 'a')) }}|{{ 'abc'.endswith('bc') }}|{{ 'abc'.index('b') }}|{{ 'a-b-c'.partition('-') }}|{{ 'a-b-c'.rpartition('-') }}|{{ 'abcabc'.find('c', 3) }}
{{ '\x1c a\x1f '.strip() | length }}|{{ 'xyx'.lstrip('x') }}|{{ 'xyx'.rstrip('x') }}|{{ 'abc'.removeprefix('a') }}|{{ 'abc'.removesuffix('bc') }}|{{ 'Ab1'.swapcase() }}|{{ 'ab'.isalpha() }}|{{ '12'.isdigit() }}|{{ ''.isdigit() }}|{{ 'a1'.isalnum() }}|{{ 'Ab'.isupper() }}|{{ 'A1'.isupper() }}
{{ ','.join(['a', 'b']) }}|{{ ', '.join(words | map('lower')) }}|{{ ''.join('abc') }}
{{ ','.join([1]) }}
{{ s[0] }}|{{ s[-1] }}|{{ s[99] }}|{{ s[1:4] }}|{{ s[::-1] }}|{{ s[:-3] }}|{{ words[1:] }}|{{ words[::2] }}|{{ words[-1:0:-2] }}|{{ words.0 }}|{{ d.a[1].k }}|{{ d['missing'] }}|{{ words[5] }}|{{ (1, 2, 3)[1:] }}
{{ d.items() | list }}|{{ d.keys() | list }}|{{ d.values() | list }}|{{ d.get('zz') }}|{{ d.get('zz', 3) }}|{{ d | items | list }}|{{ d | length }}|{{ d | list }}|{{ d | first }}
{% for k, v in d.items() %}{{ loop.index }}{{ k }}={{ v }}{{ ', ' if not loop.last }}{% endfor %}
{{ d.update({'z': 1}) }}
{{ words.append('z') }}
{{ [1, 2, 1].count(1) }}|{{ words.index('c') }}|{{ 'abc' | reverse }}|{{ [1, 2] | reverse | list }}|{{ 'abc' | list }}|{{ [1, 2, 3] | last }}|{{ 'abc' | first }}|{{ [] | first }}|{{ [1, 2, 3] | batch(2) | list }}|{{ [1, 2, 3] | batch(2, 'x') | list }}|{{ range(7) | slice(3) | list }}
{{ '42' | int }}|{{ '4.7' | int }}|{{ 'x' | int }}|{{ 'x' | int(-1) }}|{{ '0x1f' | int(0, 16) }}|{{ 3.99 | int }}|{{ '2.5' | float }}|{{ 'x' | float }}|{{ none | int }}|{{ -3 | abs }}|{{ 2.5 | round }}|{{ 3.14159 | round(2) }}|{{ 2.1 | round(0, 'ceil') }}|{{ 7 | round }}|{{ 42.55 | round(1, 'floor') }}|{{ [1, 2.5] | sum }}|{{ rows | sum(attribute='g') }}
{{ missing }}|{{ missing | default('d') }}|{{ none | default('d') }}|{{ none | default('d', true) }}|{{ '' | d('e', true) }}|{{ missing | length }}|{{ missing | list }}|{{ missing == nothing }}|{{ missing ~ 'x' }}|{{ missing | upper }}|{% for i in missing %}x{% endfor %}
{{ missing.deeper }}
{{ missing + 1 }}
{{ 1 + 'a' }}
{{ 'a' + 1 }}
{{ none + 'a' }}
{{ none | length }}
{% for c in none %}{% endfor %}
{{ 1 in 'abc' }}
{{ 1 < 'a' }}
{{ 'a' in none }}
{{ 1 // 0 }}
{{ unknown_function() }}
{{ s() }}
{{ s | no_such_filter }}
{{ s is no_such_test }}
{{ 'a' is defined is string }}
{% set a = 1 %}{% for i in range(3) %}{% set a = a + 1 %}{{ a }}{% endfor %}{{ a }}
{% set ns = namespace(a=1, b='x') %}{% for i in range(3) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}{{ ns }}
{% set a, b = 1, 'two' %}{{ a }}{{ b }}{% set c = (1, 2) %}{{ c }}{% set (p, q) = 'xy' %}{{ p }}{{ q }}
{% set block %}  in {{ s }}
{% endset %}[{{ block }}]{% set up | upper | trim %} x {% endset %}[{{ up }}]
{% with a = 1, b = n %}{{ a + b }}{% set a = 9 %}{% endwith %}{{ a is defined }}{% filter upper %}x{{ s }}{% endfilter %}
{% macro m(a, b='B', c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, c=3) }}|{{ m('x', 'y', 'z') }}|{{ m() }}|{{ m.name }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}|{{ m(*[1, 2], **{'z': 1}) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m() %}<{{ caller('in') }}>{% endmacro %}{% call(x) m() %}{{ x }}side{% endcall %}
{% macro fact(n) %}{{ 1 if n < 2 else n * (fact(n - 1) | int) }}{% endmacro %}{{ fact(10) }}
{% for i in [1, 2, 3, 4] if i is even %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% else %}none{% endfor %}{% for i in [] %}{% else %}none{% endfor %}
{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in 'abc' %}{{ loop.cycle('x', 'y') }}{{ loop.first }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.changed(i == 'b') }}{{ loop.depth }};{% endfor %}
{% for item in [{'n': 1, 'c': [{'n': 2, 'c': []}, {'n': 3, 'c': []}]}] recursive %}{{ item.n }}@{{ loop.depth }}({{ loop(item.c) }}){% endfor %}
{% for i in range(2) %}{% for j in range(2) %}{{ loop.depth }}{% endfor %}{% endfor %}
{{ range(3) | list }}|{{ range(1, 10, 4) | list }}|{{ range(3, 0, -1) | list }}|{{ range(0) | list }}|{{ dict(a=1) }}|{{ dict([('k', 'v')], z=2) }}
{{ range(100001) | length }}
{{ '\t\x41\u00e9\101\q\\' }}|{{ "a" 'b' }}|{{ 0x1F }}|{{ 0b11 }}|{{ 1_000 }}|{{ 1.5e3 }}|{{ 1e-7 }}
  {% if t %}
    indented
  {% endif %}
  after
{%- if t -%}   tight   {%- endif -%}   end
a  {#- comment -#}  b{# c #}
  {# own line #}
next
  {%+ if t %} kept{% endif +%}
line
{% raw %}{{ not }} {% this %}{% endraw %}|{% raw -%}  x  {%- endraw %}
{{- ' a ' -}}   {{ 'b' }}
  {{ 'c' }}
{{ {'a': {'b': 1}}['a'].b }}|{{ {'a': 1,}.a }}|{{ [1,] }}|{{ {1: 2, none: 3, true: 4} }}
{% for k in d %}{{ k }}{% endfor %}|{{ d == {'C': 2, 'b': 1, 'a': [1, {'k': none}]} }}|{{ [1, [2]] == [1.0, [2.0]] }}|{{ (1, 2) == [1, 2] }}
{{ strftime_now('%d %b %Y %A %B %j %-d %-m %y %H:%M:%S %p %U %e|%F %D %T') }}
{{ raise_exception('no ' ~ n) }}
{{ 'x' | string is string }}|{{ x | string }}|{{ none | string }}|{{ [1] | string }}|{{ '<a href="x">&' | e }}|{{ '<b>' | safe }}|{{ 5 | string | length }}
{{ s | attr('upper') is defined }}|{{ d | attr('b') is defined }}|{{ s.upper() }}|{{ s.nothing is defined }}|{{ 1500000 | filesizeformat }}|{{ 10 | filesizeformat }}|{{ 2048 | filesizeformat(true) }}
{% block inner %}in block{% endblock %}|{% generation %}made{% endgeneration %}|{% if missing %}a{% elif n > 5 %}b{% else %}c{% endif %}
{{ [1, 2, 3][n] is defined }}|{{ (n, x) }}|{{ n, x }}|{{ -n | abs }}|{{ (-n) | abs }}|{{ +n }}|{{ - - n }}|{{ not not n }}
{{ 'ſß'.upper() }}|{{ 'İ'.lower() | length }}|{{ 'ΑΣ'.lower() }}|{{ '日本'[0] }}|{{ '😀' | length }}|{{ ['😀', '\u2028', '\xad', '\ue000'] }}
""".strip("\n").split("\n")
# Templates of several lines, which the list above cannot hold.
SNIPPETS += [
    "  {% if t %}\n    indented\n  {% endif %}\n  after\n",
    "a\n  {#- comment -#}  b{# c #}\n  {# own line #}\nnext\n\n",
    "x\n  {%+ if t %} kept{% endif +%}\n  line\r\nof\rtwo\n",
    "{{- ' a ' -}}   {{ 'b' }}\n  {{ 'c' }}\n\n{%- for i in words %}\n  {{ i }}\n{%- endfor %}\n",
    "{% set block %}  in {{ s }}\n{% endset %}\n[{{ block }}]\n",
    "{% raw %}\n  {{ x }}\n{% endraw %}\nafter\n  {% raw -%}  y\n  {%- endraw -%}\n z",
    "\n\n{% for i in words -%}\n  {{ i }}\n\n{%- endfor %}\n\n\nend\n\n\n",
    "{% for m in rows %}\n{% if loop.first %}\nfirst\n{% elif loop.last %}\nlast\n{% else %}\n\tmiddle {{ m.v }}\n{% endif %}\n{% endfor %}",
    "   {% set a = 1 %}   \n\t{% set b = 2 %}\n{{ a }}{{ b }} {% if a %} x {% endif %} \n",
    "{% macro m(x) %}\n  <{{ x }}>\n{% endmacro %}\n{{ m('a') }}\n{{- m('b') -}}\n",
]


def render(template, **variables):
    try:
        rendered, _ = chat_template_utils.render_jinja_template([variables.pop("messages")], chat_template=template, **variables)
        return rendered[0]
    except Exception:  # what a template may raise is what its code may raise
        return None


def message(role, parts, as_parts):
    if as_parts:
        content = [{"type": "image"} if part is IMAGE else {"type": "text", "text": part} for part in parts]
    else:
        content = ""
        for k, part in enumerate(parts):
            if part is IMAGE:
                content += SPECIAL["image_token"]
            else:
                content += ("\n" if k > 0 and parts[k - 1] is IMAGE else "") + part
    return {"role": role, "content": content}


def snippet(source):
    try:
        return chat_template_utils._compile_jinja_template(source).render(**VALUES)
    except Exception:
        return None


def main():
    templates = {}
    for path in sorted(OUT.glob("*.jinja")):
        source, as_parts = path.read_text(), path.stem in PARTS
        cases = {}
        for name, turns in CHATS.items():
            messages = [message(role, parts, as_parts) for role, parts in turns]
            cases[name] = [render(source, messages=messages, add_generation_prompt=prompt, **SPECIAL) for prompt in (False, True)]
        calls = [
            render(source, messages=CALLS, tools=TOOLS, documents=documents, add_generation_prompt=prompt, **SPECIAL)
            for documents, prompt in ((None, True), (DOCUMENTS, False))
        ]
        templates[path.stem] = {"cases": cases, "calls": calls}
    made = {
        "special": SPECIAL,
        "chats": {name: [[role, parts] for role, parts in turns] for name, turns in CHATS.items()},
        "calls": {"messages": CALLS, "tools": TOOLS, "documents": DOCUMENTS},
        "templates": templates,
        "values": VALUES,
        "snippets": [[source, snippet(source)] for source in SNIPPETS if "no_such" not in source]
        + [[source, None] for source in SNIPPETS if "no_such" in source],
    }
    (OUT / "expected.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

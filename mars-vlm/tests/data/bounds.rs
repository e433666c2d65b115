//! Templates and tokenizers that would take any amount of time, memory or stack end in a message.

use mars_vlm::chat::{Date, jinja::Template};
use serde_json::{Map, json};
use std::time::{Duration, Instant};

/// What a template says that must fail.
fn refusal(source: &str) -> String {
    let mut variables = Map::new();
    variables.insert("messages".into(), json!([{"role": "user", "content": "hello"}]));
    let start = Instant::now();
    let shown: String = source.chars().take(60).collect();
    let result = Template::new(source).and_then(|template| template.render(&variables, Date::default()));
    let why = result.map(|text| panic!("{shown}: a text of {} bytes", text.len())).unwrap_err().to_string();
    // Far more than it takes, so that a busy machine does not matter; the list of malformed inputs has the limit for the program.
    assert!(start.elapsed() < Duration::from_secs(100), "{shown}: {:?}", start.elapsed());
    why
}

/// `step` again and again on a variable `x` that is `start` at first.
fn grown(start: &str, step: &str) -> String {
    format!(
        "{{% set n = namespace(x={start}) %}}{{% for i in range(90000) %}}{{% set n.x = {step} %}}{{% endfor %}}"
    )
}

#[test]
fn texts_that_grow_without_end() {
    let steps = [
        "n.x ~ n.x",
        "n.x + n.x",
        "n.x * 9",
        "'%s%s' % (n.x, n.x)",
        "'{0}{0}'.format(n.x)",
        "n.x.replace('a', 'aa')",
        "n.x | replace('a', 'aa')",
        "n.x.join([n.x, n.x])",
        "[n.x, n.x] | join(n.x)",
        "n.x | indent(9 + (n.x | length), true)",
        "n.x | center(2 * (n.x | length) + 1)",
        "(n.x ~ n.x) | upper",
        "(n.x ~ n.x) | e",
        "[n.x, n.x] | tojson",
        "n.x.split('a') | string",
    ];
    for step in steps {
        let why = refusal(&grown("'aaaaaaaa'", step));
        assert!(why.contains("MiB") || why.contains("steps"), "{step}: {why}");
    }
    let block = "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set b %}{{ n.x }}{{ n.x }}{% endset %}\
                 {% set n.x = b %}{% endfor %}";
    assert!(refusal(block).contains("MiB"));
    let raw = format!("{{% for i in range(99999) %}}{}{{% endfor %}}", "text ".repeat(10_000));
    assert!(refusal(&raw).contains("MiB"));
    let called = "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{{ 'abcd'".to_owned()
        + &"|replace('a', 'aaaa')".repeat(60)
        + " }}";
    let why = refusal(&called);
    assert!(why.contains("MiB") || why.contains("steps"), "{why}");
}

#[test]
fn widths_and_counts_beyond_memory() {
    for source in [
        "{{ '%999999999999d' % 1 }}",
        "{{ '%*d' % (9999999999, 1) }}",
        "{{ '{:>99999999999999999999999}'.format('a') }}",
        "{{ '%.999999999f' % 1.5 }}",
        "{{ '{:.999999f}'.format(1.5) }}",
        "{{ 'a' * 9223372036854775807 }}",
        "{{ [1] * 99999999999 }}",
        "{{ 'x' | indent(99999999999, true) }}",
        "{{ 'x' | center(9223372036854775807) }}",
        "{{ 'x'.ljust(9223372036854775807) }}",
        "{{ 'x'.zfill(9223372036854775807) }}",
        "{{ [1] | batch(99999999999, 'x') | list }}",
        "{{ [1] | slice(99999999999) | list }}",
        "{{ [1] | tojson(indent=99999999999) }}",
        "{{ range(100001) }}",
        "{{ range(-9223372036854775807, 9223372036854775807) }}",
        "{{ 9 ** 99 }}",
        "{{ 9223372036854775807 + 1 }}",
        "{{ 99999999999999999999 }}",
        "{{ strftime_now('%9999999d') }}",
    ] {
        refusal(source);
    }
}

#[test]
fn recursion_and_nesting_without_end() {
    let fold = |part: &str, core: &str, end: &str| {
        format!("{{{{ {}{core}{} }}}}", part.repeat(60_000), end.repeat(60_000))
    };
    for source in [
        fold("-", "1", ""),
        fold("not ", "1", ""),
        fold("(", "1", ")"),
        fold("[", "1", "]"),
        fold("{1:", "1", "}"),
        fold("", "1", "|abs"),
        fold("", "1", ".a"),
        fold("", "1", "[0]"),
        fold("", "1", "()"),
        fold("", "1", " + 1"),
        fold("", "1", " and 1"),
        fold("", "1", " is defined"),
        fold("1 if 1 else ", "1", ""),
        fold("m(", "1", ")"),
        "{% if 1 %}".repeat(20_000) + &"{% endif %}".repeat(20_000),
        "{% for a in [1] %}".repeat(20_000) + &"{% endfor %}".repeat(20_000),
        "{% set (".to_owned() + &"(".repeat(60_000),
    ] {
        let why = refusal(&source);
        assert!(why.contains("deep") || why.contains("follow") || why.contains("unexpected"), "{why}");
    }
    for source in [
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% macro m(x) %}{% for i in [1] %}{% if 1 %}{{ [m([x])] | join }}{% endif %}{% endfor %}{% endmacro %}{{ m(1) }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
        "{% set n = namespace() %}{% set n.n = [n, n] %}{{ n }}",
        "{% set n = namespace() %}{% set n.n = n %}{{ n ~ '' }}",
    ] {
        let why = refusal(source);
        assert!(why.contains("recursion") || why.contains("steps") || why.contains("MiB"), "{source}: {why}");
    }
    for step in ["[n.x]", "(n.x,)", "{'a': n.x}", "[n.x] | map('list')", "{'a': n.x}.items()"] {
        let why = refusal(&grown("[]", step));
        assert!(why.contains("nested") || why.contains("steps"), "{step}: {why}");
    }
    // Cheap to make, exponential to print or compare.
    let shared = "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}\
                  {% set n.y = [n.y, n.y] %}{% endfor %}";
    for end in [
        "{{ n.x }}",
        "{{ n.x == n.y }}",
        "{{ n.x | tojson }}",
        "{{ [n.x, n.y] | sort }}",
        "{{ n.x in [n.y] }}",
    ] {
        let why = refusal(&format!("{shared}{end}"));
        assert!(why.contains("steps") || why.contains("MiB"), "{end}: {why}");
    }
    let chain = "{% set n = namespace(x=none) %}{% for i in range(90000) %}{% set n.x = namespace(x=n.x) %}{% endfor %}\
                 {{ n }}";
    refusal(chain);
}

#[test]
fn time_without_end() {
    let cubed = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    assert!(refusal(cubed).contains("steps"));
    let many = |make: &str, step: &str| {
        format!(
            "{{% set x = {make} %}}{{% for i in range(99999) %}}{{% for j in range(99) %}}{{% set y = {step} %}}\
             {{% endfor %}}{{% endfor %}}"
        )
    };
    for (make, step) in [
        ("'a' * 9000000", "x.count('aab')"),
        ("'a' * 9000000", "x | length"),
        ("'a' * 9000000", "x == x ~ ''"),
        ("'a' * 9000000", "'b' in x"),
        ("'a' * 9000000", "x[5]"),
        ("'a' * 9000000", "x.strip('bcdefghijklmnopqrstuvwxyza')"),
        ("'a' * 9000000", "x | wordcount"),
        ("range(99999) | list", "x | sort"),
        ("range(99999) | list", "x | unique | list"),
        ("range(99999) | list", "-1 in x"),
        ("range(99999) | list", "x[::-1]"),
        ("dict(range(9999) | batch(2))", "x[5]"),
    ] {
        let why = refusal(&many(make, step));
        assert!(
            why.contains("steps") || why.contains("MiB") || why.contains("pairs"),
            "{make}, {step}: {why}"
        );
    }
    let long = "{# ".to_owned() + &" ".repeat(2 << 20) + " #}";
    assert!(refusal(&long).contains("bytes"));
}

/// Lists that a filter or method makes for itself, and values that it copies on the way.
#[test]
fn lists_made_on_the_way() {
    for source in [
        "{{ ('a ' * 60000000).split() | length }}",
        "{{ ('a ' * 60000000).rsplit() | length }}",
        "{{ ('a,' * 60000000).rsplit(',') | length }}",
        "{{ ('\\n' * 60000000) | indent }}",
        "{{ messages | map(attribute='a.' * 60000000) | list }}",
        "{{ messages | sort(attribute='a,' * 60000000) }}",
        "{{ messages | tojson(separators='a' * 60000000) }}",
    ] {
        let why = refusal(source);
        assert!(why.contains("MiB") || why.contains("steps"), "{source}: {why}");
    }
    let named = |before: &str, inside: &str| {
        format!(
            "{before}{{% for i in range(99999) %}}{{% for j in range(99999) %}}{inside}{{% endfor %}}{{% endfor %}}"
        )
    };
    let long = "a".repeat(250);
    let arguments: String = (0..3000).map(|n| format!("a{n}=0,")).collect();
    let parameters: String = (0..3000).map(|n| format!("a{n},")).collect();
    for source in [
        named("{% set k = 'a' * 90000000 %}", "{{ {}[k] is defined }}"),
        named("{% set k = 'a' * 900000 %}{% set d = {k: 1} %}{% set l = 'a' * 900000 %}", "{{ d[l] }}"),
        named("", &format!("{{{{ {long} }}}}")),
        named("", &format!("{}{{{{ {long} }}}}{}", "{% with %}".repeat(90), "{% endwith %}".repeat(90))),
        named(
            &format!("{{% macro m({parameters}) %}}{{% endmacro %}}"),
            &format!("{{{{ m({arguments}) }}}}"),
        ),
        named("", "{% macro m() %}{% endmacro %}"),
    ] {
        let why = refusal(&source);
        assert!(why.contains("MiB") || why.contains("steps"), "{why}");
    }
    assert!(refusal(&format!("{{{{ {} }}}}", "a".repeat(257))).contains("a name of 257 bytes"));
}

/// An order that is none must not disturb sorting, nor a fault in the middle of it.
#[test]
fn values_without_an_order_are_sorted_without_panic() {
    let render = |source: &str| {
        Template::new(source).and_then(|template| template.render(&Map::new(), Date::default()))
    };
    let mixed = "{% set n = namespace(l=[]) %}{% for i in range(400) %}\
                 {% set n.l = n.l + [('nan' if i % 3 == 0 else (i * 7919) % 401) | float] %}{% endfor %}";
    let sorted =
        render(&format!("{mixed}{{{{ n.l | sort | length }}}} {{{{ (n.l | sort(reverse=true))[0] }}}}"));
    assert!(sorted.unwrap().starts_with("400 "));
    let stable = "{% for p in [(1, 'a'), (0, 'b'), (1, 'c'), (0, 'd'), (2, 'e')] | sort(attribute=0, reverse=true) %}\
                  {{ p[1] }}{% endfor %}";
    assert_eq!(render(stable).unwrap(), "eacbd");
    let refused = format!("{mixed}{{{{ (n.l + ['x'] + n.l) | sort }}}}");
    assert!(render(&refused).unwrap_err().to_string().contains("not supported between"));
}

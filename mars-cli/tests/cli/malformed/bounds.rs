//! Templates and tokenizers that would take any amount of time, memory or stack, or make a library panic.

use super::case::{Base::Whole, Case};
use serde_json::{Value, json};

fn template(name: &'static str, says: &'static str, source: impl Into<String>) -> Case {
    let source = source.into();
    Case::new(Whole, "model/chat_template.jinja", name, says, move |file| file.put(&source))
}

fn tokenizer(name: &'static str, says: &'static str, at: &'static str, value: Value) -> Case {
    Case::new(Whole, "model/tokenizer.json", name, says, move |file| file.set(at, value.clone()))
}

/// `step` again and again on a text.
fn grown(step: &str) -> String {
    format!(
        "{{% set n = namespace(x='ab') %}}{{% for i in range(99) %}}{{% set n.x = {step} %}}{{% endfor %}}"
    )
}

fn fold(before: &str, core: &str, after: &str) -> String {
    format!("{{{{ {}{core}{} }}}}", before.repeat(100_000), after.repeat(100_000))
}

pub(super) fn cases() -> Vec<Case> {
    let sequence = |step: Value| json!({"type": "Sequence", "normalizers": vec![step; 40]});
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let prepend = json!({"type": "Prepend", "prepend": "a".repeat(1 << 20)});
    let copies = vec![json!({"Sequence": {"id": "A", "type_id": 0}}); 9999];
    let post = |single: Value| json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}});
    let bpe = |prefix: &str| json!({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"], "continuing_subword_prefix": prefix});
    vec![
        template("a text that doubles", "more than", grown("n.x ~ n.x")),
        template("a text that doubles in a format", "more than", grown("'%s%s' % (n.x, n.x)")),
        template("a text that doubles by replacing", "more than", grown("n.x.replace('a', 'aa')")),
        template("a text that grows by joining", "more than", grown("n.x.join([n.x, n.x])")),
        template("a text repeated", "MiB", "{{ 'a' * 10 ** 15 }}"),
        template("a huge width in a format", "MiB", "{{ '%99999999999d' % 1 }}"),
        template("a huge width in braces", "MiB", "{{ '{:>99999999999}'.format(1) }}"),
        template("a huge indentation", "MiB", "{{ 'a' | indent(99999999999, true) }}"),
        template("a huge centre", "MiB", "{{ 'a' | center(99999999999) }}"),
        template("a hundred thousand signs", "deep", fold("-", "1", "")),
        template("a hundred thousand negations", "deep", fold("not ", "1", "")),
        template("a hundred thousand filters", "deep", fold("", "1", "|abs")),
        template("a hundred thousand brackets", "deep", fold("[", "1", "]")),
        template("a hundred thousand sums", "deep", fold("", "1", "+1")),
        template("blocks in blocks", "deep", "{% if 1 %}".repeat(50_000)),
        template(
            "a namespace that holds itself",
            "recursion",
            "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
        ),
        template("lists in lists", "nested", grown("[n.x]").replace("99", "9999")),
        template(
            "two macros that call each other",
            "recursion",
            "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        ),
        template("two million blanks", "bytes", " ".repeat(2 << 20)),
        tokenizer("a normaliser that doubles", "normalizer", "normalizer", sequence(double)),
        tokenizer("a megabyte before each text", "normalizer", "normalizer", prepend),
        tokenizer("bytes as characters of bytes", "normalizer", "normalizer", sequence(byte_level)),
        tokenizer("a text ten thousand times", "post_processor", "post_processor", post(json!(copies))),
        tokenizer(
            "a second text where there is one",
            "post_processor",
            "post_processor",
            post(json!([{"Sequence": {"id": "B", "type_id": 0}}])),
        ),
        tokenizer("a merge shorter than the prefix", "continuing_subword_prefix", "model", bpe("xxx")),
        tokenizer("a merge within a character", "continuing_subword_prefix", "model", bpe("é")),
        tokenizer(
            "pieces of no length",
            "length is 0",
            "pre_tokenizer",
            json!({"type": "FixedLength", "length": 0}),
        ),
        tokenizer(
            "an end cut off twice",
            "Strip",
            "decoder",
            json!({"type": "Strip", "content": "a", "start": 9, "stop": 9}),
        ),
        tokenizer(
            "a table of characters that is cut off",
            "precompiled_charsmap",
            "normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        ),
        tokenizer(
            "a table of characters that points outside",
            "precompiled_charsmap",
            "normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAP////8="}),
        ),
        Case::new(
            Whole,
            "model/chat_template.jinja",
            "beside one in JSON and a folder of others",
            "additional_chat_templates",
            |file| {
                file.beside("chat_template.json").put("{\"chat_template\": \"x\"}");
                let folder = file.beside("additional_chat_templates");
                folder.put("");
                folder.make_folder();
                file.beside("additional_chat_templates/rag.jinja").put("y");
            },
        )
        .naming("chat_template.json"),
    ]
}
